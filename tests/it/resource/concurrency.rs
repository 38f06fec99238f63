//! Callers at the same time: what each was told is so, and every change has its event.

use std::collections::BTreeSet;

use super::{LIST, create, path, sid};
use crate::harness::{TestApp, at_once};

/// How many at a time: more than the service has connections.
const CALLERS: usize = 12;

/// Versions without an event of the same digest, and events of a version that is not there.
async fn unmatched(app: &TestApp) -> i64 {
    sqlx::query_scalar(
        "select count(*)
        from credential_versions as version
        full join (select * from audit_events where envelope_digest is not null) as event
            on (event.account_sid, event.target_sid, event.target_version, event.envelope_digest)
                = (version.account_sid, version.credential_sid, version.version, version.envelope_digest)
        where version.version is null or event.event_sid is null",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn updates_at_once_each_make_a_version_of_their_own_and_none_is_lost() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "gcm"), ("ApiKey", "first")]).await;
    let path = path(&created);

    let answers = at_once(CALLERS, |number| {
        let (owner, path, key) = (owner.clone(), path.clone(), format!("key {number}"));
        async move { owner.post(&path, &[("ApiKey", &key)]).await }
    })
    .await;

    for answer in &answers {
        answer.json(200);
    }
    let opened = app.opened(sid(&created)).await;
    let versions: Vec<_> = opened.iter().map(|version| version.version).collect();
    assert_eq!(versions, (1..=13).collect::<Vec<_>>());
    let keys: BTreeSet<_> = opened.iter().filter_map(|version| version.api_key.clone()).collect();
    assert_eq!(keys.len(), CALLERS + 1, "{keys:?}");
    assert_eq!(unmatched(&app).await, 0);
}

#[tokio::test]
async fn creates_at_once_are_all_there_and_all_recorded() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let answers = at_once(CALLERS, |_| {
        let owner = owner.clone();
        async move { owner.post(LIST, &[("Type", "fcm"), ("Secret", "s")]).await }
    })
    .await;
    let told: BTreeSet<_> = answers.iter().map(|answer| sid(&answer.json(201)).to_owned()).collect();
    assert_eq!(told.len(), CALLERS);
    let listed = owner.get(LIST).await.json(200);
    let listed: BTreeSet<_> = listed["credentials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| sid(row).to_owned())
        .collect();
    assert_eq!(listed, told);
    assert_eq!(unmatched(&app).await, 0);
}

#[tokio::test]
async fn of_deletes_at_once_one_succeeds_and_an_update_comes_before_it_or_not_at_all() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "gcm"), ("ApiKey", "first")]).await;
    let path = path(&created);
    let answers = at_once(CALLERS, |number| {
        let (owner, path) = (owner.clone(), path.clone());
        async move {
            if number % 2 == 0 {
                owner.delete(&path).await
            } else {
                owner.post(&path, &[("ApiKey", "k")]).await
            }
        }
    })
    .await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(count(204), 1);
    assert_eq!(count(200) + count(204) + count(404), CALLERS);
    assert_eq!(app.opened(sid(&created)).await.len(), 1 + count(200));
    for answer in &answers {
        let event = app.audit_event_of(answer).await;
        assert_eq!(event.outcome == "success", answer.status < 300, "{event:?}");
    }
    assert_eq!(unmatched(&app).await, 0);
    owner.get(&path).await.is_not_found(&path);
}
