//! Twilio's shape: what became of each column, and where it is asked for.

use pushvault::domain::right::Right;
use reqwest::Method;
use serde_json::{Value, json};

use super::{CREDENTIALS, MONITOR, create, rows};
use crate::harness::{Client, TestApp, is_iso_8601, migrated_database};

#[tokio::test]
async fn an_event_is_told_field_by_field_as_the_document_says() {
    let app = TestApp::spawn().await;
    let key = app.api_key_with("a", &[Right::CredentialsWrite]);
    let sid = create(&key, "first").await;
    let path = format!("{CREDENTIALS}/{sid}");
    let request = key
        .request(Method::POST, &path)
        .header("user-agent", "twilio-python/9.13.0");
    let updated = key.send(request.form(&[("FriendlyName", "second")])).await;
    let refused = key.get(&path).await;

    let page = app.account("a").get(MONITOR).await.json(200);

    let key_sid = key.credentials.unwrap().0;
    let [denied, update, _, made_key, _] = rows(&page, "events") else {
        panic!("{page:#}");
    };
    let expected = |event: &Value, own: Value| {
        let mut fields = of_every_event(&app, event);
        fields.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        fields
    };
    let resource = format!("{}/chat/v2/Credentials/{sid}", app.origin());
    let by_key = json!({
        "actor_sid": key_sid,
        "actor_type": "api-key",
        "resource_sid": sid,
        "resource_type": "credential",
        "source": "api",
        "source_ip_address": "127.0.0.1",
        "links": { "resource": resource },
    });
    let mut own = by_key.clone();
    own["event_type"] = json!("credential.updated");
    own["event_data"] = json!({
        "resource_properties": { "friendly_name": { "previous": "first", "updated": "second" } },
        "changed_fields": ["FriendlyName"],
        "outcome": "success",
        "request_sid": updated.request_sid(),
        "user_agent": "twilio-python/9.13.0",
    });
    assert_eq!(*update, expected(update, own));
    let mut own = by_key;
    own["event_type"] = json!("credential.fetch.denied");
    own["event_data"] = json!({ "outcome": "denied", "error_code": 20403, "request_sid": refused.request_sid() });
    assert_eq!(*denied, expected(denied, own));
    let own = json!({
        "actor_sid": null,
        "actor_type": "operator",
        "event_type": "api-key.created",
        "event_data": {
            "resource_properties": {
                "rights": { "previous": null, "updated": ["credentials:write"] },
            },
            "outcome": "success",
            "operator": "tests",
        },
        "resource_sid": key_sid,
        "resource_type": "api-key",
        "source": "twilio",
        "source_ip_address": null,
        "links": {},
    });
    assert_eq!(*made_key, expected(made_key, own));
}

/// What is in no event's hands.
fn of_every_event(app: &TestApp, event: &Value) -> Value {
    assert!(is_iso_8601(event["event_date"].as_str().unwrap()), "{event}");
    json!({
        "sid": event["sid"],
        "account_sid": app.account_named("a").sid.as_str(),
        "description": null,
        "event_date": event["event_date"],
        "url": format!("{}{MONITOR}/{}", app.origin(), event["sid"].as_str().unwrap()),
    })
}

async fn on(client: &Client, host: &str, target: &str) -> crate::harness::Answer {
    client
        .send(client.request(Method::GET, target).header("host", host))
        .await
}

#[tokio::test]
async fn the_bare_path_is_monitors_where_the_host_names_it_or_no_product() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for host in [
        "monitor.twilio.com",
        "monitor.dublin.ie1.twilio.com",
        "localhost",
        "vault.internal.example.com",
    ] {
        let page = on(&owner, host, "/v1/Events").await.json(200);
        assert_eq!(
            page["meta"]["url"],
            format!("http://{host}/v1/Events?PageSize=50&Page=0")
        );
        let url = page["events"][0]["url"].as_str().unwrap();
        assert!(url.starts_with(&format!("http://{host}/v1/Events/AE")), "{url}");
    }
    for host in ["chat.twilio.com", "notify.twilio.com"] {
        on(&owner, host, "/v1/Events").await.is_not_found("/v1/Events");
        on(&owner, host, MONITOR).await.json(200);
    }
    on(&owner, "monitor.twilio.com", "/v1/Credentials")
        .await
        .is_not_found("/v1/Credentials");
}

#[tokio::test]
async fn behind_a_public_url_the_path_says_what_the_host_said() {
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        settings.server.public_url = Some("https://push.example.com".to_owned());
    })
    .await;
    let owner = app.account("a");
    create(&owner, "n").await;
    for (host, base) in [
        ("monitor.twilio.com", "https://push.example.com/monitor/v1/Events"),
        ("localhost", "https://push.example.com/v1/Events"),
    ] {
        let page = on(&owner, host, "/v1/Events?EventType=credential.created")
            .await
            .json(200);
        let event = &page["events"][0];
        assert_eq!(event["url"], format!("{base}/{}", event["sid"].as_str().unwrap()));
        let credential = event["resource_sid"].as_str().unwrap();
        let resource = format!("https://push.example.com/chat/v2/Credentials/{credential}");
        assert_eq!(event["links"]["resource"], resource);
    }
}
