//! The audit trail cannot be written: then nothing is.

use std::time::{Duration, Instant};

use super::{LIST, credential, everything, is_unavailable};
use crate::harness::TestApp;
use crate::process::wait_until;

/// Lets the service wait for no lock for long, or as long as it takes.
fn wait_for_locks(app: &mut TestApp, limit: Duration) {
    app.restart_with(|settings| settings.database.statement_timeout = limit);
}

const NOT_LONG: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(30);

/// Insists on a 503 for everything that leaves an event: changes, and refusals, which are events too.
async fn no_mutation_is_taken(app: &TestApp, path: &str) {
    let owner = app.account("a");
    is_unavailable(&owner.post(LIST, &[("Type", "gcm"), ("ApiKey", "x")]).await);
    is_unavailable(&owner.post(path, &[("ApiKey", "x")]).await);
    is_unavailable(&owner.post(path, &[("FriendlyName", "x")]).await);
    is_unavailable(&owner.delete(path).await);
    is_unavailable(&owner.post(LIST, &[]).await);
    is_unavailable(&app.anonymous().delete(path).await);
}

#[tokio::test]
async fn while_the_audit_trail_is_locked_no_mutation_is_acknowledged_and_none_is_done() {
    let mut app = TestApp::spawn().await;
    let path = credential(&app).await;
    let before = everything(&app).await;
    wait_for_locks(&mut app, NOT_LONG);
    let owner = app.account("a");

    let begun = Instant::now();
    let mut lock = app.pool.begin().await.unwrap();
    sqlx::query("lock table audit_events in share mode")
        .execute(&mut *lock)
        .await
        .unwrap();
    no_mutation_is_taken(&app, &path).await;
    // Each within a statement for the change and one for the refusal.
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    // Reads and updates that ask for nothing need no event.
    let kept = owner.get(&path).await.json(200);
    assert_eq!(owner.post(&path, &[]).await.json(200), kept);
    lock.rollback().await.unwrap();

    assert_eq!(everything(&app).await, before);
    wait_for_locks(&mut app, LONG);
    app.account("a").post(&path, &[("ApiKey", "x")]).await.json(200);
}

/// Insists that a change is made, and that its event becomes a leaf as all before it.
async fn changes_are_made_and_sealed(app: &TestApp, path: &str) {
    app.account("a").post(path, &[("ApiKey", "x")]).await.json(200);
    wait_until("every event is sealed", async || {
        sqlx::query_scalar(
            "select not exists (select from audit_unsealed)
                and (select count(*) from audit_leaves) = (select count(*) from audit_events)",
        )
        .fetch_one(&app.pool)
        .await
        .unwrap()
    })
    .await;
}

#[tokio::test]
async fn while_the_events_that_wait_to_be_sealed_are_locked_no_mutation_is_done() {
    let mut app = TestApp::spawn().await;
    let path = credential(&app).await;
    let before = everything(&app).await;
    wait_for_locks(&mut app, NOT_LONG);

    let mut lock = app.pool.begin().await.unwrap();
    sqlx::query("lock table audit_unsealed in access exclusive mode")
        .execute(&mut *lock)
        .await
        .unwrap();
    no_mutation_is_taken(&app, &path).await;
    app.account("a").get(&path).await.json(200);
    lock.rollback().await.unwrap();

    assert_eq!(everything(&app).await, before);
    wait_for_locks(&mut app, LONG);
    changes_are_made_and_sealed(&app, &path).await;
}

#[tokio::test]
async fn where_no_event_can_wait_to_be_sealed_no_mutation_is_done() {
    let app = TestApp::spawn().await;
    let path = credential(&app).await;
    let before = everything(&app).await;

    by_sql(&app, "alter table audit_unsealed rename to elsewhere").await;
    no_mutation_is_taken(&app, &path).await;
    app.account("a").get(&path).await.json(200);
    by_sql(&app, "alter table elsewhere rename to audit_unsealed").await;

    assert_eq!(everything(&app).await, before);
    changes_are_made_and_sealed(&app, &path).await;
}

async fn by_sql(app: &TestApp, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&app.pool).await.unwrap();
}

#[tokio::test]
async fn an_audit_trail_that_refuses_rows_stops_every_mutation() {
    let app = TestApp::spawn().await;
    let path = credential(&app).await;
    let owner = app.account("a");
    let before = everything(&app).await;
    // What a missing privilege answers; the superuser of the tests has every privilege.
    sqlx::raw_sql(
        "create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'no' using errcode = 'insufficient_privilege'; end $$;
        create trigger refuse before insert on audit_events for each row execute function refuse();",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    is_unavailable(&owner.post(LIST, &[("Type", "gcm"), ("ApiKey", "x")]).await);
    is_unavailable(&owner.post(&path, &[("ApiKey", "x")]).await);
    is_unavailable(&owner.delete(&path).await);
    is_unavailable(&owner.post(LIST, &[("Type", "x")]).await);
    assert_eq!(everything(&app).await, before);
    owner.get(&path).await.json(200);
}

#[tokio::test]
async fn a_database_that_is_read_only_refuses_every_mutation_and_takes_them_when_it_is_not() {
    let mut app = TestApp::spawn().await;
    let path = credential(&app).await;
    let before = everything(&app).await;
    set_read_only(&app, "on").await;
    app.restart();

    no_mutation_is_taken(&app, &path).await;
    app.account("a").get(&path).await.json(200);

    assert_eq!(everything(&app).await, before);
    set_read_only(&app, "off").await;
    app.restart();
    app.account("a").post(&path, &[("ApiKey", "x")]).await.json(200);
}

/// Holds from the next connection on.
async fn set_read_only(app: &TestApp, value: &str) {
    let statement = format!(
        "set default_transaction_read_only = off;
        do $$ begin
            execute format('alter database %I set default_transaction_read_only = {value}', current_database());
        end $$"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&app.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_change_that_fails_after_its_rows_were_written_leaves_nothing_but_its_failed_event() {
    let app = TestApp::spawn().await;
    let path = credential(&app).await;
    let owner = app.account("a");
    // The event of a success is refused by something that is no passing condition; that of a failure is not.
    sqlx::raw_sql("alter table audit_events add constraint no_success check (outcome <> 'success') not valid")
        .execute(&app.pool)
        .await
        .unwrap();
    let before = everything(&app).await;
    let mut events = Vec::new();
    for answer in [
        owner.post(LIST, &[("Type", "gcm"), ("ApiKey", "x")]).await,
        owner.post(&path, &[("ApiKey", "x"), ("FriendlyName", "x")]).await,
        owner.delete(&path).await,
    ] {
        answer.is_error(500, 20500, "Internal Server Error");
        let event = app.audit_event_of(&answer).await;
        assert_eq!((event.outcome.as_str(), event.error_code), ("failed", Some(20500)));
        events.push(event.event_sid);
    }
    let mut after = everything(&app).await;
    after.retain(|row| !events.iter().any(|sid| row["event_sid"] == sid.as_str()));
    assert_eq!(after, before);
}
