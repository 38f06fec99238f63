//! Sealing: each event once, by one sealer at a time, and nobody waits for it.

use std::collections::BTreeSet;
use std::time::Duration;

use pushvault::trail::Problem;
use sqlx::Row as _;

use super::{by_sql, event_at, first, leaves, record, seal, sealed_trail, verify};
use crate::harness::TestApp;
use crate::process::wait_until;

/// How each leaf was found, in order.
pub(super) async fn authenticities(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar("select authenticity from audit_leaves order by leaf_index")
        .fetch_all(&app.pool)
        .await
        .unwrap()
}

/// Takes the turn to seal, so that nothing is sealed until the connection ends.
pub(super) async fn keep_from_sealing(app: &TestApp) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
    let mut connection = app.pool.acquire().await.unwrap();
    sqlx::query("select pg_advisory_lock(hashtextextended('audit_trail', 0))")
        .execute(&mut *connection)
        .await
        .unwrap();
    connection
}

pub(super) async fn let_seal(mut turn: sqlx::pool::PoolConnection<sqlx::Postgres>) {
    sqlx::query("select pg_advisory_unlock_all()")
        .execute(&mut *turn)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_many_writers_record_at_once_becomes_one_leaf_each_in_the_order_of_its_time() {
    let app = TestApp::spawn().await;
    let replica = app.another(|_| {});
    let clients = ["a", "b", "c"].map(|name| app.account(name));
    let mut writers = Vec::new();
    for client in clients {
        for client in [replica.client(&client), client] {
            writers.push(tokio::spawn(async move {
                for _ in 0..10 {
                    client
                        .post("/v2/Credentials", &[("Type", "fcm"), ("Secret", "s")])
                        .await
                        .json(201);
                }
            }));
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let checkpoint = seal(&app);

    let events: i64 = app.audit_count().await;
    assert_eq!(leaves(&app).await, events);
    assert_eq!(i64::try_from(checkpoint.size()).unwrap(), events);
    let distinct: BTreeSet<String> = sqlx::query_scalar("select event_sid from audit_leaves")
        .fetch_all(&app.pool)
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(i64::try_from(distinct.len()).unwrap(), events);
    assert!(verify(&app, &[checkpoint]).verdict.is_whole());
}

#[tokio::test]
async fn what_is_recorded_is_sealed_within_seconds_without_anybody_asking() {
    let app = TestApp::spawn().await;
    record(&app, "a").await;
    wait_until("it is sealed", async || leaves(&app).await == app.audit_count().await).await;
    assert!(authenticities(&app).await.iter().all(|found| found == "authentic"));
}

#[tokio::test]
async fn writers_do_not_wait_while_nothing_can_be_sealed_and_the_metrics_say_so() {
    let app = TestApp::spawn_with_admin().await;
    record(&app, "a").await;
    seal(&app);
    let before = leaves(&app).await;
    let turn = keep_from_sealing(&app).await;
    for _ in 0..3 {
        record(&app, "a").await;
    }
    wait_until("the backlog is told of", async || {
        let text = app.admin().get("/metrics").await.body;
        text.contains("\npushvault_audit_unsealed_events 3\n")
    })
    .await;
    assert_eq!(leaves(&app).await, before);

    let_seal(turn).await;
    wait_until("it is sealed", async || leaves(&app).await == before + 3).await;
    wait_until("that is told of", async || {
        let text = app.admin().get("/metrics").await.body;
        text.contains("\npushvault_audit_unsealed_events 0\n")
            && text.contains(&format!("\npushvault_audit_tree_size {}\n", before + 3))
    })
    .await;
}

#[tokio::test]
async fn what_waits_while_another_process_has_the_turn_is_called_nothing_bad() {
    let app = sealed_trail().await;
    let before = leaves(&app).await;
    let turn = keep_from_sealing(&app).await;
    record(&app, "a").await;
    let report = verify(&app, &[]);
    assert!(report.verdict.is_whole(), "{:?}", report.verdict);
    let unsealed = report.unsealed.unwrap();
    assert!(unsealed.contains("another process seals"), "{unsealed}");
    assert_eq!(leaves(&app).await, before);

    let_seal(turn).await;
    let report = verify(&app, &[]);
    assert!(report.verdict.is_whole(), "{:?}", report.verdict);
    assert_eq!((report.unsealed, leaves(&app).await), (None, before + 1));
}

#[tokio::test]
async fn a_checkpoint_of_the_key_in_use_is_looked_at_without_a_look_at_the_events() {
    let app = sealed_trail().await;
    let turn = keep_from_sealing(&app).await;
    let mut locked = app.pool.begin().await.unwrap();
    sqlx::query("lock table audit_events in access exclusive mode")
        .execute(&mut *locked)
        .await
        .unwrap();
    // It looks at the checkpoint before it asks for the turn.
    let refusal = app.replica(|vault| async move { vault.seal().await });
    let refusal = refusal.err().unwrap().to_string();
    assert!(refusal.contains("another process seals"), "{refusal}");
    locked.rollback().await.unwrap();
    let_seal(turn).await;
}

#[tokio::test]
async fn an_event_that_is_edited_before_it_is_sealed_is_sealed_as_forged() {
    let app = sealed_trail().await;
    let turn = keep_from_sealing(&app).await;
    record(&app, "a").await;
    record(&app, "b").await;
    let waiting = "(select event_sid from audit_unsealed order by event_sid limit 1)";
    let victim: String = sqlx::query("select event_sid from audit_unsealed order by event_sid limit 1")
        .fetch_one(&app.pool)
        .await
        .unwrap()
        .get(0);
    by_sql(
        &app,
        &format!("update audit_events set user_agent = 'edited' where event_sid = {waiting}"),
    )
    .await;
    let_seal(turn).await;
    seal(&app);
    let report = verify(&app, &[]);
    let found = first(&report.verdict.findings);
    assert_eq!(
        (found.event_sid.as_ref(), &found.problem),
        (Some(&victim), &Problem::Forged)
    );
    assert_eq!(report.verdict.count, 1);
}

#[tokio::test]
async fn an_event_whose_time_was_moved_before_it_is_sealed_is_sealed_as_forged() {
    let app = sealed_trail().await;
    for time in ["now() + interval '1 hour'", "now() - interval '6 minutes'"] {
        let turn = keep_from_sealing(&app).await;
        record(&app, "a").await;
        by_sql(
            &app,
            &format!(
                "update audit_events set occurred_at = {time} where event_sid in (select event_sid from audit_unsealed)"
            ),
        )
        .await;
        let_seal(turn).await;
        seal(&app);
        assert_eq!(authenticities(&app).await.last().unwrap(), "forged", "{time}");
    }
}

#[tokio::test]
async fn an_event_that_is_removed_before_it_is_sealed_is_missed() {
    let app = sealed_trail().await;
    let turn = keep_from_sealing(&app).await;
    record(&app, "a").await;
    by_sql(
        &app,
        "delete from audit_events where event_sid in (select event_sid from audit_unsealed)",
    )
    .await;
    let_seal(turn).await;
    seal(&app);
    let report = verify(&app, &[]);
    let found = first(&report.verdict.findings);
    assert_eq!(found.problem, Problem::RemovedUnsealed);
    assert_eq!(found.event_sid, Some(event_at(&app, leaves(&app).await - 1).await));
}

/// Makes the trail what an upgrade from a release without MACs finds: events and no tree. Whether there is a key depends on
/// whether that release had to sign something.
pub(super) async fn as_after_an_upgrade(app: &TestApp) {
    by_sql(
        app,
        "delete from audit_leaves; delete from audit_hashes; delete from audit_checkpoints;
        update audit_events set mac = null, mac_key_id = null, written_at = null;
        insert into audit_unsealed (account_sid, event_sid) select account_sid, event_sid from audit_events
            on conflict do nothing",
    )
    .await;
}

/// Records an event as a release without MACs does.
pub(super) async fn record_without_mac(app: &TestApp, number: u32) {
    sqlx::query(
        "insert into audit_events (account_sid, event_sid, actor_type, action, outcome)
        values ('AC00000000000000000000000000000000', 'AE' || lpad($1::text, 32, '0'), 'anonymous', 'x', 'success')",
    )
    .bind(i32::try_from(number).unwrap())
    .execute(&app.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn events_of_an_earlier_release_are_sealed_as_they_are_for_as_long_as_an_upgrade_may_last() {
    for key in ["delete from signing_keys", "select"] {
        let mut app = sealed_trail().await;
        let turn = keep_from_sealing(&app).await;
        as_after_an_upgrade(&app).await;
        by_sql(&app, key).await;
        let_seal(turn).await;
        app.restart();
        record(&app, "a").await;
        seal(&app);
        record_without_mac(&app, 1).await;
        seal(&app);
        let found = authenticities(&app).await;
        assert_eq!(
            found.iter().filter(|found| *found == "unsigned").count(),
            7,
            "{found:?}"
        );
        assert!(!found.contains(&"forged".to_owned()), "{found:?}");
        let report = verify(&app, &[]);
        assert!(report.verdict.is_whole(), "{key}: {:?}", report.verdict);
        assert_eq!(report.verdict.unsigned, 7);
    }
}

#[tokio::test]
async fn an_earlier_release_may_go_on_while_the_first_of_all_leaves_are_sealed() {
    let mut app = sealed_trail().await;
    let turn = keep_from_sealing(&app).await;
    as_after_an_upgrade(&app).await;
    app.restart();
    record(&app, "a").await;
    record_without_mac(&app, 1).await;
    let_seal(turn).await;
    seal(&app);
    let found = authenticities(&app).await;
    assert_eq!(found.last().unwrap(), "unsigned", "{found:?}");
    let report = verify(&app, &[]);
    assert!(report.verdict.is_whole(), "{:?}", report.verdict);
    assert_eq!(report.verdict.unsigned, 7);
}

#[tokio::test]
async fn when_an_upgrade_is_long_over_no_event_comes_without_a_mac() {
    let mut app = sealed_trail().await;
    let turn = keep_from_sealing(&app).await;
    as_after_an_upgrade(&app).await;
    let_seal(turn).await;
    app.restart();
    record(&app, "a").await;
    seal(&app);
    let long_ago = "update audit_events set occurred_at = now() - interval '2 days' where mac is not null";
    by_sql(&app, long_ago).await;
    record_without_mac(&app, 1).await;
    seal(&app);
    assert_eq!(authenticities(&app).await.last().unwrap(), "forged");
}

#[tokio::test]
async fn a_tree_that_does_not_fit_its_checkpoint_is_not_built_upon() {
    let app = sealed_trail().await;
    by_sql(&app, r"update audit_hashes set hash = decode(repeat('00', 32), 'hex')").await;
    record(&app, "a").await;
    let refusal = app
        .replica(|vault| async move { vault.seal().await })
        .err()
        .unwrap()
        .to_string();
    assert!(refusal.contains("audit verify"), "{refusal}");
    assert!(app.audit_count().await > leaves(&app).await);
    tokio::time::timeout(Duration::from_secs(10), record(&app, "a"))
        .await
        .expect("writers go on");
}
