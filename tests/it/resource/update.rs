//! `POST /v2/Credentials/{Sid}`.

use serde_json::{Value, json};

use super::{create, path, sid};
use crate::harness::{OTHER_KEY, TestApp, apns_certificate, apns_pair, apns_private_key, canonical_pem};

/// Sets the clock of a credential back, so that a change shows in dates that have whole seconds.
async fn make_old(app: &TestApp, credential: &Value) -> Value {
    sqlx::query(
        "update credentials set created_at = '2020-01-01 00:00:00+00', updated_at = '2020-01-02 00:00:00+00'
        where credential_sid = $1",
    )
    .bind(sid(credential))
    .execute(&app.pool)
    .await
    .unwrap();
    app.account("a").get(&path(credential)).await.json(200)
}

#[tokio::test]
async fn a_new_name_changes_the_name_and_makes_no_version() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "gcm"), ("FriendlyName", "old"), ("ApiKey", "k")]).await;
    let before = make_old(&app, &created).await;
    let versions = app.opened(sid(&created)).await;

    let updated = owner.post(&path(&created), &[("FriendlyName", "new")]).await;

    let mut expected = before.clone();
    expected["friendly_name"] = json!("new");
    expected["date_updated"] = updated.json(200)["date_updated"].clone();
    assert_eq!(updated.json(200), expected);
    assert_ne!(expected["date_updated"], before["date_updated"]);
    assert_eq!(owner.get(&path(&created)).await.json(200), expected);
    assert_eq!(app.opened(sid(&created)).await, versions);
    let event = app.audit_event_of(&updated).await;
    assert_eq!((event.target_version, event.envelope_digest), (None, None));
    assert_eq!(event.changed_fields, ["FriendlyName"]);
}

#[tokio::test]
async fn a_new_secret_makes_a_version_and_the_old_one_still_opens() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let form = [
        ("Type", "apn"),
        ("Certificate", apns_pair()),
        ("PrivateKey", apns_pair()),
    ];
    let created = create(&owner, &form).await;

    owner
        .post(&path(&created), &[("PrivateKey", OTHER_KEY)])
        .await
        .json(200);

    let opened = app.opened(sid(&created)).await;
    assert_eq!(opened.iter().map(|version| version.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(opened[0].private_key, Some(apns_private_key()));
    assert_eq!(opened[1].private_key, Some(canonical_pem(OTHER_KEY, "RSA PRIVATE KEY")));
    // What the request does not name stays.
    assert_eq!(opened[1].certificate, Some(apns_certificate()));
}

#[tokio::test]
async fn another_sandbox_seals_the_secrets_again_bound_to_it() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let form = [
        ("Type", "apn"),
        ("Certificate", apns_pair()),
        ("PrivateKey", apns_pair()),
    ];
    let created = create(&owner, &form).await;

    let updated = owner.post(&path(&created), &[("Sandbox", "true")]).await.json(200);

    assert_eq!(updated["sandbox"], "True");
    let opened = app.opened(sid(&created)).await;
    assert_eq!(
        opened.iter().map(|version| version.sandbox).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(opened[1].private_key, Some(apns_private_key()));
    let same = owner.post(&path(&created), &[("Sandbox", "TRUE")]).await.json(200);
    assert_eq!(same["sandbox"], "True");
    assert_eq!(
        app.opened(sid(&created)).await.len(),
        2,
        "the same sandbox is no reason to seal again"
    );
}

#[tokio::test]
async fn an_update_that_asks_for_nothing_changes_nothing_decision_11() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "fcm"), ("FriendlyName", "n"), ("Secret", "s")]).await;
    let before = make_old(&app, &created).await;
    let forms: [&[(&str, &str)]; 5] = [
        &[],
        &[("Nothing", "that counts"), ("friendlyName", "misspelt")],
        &[("Type", "fcm")],
        &[("Secret", ""), ("Certificate", "")],
        // fcm has no sandbox to change.
        &[("Sandbox", "true")],
    ];
    for form in forms {
        let answer = owner.post(&path(&created), form).await;
        assert_eq!(answer.json(200), before, "{form:?}");
        assert_eq!(app.audit_events_of(&answer).await, [], "{form:?}");
    }
    let answer = owner.send(owner.request(reqwest::Method::POST, &path(&created))).await;
    assert_eq!(answer.json(200), before, "no body and no type of one");
    assert_eq!(app.opened(sid(&created)).await.len(), 1);
}

#[tokio::test]
async fn an_empty_friendly_name_clears_it_decision_4() {
    // Node's SDK sends an empty value for null.
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "gcm"), ("FriendlyName", "n")]).await;
    let updated = owner.post(&path(&created), &[("FriendlyName", "")]).await.json(200);
    assert_eq!(updated["friendly_name"], Value::Null);
    assert_eq!(owner.get(&path(&created)).await.json(200)["friendly_name"], Value::Null);
}

#[tokio::test]
async fn the_type_may_be_repeated_in_any_case_and_never_changed_decision_12() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "fcm")]).await;
    let updated = owner
        .post(&path(&created), &[("Type", "FCM"), ("FriendlyName", "n")])
        .await;
    assert_eq!(updated.json(200)["friendly_name"], "n");
    let refused = owner
        .post(&path(&created), &[("Type", "gcm"), ("FriendlyName", "m")])
        .await;
    let message =
        "Invalid value for parameter Type: the type of a credential cannot change; create a new credential instead";
    refused.is_error(400, 20001, message);
    let kept = owner.get(&path(&created)).await.json(200);
    assert_eq!((&kept["type"], &kept["friendly_name"]), (&json!("fcm"), &json!("n")));
}

#[tokio::test]
async fn a_refused_update_changes_nothing_of_what_it_named() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let form = [("Type", "apn"), ("FriendlyName", "n"), ("PrivateKey", apns_pair())];
    let created = create(&owner, &form).await;
    let before = make_old(&app, &created).await;
    let form = [("FriendlyName", "m"), ("Sandbox", "true"), ("PrivateKey", "no key")];
    let refused = owner.post(&path(&created), &form).await;
    assert_eq!(refused.status, 400);
    assert_eq!(owner.get(&path(&created)).await.json(200), before);
    assert_eq!(app.opened(sid(&created)).await.len(), 1);
}
