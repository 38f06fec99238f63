//! Decision 30: a create with an `Idempotency-Key` can be sent again, and makes one credential.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use super::{LIST, count, credentials, path, post_with};
use crate::harness::{Answer, Client, Log, TestApp, apns_pair, at_once, dump, percent_encoded};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";
const FORM: [(&str, &str); 3] = [("Type", "gcm"), ("FriendlyName", "n"), ("ApiKey", "k")];

async fn create(client: &Client, form: &[(&str, &str)]) -> Answer {
    post_with(client, LIST, ("idempotency-key", KEY), form).await
}

fn is_replay_of(replay: &Answer, first: &Answer) {
    assert_eq!((replay.status, &replay.body), (201, &first.body));
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    assert_eq!(replay.header("etag"), first.header("etag"));
    assert_eq!(replay.header("content-type"), first.header("content-type"));
}

/// Lets 24 hours go by for every key, or nearly.
async fn age(app: &TestApp, by: &str) {
    sqlx::query("update idempotency_keys set created_at = created_at - $1::text::interval")
        .bind(by)
        .execute(&app.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_create_that_is_sent_again_answers_the_same_bytes_and_makes_nothing_decision_30() {
    let mut app = TestApp::spawn().await;
    let owner = app.account("a");
    let apn = [
        ("Type", "apn"),
        ("Certificate", apns_pair()),
        ("PrivateKey", apns_pair()),
        ("Sandbox", "true"),
    ];
    let bare = [("Type", "FCM")];
    for (number, form) in [&FORM[..], &apn[..], &bare[..]].into_iter().enumerate() {
        let key = format!("key {number}").replace(' ', "-");
        let header = ("idempotency-key", key.as_str());
        let first = post_with(&owner, LIST, header, form).await;
        first.json(201);
        assert_eq!(first.header("idempotent-replayed"), None);
        let (rows, events) = (credentials(&app).await, app.audit_count().await);
        for _ in 0..2 {
            is_replay_of(&post_with(&owner, LIST, header, form).await, &first);
        }
        assert_eq!((credentials(&app).await, app.audit_count().await), (rows, events));
    }
    // Another process knows as much as the first: all of it is in the database.
    let first = create(&owner, &FORM).await;
    app.restart();
    let again = create(&app.account("a"), &FORM).await;
    assert_eq!(again.json(201)["sid"], first.json(201)["sid"]);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn the_first_answer_is_repeated_after_an_update_and_after_a_delete_decision_30() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let first = create(&owner, &FORM).await;
    let path = path(&first.json(201));
    let changes = [("FriendlyName", "m"), ("ApiKey", "l")];
    owner.post(&path, &changes).await.json(200);
    is_replay_of(&create(&owner, &FORM).await, &first);
    owner.post(&path, &[("FriendlyName", "")]).await.json(200);
    is_replay_of(&create(&owner, &FORM).await, &first);
    // What it is now is not what it was made as.
    let now = [("Type", "gcm"), ("FriendlyName", "m"), ("ApiKey", "l")];
    assert_eq!(create(&owner, &now).await.status, 409);
    assert_eq!(owner.delete(&path).await.status, 204);
    is_replay_of(&create(&owner, &FORM).await, &first);
    owner.get(&path).await.is_not_found(&path);
    assert_eq!(credentials(&app).await, 1);
}

#[tokio::test]
async fn a_form_and_json_and_every_spelling_of_one_request_are_the_same_decision_30() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let first = create(
        &owner,
        &[("Type", "apn"), ("Sandbox", "true"), ("PrivateKey", apns_pair())],
    )
    .await;
    first.json(201);
    let with_key = |request: reqwest::RequestBuilder| request.header("idempotency-key", KEY);
    let json = json!({ "PrivateKey": apns_pair(), "Type": "APN", "Sandbox": true, "Certificate": null, "X": "y" });
    let request = with_key(owner.request(Method::POST, LIST)).json(&json);
    is_replay_of(&owner.send(request).await, &first);
    let body = format!(
        "FriendlyName=&Sandbox=TRUE&Type=fcm&Type=apn&PrivateKey={}",
        percent_encoded(apns_pair().replace('\n', "\\n").as_bytes())
    );
    let request = with_key(owner.request(Method::POST, LIST))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    is_replay_of(&owner.send(request).await, &first);
}

#[tokio::test]
async fn a_replay_on_another_surface_differs_in_its_url_alone_decision_30() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let first = create(&owner, &FORM).await.json(201);
    for list in [
        "/v1/Credentials",
        "/notify/v1/Credentials",
        "/conversations/v1/Credentials",
    ] {
        let replay = post_with(&owner, list, ("idempotency-key", KEY), &FORM).await;
        assert_eq!(replay.header("idempotent-replayed"), Some("true"));
        let mut expected = first.clone();
        expected["url"] = json!(format!("{}{list}/{}", app.origin(), first["sid"].as_str().unwrap()));
        assert_eq!(replay.json(201), expected);
    }
    assert_eq!(credentials(&app).await, 1);
}

#[tokio::test]
async fn a_key_is_an_accounts_own_and_shared_by_its_api_keys_decision_30() {
    let app = TestApp::spawn().await;
    let first = create(&app.account("a"), &FORM).await;
    is_replay_of(&create(&app.api_key("a"), &FORM).await, &first);
    let other = create(&app.account("b"), &[("Type", "fcm"), ("Secret", "s")]).await;
    assert_eq!(other.header("idempotent-replayed"), None);
    assert_ne!(other.json(201)["sid"], first.json(201)["sid"]);
    assert_eq!(credentials(&app).await, 2);
}

#[tokio::test]
async fn a_key_lasts_24_hours_and_then_makes_a_new_credential_decision_30() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let first = create(&owner, &FORM).await;
    age(&app, "23 hours 59 minutes").await;
    let replay = create(&owner, &FORM).await;
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    // The key was taken when the credential was made: that date it tells, and it was set back just now.
    assert_eq!(replay.json(201)["sid"], first.json(201)["sid"]);
    age(&app, "1 minute").await;
    let second = create(&owner, &FORM).await;
    assert_eq!(second.header("idempotent-replayed"), None);
    assert_ne!(second.json(201)["sid"], first.json(201)["sid"]);
    is_replay_of(&create(&owner, &FORM).await, &second);
    age(&app, "24 hours").await;
    // By now it is free for any request.
    create(&owner, &[("Type", "fcm")]).await.json(201);
    assert_eq!(count(&app, "select count(*) from idempotency_keys").await, 1);
}

#[tokio::test]
async fn keys_that_served_their_time_are_removed_by_later_creates_of_the_account_decision_30() {
    let app = TestApp::spawn().await;
    let (owner, other) = (app.account("a"), app.account("b"));
    create(&other, &FORM).await.json(201);
    for number in 0..12 {
        let key = format!("old-{number}");
        post_with(&owner, LIST, ("idempotency-key", &key), &FORM)
            .await
            .json(201);
    }
    age(&app, "25 hours").await;
    let keys = || count(&app, "select count(*) from idempotency_keys");
    owner.post(LIST, &FORM).await.json(201);
    assert_eq!(keys().await, 13, "a create without a key has no business there");
    for (number, left) in [(0, 4), (1, 3), (2, 4)] {
        let key = format!("new-{number}");
        post_with(&owner, LIST, ("idempotency-key", &key), &FORM)
            .await
            .json(201);
        assert_eq!(keys().await, left, "after the create number {number}");
    }
    let of_other = "select count(*) from idempotency_keys where created_at < now() - interval '24 hours'";
    assert_eq!(count(&app, of_other).await, 1, "another account's keys are its own");
}

#[tokio::test]
async fn creates_at_once_with_one_key_make_one_credential_and_all_answer_it_decision_30() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let events = app.audit_count().await;
    let answers = at_once(20, |_| {
        let owner = owner.clone();
        async move { create(&owner, &FORM).await }
    })
    .await;
    let (mut bodies, mut replays) = (BTreeSet::new(), 0);
    for answer in answers {
        answer.json(201);
        replays += i32::from(answer.header("idempotent-replayed").is_some());
        bodies.insert(answer.body);
    }
    assert_eq!((bodies.len(), replays), (1, 19), "{bodies:?}");
    assert_eq!(credentials(&app).await, 1);
    assert_eq!(count(&app, "select count(*) from credential_versions").await, 1);
    assert_eq!(app.audit_count().await, events + 1);
}

#[tokio::test]
async fn neither_the_keys_table_nor_the_log_holds_anything_of_a_secret_decision_30() {
    let log = Log::from_now();
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let secret = "kanarienvogel-0123456789";
    let form = [("Type", "fcm"), ("Secret", secret)];
    create(&owner, &form).await.json(201);
    create(&owner, &form).await.json(201);
    let other = [("Type", "fcm"), ("Secret", "kanarienvogel-9876543210")];
    assert_eq!(create(&owner, &other).await.status, 409);
    let columns: Vec<String> = sqlx::query_scalar(
        "select column_name::text from information_schema.columns where table_name = 'idempotency_keys' order by 1",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    // A column more is a place more where something of a request could be kept.
    assert_eq!(
        columns,
        [
            "account_sid",
            "created_at",
            "credential_sid",
            "friendly_name",
            "idempotency_key"
        ]
    );
    for (place, text) in [("the log", log.text()), ("the dump", dump(app.database.url()))] {
        assert!(!text.contains("kanarienvogel"), "{place} holds the secret");
    }
}
