//! `DELETE /v2/Credentials/{Sid}`.

use super::{create, path, sid};
use crate::harness::TestApp;

#[tokio::test]
async fn a_delete_answers_204_and_from_then_on_there_is_nothing_decision_20() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "gcm"), ("ApiKey", "k")]).await;
    let path = path(&created);

    let deleted = owner.delete(&path).await;

    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    assert_eq!(deleted.header("content-type"), None);
    owner.delete(&path).await.is_not_found(&path);
    owner.get(&path).await.is_not_found(&path);
    owner.post(&path, &[("FriendlyName", "n")]).await.is_not_found(&path);
    owner.post(&path, &[("ApiKey", "l")]).await.is_not_found(&path);
}

#[tokio::test]
async fn what_was_deleted_stays_for_the_operator_and_opens_decision_20() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "gcm"), ("ApiKey", "k")]).await;
    owner.delete(&path(&created)).await;

    assert_eq!(app.opened(sid(&created)).await[0].api_key.as_deref(), Some("k"));
    let report = app.replica(|vault| async move { vault.verify().await.unwrap() });
    assert_eq!((report.opened, report.findings.len()), (1, 0));
    let is_marked: bool =
        sqlx::query_scalar("select deleted_at is not null from credentials where credential_sid = $1")
            .bind(sid(&created))
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert!(is_marked);
}

#[tokio::test]
async fn a_delete_takes_one_credential_and_leaves_its_neighbours() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let kept = create(&owner, &[("Type", "gcm")]).await;
    let deleted = create(&owner, &[("Type", "gcm")]).await;
    owner.delete(&path(&deleted)).await;
    assert_eq!(owner.get(&path(&kept)).await.json(200), kept);
}
