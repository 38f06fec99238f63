//! Honest events that somebody holds back or puts in again: the MAC covers when the vault wrote them down.

use pushvault::trail::Problem;

use super::sealing::{authenticities, keep_from_sealing, let_seal};
use super::{by_sql, event_at, leaves, now, record, seal, sealed_trail, verify};
use crate::harness::{TestApp, operator};

/// Takes the event that is recorded next away before it is sealed, into a table `kept`.
async fn hold_back(app: &TestApp) {
    let turn = keep_from_sealing(app).await;
    record(app, "a").await;
    by_sql(
        app,
        "create table kept as select * from audit_events where event_sid in (select event_sid from audit_unsealed);
        delete from audit_events where event_sid in (select event_sid from kept); delete from audit_unsealed",
    )
    .await;
    let_seal(turn).await;
    record(app, "b").await;
    seal(app);
}

/// Puts what was kept into the table again, after this was done to it.
async fn put_in(app: &TestApp, edit: &str) {
    by_sql(app, &format!("update kept set {edit}")).await;
    sqlx::raw_sql("insert into audit_events select * from kept")
        .execute(&app.pool)
        .await
        .unwrap();
    seal(app);
}

async fn last(app: &TestApp) -> String {
    authenticities(app).await.pop().unwrap()
}

#[tokio::test]
async fn an_event_that_was_held_back_and_is_put_in_with_another_time_is_forged() {
    let later = "occurred_at = occurred_at + interval '5 minutes 1 second'";
    let earlier = "occurred_at = occurred_at - interval '5 minutes 1 second'";
    let both = "occurred_at = occurred_at - interval '1 minute', written_at = written_at - interval '1 minute'";
    let not_said = "written_at = null";
    let unbounded = "written_at = 'infinity'";
    for edit in [later, earlier, both, not_said, unbounded] {
        let app = sealed_trail().await;
        hold_back(&app).await;
        put_in(&app, edit).await;
        assert_eq!(last(&app).await, "forged", "{edit}");
        assert_eq!(verify(&app, &[]).verdict.count, 1, "{edit}");
    }
}

#[tokio::test]
async fn an_event_that_is_only_late_is_what_it_is() {
    let app = sealed_trail().await;
    hold_back(&app).await;
    put_in(&app, "occurred_at = occurred_at + interval '1 second'").await;
    assert_eq!(last(&app).await, "authentic");
    assert!(verify(&app, &[]).verdict.is_whole());
}

#[tokio::test]
async fn an_event_that_was_pruned_does_not_happen_again_at_another_time() {
    let app = sealed_trail().await;
    let victim = event_at(&app, leaves(&app).await - 1).await;
    let copied = format!("create table kept as select * from audit_events where event_sid = '{victim}'");
    by_sql(&app, &copied).await;
    let time = now(&app).await;
    app.vault(|vault| async move { vault.prune_trail(&operator(), time).await })
        .unwrap();
    record(&app, "a").await;
    put_in(&app, "occurred_at = occurred_at - interval '6 minutes'").await;
    let found = verify(&app, &[]).verdict.findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].event_sid.as_ref(), &found[0].problem),
        (Some(&victim), &Problem::Forged)
    );
}

#[tokio::test]
async fn what_the_vault_wrote_is_in_the_record_to_the_microsecond() {
    let app = sealed_trail().await;
    let apart: Vec<f64> =
        sqlx::query_scalar("select abs(extract(epoch from occurred_at - written_at))::float8 from audit_events")
            .fetch_all(&app.pool)
            .await
            .unwrap();
    assert_eq!(apart.len(), 6);
    assert!(apart.iter().all(|seconds| *seconds < 60.0), "{apart:?}");
    assert!(verify(&app, &[]).verdict.is_whole());
}
