//! Decision 27: URLs in answers are on the origin that the caller used, and never on any other.

use reqwest::Method;

use super::{LIST, create, path};
use crate::harness::{TestApp, migrated_database};

#[tokio::test]
async fn urls_are_on_the_host_that_the_request_names() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "gcm")]).await;
    for host in ["localhost:8080", "vault.internal.example.com", "[::1]:1234"] {
        let request = owner.request(Method::GET, LIST).header("host", host);
        let listed = owner.send(request).await.json(200);
        assert_eq!(
            listed["credentials"][0]["url"],
            format!("http://{host}{}", path(&created))
        );
        assert_eq!(listed["meta"]["url"], format!("http://{host}{LIST}?PageSize=50&Page=0"));
    }
}

#[tokio::test]
async fn a_host_that_could_lead_a_client_elsewhere_is_not_repeated() {
    // SDKs send the account's token wherever next_page_url points.
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    create(&owner, &[("Type", "gcm")]).await;
    for (name, value) in [
        ("host", "user@evil.example"),
        ("host", "evil.example/x?"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
        ("x-forwarded-proto", "evil"),
    ] {
        let request = owner.request(Method::GET, LIST).header(name, value);
        let answer = owner.send(request).await;
        assert!(!answer.body.contains("evil"), "{name}: {}", answer.body);
        if answer.status == 200 {
            assert_eq!(
                answer.json(200)["meta"]["url"],
                format!("{}{LIST}?PageSize=50&Page=0", app.origin())
            );
        }
    }
}

#[tokio::test]
async fn a_configured_public_url_wins_over_the_host() {
    let public_url = "https://push.example.com";
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        settings.server.public_url = Some(public_url.to_owned());
    })
    .await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "gcm")]).await;
    assert_eq!(created["url"], format!("{public_url}{}", path(&created)));
    let listed = owner.get(&format!("{LIST}?PageSize=1")).await.json(200);
    assert_eq!(
        listed["meta"]["first_page_url"],
        format!("{public_url}{LIST}?PageSize=1&Page=0")
    );
}
