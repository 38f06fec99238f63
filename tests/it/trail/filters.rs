//! Which events are asked for.

use serde_json::Value;

use super::{CREDENTIALS, EVENTS, MONITOR, create, each, is_refused, rows};
use crate::harness::{Client, TestApp};

/// Events of several kinds: two credentials, one of them deleted by a key; a refusal; and what the operator did.
async fn history(app: &TestApp) -> (Client, [String; 2], String) {
    let (owner, key) = (app.account("a"), app.api_key("a"));
    let kept = create(&owner, "kept").await;
    let deleted = create(&key, "deleted").await;
    key.delete(&format!("{CREDENTIALS}/{deleted}")).await;
    owner.post(CREDENTIALS, &[("Type", "wns")]).await.json(400);
    let key_sid = key.credentials.unwrap().0;
    (owner, [kept, deleted], key_sid)
}

#[tokio::test]
async fn each_filter_finds_its_events_and_several_find_what_all_of_them_do() {
    let app = TestApp::spawn().await;
    let (owner, [kept, deleted], key_sid) = history(&app).await;
    let account_sid = app.account_named("a").sid.to_string();
    let (create, delete, key) = ("credential.create", "credential.delete", "api_key.create");
    let cases: [(String, &[&str]); 9] = [
        (String::new(), &[create, delete, create, create, key, "account.create"]),
        (format!("Credential={deleted}"), &[delete, create]),
        (format!("Credential={kept}"), &[create]),
        ("Action=credential.create".to_owned(), &[create, create, create]),
        (format!("Actor={key_sid}"), &[delete, create]),
        (format!("Actor={account_sid}"), &[create, create]),
        ("Actor=tests".to_owned(), &[key, "account.create"]),
        (
            format!("Action=credential.create&Credential={deleted}&Actor={key_sid}"),
            &[create],
        ),
        (format!("Action=credential.delete&Credential={kept}"), &[]),
    ];
    for (query, actions) in cases {
        let page = owner.get(&format!("{EVENTS}?{query}")).await.json(200);
        assert_eq!(each(&page, "audit_events", "action"), actions, "{query}");
    }
}

#[tokio::test]
async fn twilios_filters_find_the_same_events_by_twilios_names() {
    let app = TestApp::spawn().await;
    let (owner, [kept, deleted], key_sid) = history(&app).await;
    let refused = "credential.create.failed";
    let cases: [(String, &[&str]); 9] = [
        (
            format!("ResourceSid={deleted}"),
            &["credential.deleted", "credential.created"],
        ),
        (format!("ResourceSid={key_sid}"), &["api-key.created"]),
        (
            format!("ResourceSid={kept}&EventType=credential.created"),
            &["credential.created"],
        ),
        (
            "EventType=credential.created".to_owned(),
            &["credential.created", "credential.created"],
        ),
        (format!("EventType={refused}"), &[refused]),
        (
            format!("ActorSid={key_sid}"),
            &["credential.deleted", "credential.created"],
        ),
        (format!("ActorSid=US{}", "0".repeat(32)), &[]),
        (
            "SourceIpAddress=127.0.0.1&EventType=credential.deleted".to_owned(),
            &["credential.deleted"],
        ),
        ("SourceIpAddress=::1".to_owned(), &[]),
    ];
    for (query, types) in cases {
        let page = owner.get(&format!("{MONITOR}?{query}")).await.json(200);
        assert_eq!(each(&page, "events", "event_type"), types, "{query}");
    }
}

#[tokio::test]
async fn a_range_includes_its_begin_and_twilios_its_last_second_too() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for second in ["04.999999", "05.000000", "06.500000", "07.000000"] {
        insert_event(&app, &format!("2026-02-03 04:05:{second}+00")).await;
    }
    let range = "StartDate=2026-02-03T04:05:05Z&EndDate=2026-02-03T04:05:06Z";
    let ours = owner.get(&format!("{EVENTS}?{range}")).await.json(200);
    assert_eq!(
        each(&ours, "audit_events", "occurred_at"),
        ["2026-02-03T04:05:05.000000Z"]
    );
    let twilios = owner.get(&format!("{MONITOR}?{range}")).await.json(200);
    let dates = ["2026-02-03T04:05:06Z", "2026-02-03T04:05:05Z"];
    assert_eq!(each(&twilios, "events", "event_date"), dates);
    let elsewhere = "StartDate=2026-02-03T05:05:07%2B01:00&EndDate=2026-02-04T00:00:00Z";
    let page = owner.get(&format!("{EVENTS}?{elsewhere}")).await.json(200);
    assert_eq!(rows(&page, "audit_events").len(), 1, "an offset is understood");
}

/// An event of the past, as the table has it.
async fn insert_event(app: &TestApp, instant: &str) {
    sqlx::query(
        "insert into audit_events (account_sid, event_sid, occurred_at, actor_type, action, outcome)
        values ($1, 'AE' || md5($2), $2::timestamptz, 'operator', 'account.suspend', 'success')",
    )
    .bind(app.account_named("a").sid.as_str())
    .bind(instant)
    .execute(&app.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_filter_that_makes_no_sense_is_refused_by_its_name() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let date = "use a date and time in UTC as ISO 8601 has it, such as 2026-01-31T08:00:00Z";
    let sid = "use a SID: two letters and 32 hexadecimal digits";
    for (list, query, parameter, remedy) in [
        (
            EVENTS,
            "Credential=CR1",
            "Credential",
            "use the SID of a credential: CR and 32 hexadecimal digits",
        ),
        (
            EVENTS,
            "Action=credential.updated",
            "Action",
            "use the name of an action, such as credential.update",
        ),
        (
            EVENTS,
            "Actor=%00",
            "Actor",
            "use the SID of an account or API key, or the name of an operator",
        ),
        (EVENTS, "StartDate=yesterday", "StartDate", date),
        (EVENTS, "EndDate=2026-01-31", "EndDate", date),
        (MONITOR, "ActorSid=root", "ActorSid", sid),
        (MONITOR, "ResourceSid=AE", "ResourceSid", sid),
        (
            MONITOR,
            "EventType=phone-number.created",
            "EventType",
            "use the type of an event of this service, such as credential.updated",
        ),
        (
            MONITOR,
            "SourceIpAddress=localhost",
            "SourceIpAddress",
            "use an IPv4 or IPv6 address",
        ),
        (MONITOR, "StartDate=1769846400", "StartDate", date),
        (MONITOR, "EndDate=2026-02-30T00:00:00Z", "EndDate", date),
    ] {
        is_refused(&owner.get(&format!("{list}?{query}")).await, parameter, remedy);
    }
    // An empty one counts as absent, and of one that comes twice the first counts.
    let query = "Action=&StartDate=2026-01-31T08:00:00Z&StartDate=x&Unknown=y";
    let page = owner.get(&format!("{EVENTS}?{query}")).await.json(200);
    let url = format!(
        "{}{EVENTS}?StartDate=2026-01-31T08%3A00%3A00Z&PageSize=50&Page=0",
        app.origin()
    );
    assert_eq!(page["meta"]["url"], Value::from(url));
}
