//! The audit trail as an account reads it: `/vault/v1/AuditEvents`, and Twilio's `/monitor/v1/Events`.

mod filters;
mod monitor;
mod pages;
mod plan;

use std::collections::BTreeSet;

use pushvault::domain::right::Right;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestApp};

const EVENTS: &str = "/vault/v1/AuditEvents";
const MONITOR: &str = "/monitor/v1/Events";
const CREDENTIALS: &str = "/v2/Credentials";

/// Makes a credential and answers its SID.
async fn create(client: &Client, name: &str) -> String {
    let form = [("Type", "gcm"), ("FriendlyName", name), ("ApiKey", "k")];
    let created = client.post(CREDENTIALS, &form).await.json(201);
    created["sid"].as_str().unwrap().to_owned()
}

/// The rows of a page.
fn rows<'a>(page: &'a Value, key: &str) -> &'a [Value] {
    page[key].as_array().unwrap_or_else(|| panic!("no {key} in {page}"))
}

/// What a field of each row says.
fn each(page: &Value, key: &str, field: &str) -> Vec<String> {
    rows(page, key)
        .iter()
        .map(|row| row[field].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn is_refused(answer: &Answer, parameter: &str, remedy: &str) {
    let message = format!("Invalid value for parameter {parameter}: {remedy}");
    answer.is_error(400, 20001, &message);
}

#[tokio::test]
async fn an_account_reads_its_events_as_they_stand_in_the_table_the_newest_first_and_nobody_elses() {
    let app = TestApp::spawn().await;
    let (owner, other) = (app.account("a"), app.account("b"));
    let sid = create(&owner, "first").await;
    let update = [("FriendlyName", "second"), ("ApiKey", "l")];
    owner.post(&format!("{CREDENTIALS}/{sid}"), &update).await.json(200);
    create(&other, "foreign").await;
    let reader = app.api_key_with("a", &[Right::AuditRead]);
    assert_eq!(reader.get(CREDENTIALS).await.status, 403);

    let page = reader.get(EVENTS).await.json(200);

    let mut expected: Vec<_> = app
        .audit_trail()
        .await
        .into_iter()
        .filter(|event| event.account_sid == app.account_named("a").sid.as_str())
        .map(|event| {
            json!({
                "sid": event.event_sid,
                "account_sid": event.account_sid,
                "actor_type": event.actor_type,
                "actor_sid": event.actor_sid,
                "source_address": event.source_address,
                "user_agent": event.user_agent,
                "request_sid": event.request_sid,
                "traceparent": event.traceparent,
                "action": event.action,
                "outcome": event.outcome,
                "error_code": event.error_code,
                "target_sid": event.target_sid,
                "target_version": event.target_version,
                "changed_fields": event.changed_fields,
                "before": event.before,
                "after": event.after,
                "envelope_digest": event.envelope_digest.map(|digest| data_encoding::HEXLOWER.encode(&digest)),
                "url": format!("{}{EVENTS}/{}", app.origin(), event.event_sid),
            })
        })
        .collect();
    expected.reverse();
    let mut seen = rows(&page, "audit_events").to_vec();
    let mut instants = Vec::new();
    for event in &mut seen {
        let instant = event.as_object_mut().unwrap().remove("occurred_at").unwrap();
        instants.push(instant.as_str().unwrap().to_owned());
    }
    assert_eq!(seen, expected);
    let actions: Vec<_> = expected.iter().map(|event| event["action"].as_str().unwrap()).collect();
    let all = [
        "credential.list",
        "api_key.create",
        "credential.update",
        "credential.create",
        "account.create",
    ];
    assert_eq!(actions, all);
    assert!(instants.is_sorted_by(|newer, older| newer > older), "{instants:?}");
    assert!(
        instants
            .iter()
            .all(|text| text.len() == "2026-01-31T08:00:00.000000Z".len()),
        "{instants:?}"
    );
}

#[tokio::test]
async fn one_event_is_what_the_list_shows_of_it_in_both_shapes() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    create(&owner, "n").await;
    for (list, key) in [(EVENTS, "audit_events"), (MONITOR, "events"), ("/v1/Events", "events")] {
        let page = owner.get(list).await.json(200);
        let keys: BTreeSet<_> = page.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, BTreeSet::from([key, "meta"]));
        assert_eq!(page["meta"]["key"], key);
        for row in rows(&page, key) {
            let url = row["url"].as_str().unwrap();
            assert_eq!(url, format!("{}{list}/{}", app.origin(), row["sid"].as_str().unwrap()));
            assert_eq!(&owner.get(url).await.json(200), row);
        }
    }
}

#[tokio::test]
async fn who_failed_to_prove_to_be_the_account_stands_in_its_events() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let stranger = app.with_credentials(app.account_named("a").sid.as_str(), "guessed");
    stranger.post(CREDENTIALS, &[("Type", "gcm")]).await.json(401);
    let newest = &owner.get(EVENTS).await.json(200)["audit_events"][0];
    assert_eq!(newest["actor_type"], "anonymous");
    assert_eq!(
        (&newest["outcome"], &newest["error_code"]),
        (&json!("denied"), &json!(20003))
    );
}
