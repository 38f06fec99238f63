//! One pass through everything that matters. It also runs alone, against a Postgres got in another way.

use serde_json::json;

use crate::harness::{TestApp, apns_certificate, apns_pair, apns_private_key};

#[tokio::test]
async fn a_credential_goes_in_is_listed_changed_and_deleted() {
    let app = TestApp::spawn().await;
    let account = app.account("a");
    let form = [
        ("Type", "apn"),
        ("FriendlyName", "the app"),
        ("Certificate", apns_pair()),
        ("PrivateKey", apns_pair()),
    ];

    let created = account.post("/v2/Credentials", &form).await.json(201);
    let path = format!("/v2/Credentials/{}", created["sid"].as_str().unwrap());
    assert_eq!(account.get(&path).await.json(200), created);
    assert_eq!(
        account.get("/v2/Credentials").await.json(200)["credentials"],
        json!([created])
    );

    let updated = account.post(&path, &[("FriendlyName", "renamed")]).await.json(200);
    assert_eq!(updated["friendly_name"], "renamed");
    assert_eq!(updated["sid"], created["sid"]);

    let deleted = account.delete(&path).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    account.get(&path).await.is_not_found(&path);
}

#[tokio::test]
async fn what_lies_in_the_database_opens_with_the_root_key_and_is_what_was_sent() {
    let app = TestApp::spawn().await;
    let form = [
        ("Type", "apn"),
        ("Certificate", apns_pair()),
        ("PrivateKey", apns_pair()),
    ];

    let created = app.account("a").post("/v2/Credentials", &form).await.json(201);

    let opened = app.opened(created["sid"].as_str().unwrap()).await;
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0].certificate, Some(apns_certificate()));
    assert_eq!(opened[0].private_key, Some(apns_private_key()));
}

#[tokio::test]
async fn every_change_stands_in_the_audit_trail() {
    let app = TestApp::spawn().await;
    let key = app.api_key("a");

    let created = key.post("/v2/Credentials", &[("Type", "gcm"), ("ApiKey", "k")]).await;
    let path = format!("/v2/Credentials/{}", created.json(201)["sid"].as_str().unwrap());
    let updated = key.post(&path, &[("ApiKey", "l")]).await;
    let deleted = key.delete(&path).await;

    let mut actions = Vec::new();
    for answer in [&created, &updated, &deleted] {
        let event = app.audit_event_of(answer).await;
        assert_eq!(
            (event.actor_type.as_str(), event.outcome.as_str()),
            ("api_key", "success")
        );
        actions.push((event.action, event.target_version));
    }
    let expected = [("create", Some(1)), ("update", Some(2)), ("delete", None)]
        .map(|(action, version)| (format!("credential.{action}"), version));
    assert_eq!(actions, expected);
}
