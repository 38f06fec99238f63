//! Decision 30, what a key is refused for, and that a create that came to nothing leaves its key free.

use reqwest::Method;

use super::{LIST, count, credentials, path, post_with};
use crate::harness::{OTHER_KEY, TestApp, apns_pair, migrated_database};

const KEY: (&str, &str) = ("idempotency-key", "order-4711");
const REUSED: &str = "Conflict: this Idempotency-Key belongs to another request; use a new key for a new request";
const KEYS: &str = "select count(*) from idempotency_keys";

type Form<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn the_key_of_another_request_is_a_conflict_whatever_differs_decision_30() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let pair = apns_pair();
    let cases: [(Form<'_>, &[Form<'_>]); 3] = [
        (
            &[("Type", "gcm"), ("ApiKey", "k"), ("FriendlyName", "n")],
            &[
                &[("Type", "gcm"), ("ApiKey", "k"), ("FriendlyName", "m")],
                &[("Type", "gcm"), ("ApiKey", "k")],
                &[("Type", "gcm"), ("ApiKey", "K"), ("FriendlyName", "n")],
                &[("Type", "gcm"), ("FriendlyName", "n")],
                &[("Type", "fcm"), ("Secret", "k"), ("FriendlyName", "n")],
                &[("Type", "fcm"), ("FriendlyName", "n")],
            ],
        ),
        (
            &[("Type", "fcm"), ("Secret", "secret")],
            &[
                &[("Type", "fcm"), ("Secret", "secret ")],
                &[("Type", "fcm"), ("Secret", "secret"), ("FriendlyName", "secret")],
                &[("Type", "fcm")],
                &[("Type", "gcm"), ("ApiKey", "secret")],
            ],
        ),
        (
            &[
                ("Type", "apn"),
                ("Certificate", pair),
                ("PrivateKey", pair),
                ("Sandbox", "true"),
            ],
            &[
                &[("Type", "apn"), ("Certificate", pair), ("PrivateKey", pair)],
                &[
                    ("Type", "apn"),
                    ("Certificate", pair),
                    ("PrivateKey", OTHER_KEY),
                    ("Sandbox", "true"),
                ],
                &[("Type", "apn"), ("Certificate", pair), ("Sandbox", "true")],
                &[("Type", "apn"), ("PrivateKey", pair), ("Sandbox", "true")],
            ],
        ),
    ];
    for (number, (form, others)) in cases.into_iter().enumerate() {
        let key = format!("key-{number}");
        let header = ("idempotency-key", key.as_str());
        let first = post_with(&owner, LIST, header, form).await;
        first.json(201);
        let rows = credentials(&app).await;
        for other in others {
            let events = app.audit_count().await;
            let refused = post_with(&owner, LIST, header, other).await;
            refused.is_error(409, 20409, REUSED);
            assert_eq!(refused.header("idempotent-replayed"), None);
            let event = app.audit_event_of(&refused).await;
            assert_eq!((event.outcome.as_str(), event.error_code), ("failed", Some(20409)));
            assert_eq!((event.action.as_str(), event.target_sid), ("credential.create", None));
            assert_eq!(app.audit_count().await, events + 1);
        }
        assert_eq!(credentials(&app).await, rows);
        assert_eq!(post_with(&owner, LIST, header, form).await.body, first.body);
    }
}

#[tokio::test]
async fn two_requests_at_once_with_one_key_make_one_credential_and_one_conflict_decision_30() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for round in 0..5 {
        let key = format!("round-{round}");
        let send = |secret: &'static str| {
            let (owner, key) = (owner.clone(), key.clone());
            async move {
                let form = [("Type", "fcm"), ("Secret", secret)];
                post_with(&owner, LIST, ("idempotency-key", &key), &form).await.status
            }
        };
        let (one, other) = tokio::join!(tokio::spawn(send("one")), tokio::spawn(send("other")));
        let mut statuses = [one.unwrap(), other.unwrap()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
    }
    assert_eq!(credentials(&app).await, 5);
}

#[tokio::test]
async fn a_create_that_is_refused_does_not_use_its_key_up_decision_30() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let bad: [Form<'_>; 3] = [
        &[],
        &[("Type", "fcm"), ("ApiKey", "k")],
        &[("Type", "apn"), ("Certificate", "x")],
    ];
    for form in bad {
        assert_eq!(post_with(&owner, LIST, KEY, form).await.status, 400);
    }
    assert_eq!(
        post_with(&app.anonymous(), LIST, KEY, &[("Type", "gcm")]).await.status,
        401
    );
    assert_eq!(count(&app, KEYS).await, 0);
    let created = post_with(&owner, LIST, KEY, &[("Type", "gcm"), ("ApiKey", "k")]).await;
    created.json(201);
    assert_eq!(created.header("idempotent-replayed"), None);
    // And one that is malformed is told so, whatever the key made before.
    assert_eq!(post_with(&owner, LIST, KEY, &[]).await.status, 400);
}

#[tokio::test]
async fn in_strict_mode_a_finding_does_not_use_the_key_up_and_a_replay_is_not_judged_again_decision_30() {
    let mut app = TestApp::spawn_with(migrated_database(), |_| {}).await;
    let form = [("Type", "fcm")];
    let first = post_with(&app.account("a"), LIST, KEY, &form).await.json(201);
    app.restart_with(|settings| settings.validation = pushvault::config::ValidationMode::Strict);
    let owner = app.account("a");
    let replay = post_with(&owner, LIST, KEY, &form).await;
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    assert_eq!(replay.json(201)["sid"], first["sid"]);
    let other = ("idempotency-key", "another");
    assert_eq!(post_with(&owner, LIST, other, &form).await.status, 400);
    let created = post_with(&owner, LIST, other, &[("Type", "fcm"), ("Secret", "s")]).await;
    created.json(201);
}

#[tokio::test]
async fn a_create_that_fails_after_it_took_the_key_leaves_the_key_free_decision_30() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let form = [("Type", "gcm"), ("ApiKey", "k")];
    // The event of the success cannot be written, which is known only after everything else was.
    sqlx::raw_sql("alter table audit_events add constraint no_success check (outcome <> 'success') not valid")
        .execute(&app.pool)
        .await
        .unwrap();
    let failed = post_with(&owner, LIST, KEY, &form).await;
    failed.is_error(500, 20500, "Internal Server Error");
    assert_eq!((count(&app, KEYS).await, credentials(&app).await), (0, 0));
    sqlx::raw_sql("alter table audit_events drop constraint no_success")
        .execute(&app.pool)
        .await
        .unwrap();
    let created = post_with(&owner, LIST, KEY, &form).await;
    created.json(201);
    assert_eq!(created.header("idempotent-replayed"), None);
    assert_eq!((count(&app, KEYS).await, credentials(&app).await), (1, 1));
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_by_the_headers_name_decision_30() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let message = "Invalid value for header Idempotency-Key: use 1 to 255 visible ASCII characters, such as a UUID";
    let long = "k".repeat(256);
    for key in ["", "two words", "tab\tstop", "schlüssel", &long] {
        let answer = post_with(&owner, LIST, ("idempotency-key", key), &[("Type", "gcm")]).await;
        answer.is_error(400, 20001, message);
        assert_eq!(app.audit_event_of(&answer).await.error_code, Some(20001));
    }
    let request = owner
        .request(Method::POST, LIST)
        .header("idempotency-key", "one")
        .header("idempotency-key", "two");
    let answer = owner.send(request.form(&[("Type", "gcm")])).await;
    answer.is_error(400, 20001, "Invalid value for header Idempotency-Key: send it once");
    assert_eq!(credentials(&app).await, 0);
    let longest = "k".repeat(255);
    post_with(&owner, LIST, ("idempotency-key", &longest), &[("Type", "gcm")])
        .await
        .json(201);
}

#[tokio::test]
async fn a_key_means_nothing_to_any_other_operation_decision_30() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = post_with(&owner, LIST, KEY, &[("Type", "gcm")]).await.json(201);
    for name in ["one", "two"] {
        let updated = post_with(&owner, &path(&created), KEY, &[("FriendlyName", name)]).await;
        assert_eq!(updated.json(200)["friendly_name"], name);
    }
    let request = owner
        .request(Method::DELETE, &path(&created))
        .header(KEY.0, "two words");
    assert_eq!(owner.send(request).await.status, 204);
}
