//! Each thing that readiness looks at, failing alone. How schema and root key fail is in `start`, and without the database
//! all fail (`database`).

use serde_json::{Value, json};

use super::{LIST, is_unavailable};
use crate::harness::{Answer, TestApp, TestDatabase, migrated_database, with_admin};

/// Insists that this check failed and no other.
#[track_caller]
fn failed_alone(ready: &Answer, status: u16, check: &str) {
    let ready = ready.json(status);
    let mut expected = json!({ "database": "ok", "schema": "ok", "keyring": "ok", "audit": "ok", "clock": "ok" });
    expected[check] = Value::from("failed");
    assert_eq!(ready["checks"], expected);
}

/// The value of a gauge as it stands in a scrape.
async fn gauge(app: &TestApp, series: &str) -> String {
    let scrape = app.admin().get("/metrics").await.body;
    let line = scrape.lines().find_map(|line| line.strip_prefix(series));
    line.expect(series).trim().to_owned()
}

fn seconds(text: &str) -> f64 {
    text.parse().unwrap()
}

/// Changes how every connection to this database begins from now on.
async fn alter_database(database: &TestDatabase, setting: &str) {
    let pool = sqlx::PgPool::connect(database.url()).await.unwrap();
    let statement =
        format!("do $$ begin execute format('alter database %I set {setting}', current_database()); end $$");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
}

#[tokio::test]
async fn transactions_that_are_read_only_fail_the_audit_alone() {
    let mut app = TestApp::spawn_with(migrated_database(), with_admin).await;
    app.account_named("a");
    alter_database(&app.database, "default_transaction_read_only = on").await;
    app.restart();

    let ready = app.anonymous().get("/readyz").await;

    failed_alone(&ready, 503, "audit");
    assert_eq!(gauge(&app, "pushvault_ready{check=\"audit\"}").await, "0");
    assert_eq!(gauge(&app, "pushvault_ready{check=\"keyring\"}").await, "1");
    // And so it is: reads are served, changes are not.
    app.account("a").get(LIST).await.json(200);
    is_unavailable(&app.account("a").post(LIST, &[("Type", "gcm")]).await);
}

/// A database whose clock is an hour ahead: its own function hides Postgres's.
async fn an_hour_ahead() -> TestDatabase {
    let database = migrated_database();
    let pool = sqlx::PgPool::connect(database.url()).await.unwrap();
    sqlx::raw_sql(
        "create schema shifted;
        create function shifted.clock_timestamp() returns timestamptz language sql
            as 'select pg_catalog.clock_timestamp() + interval ''1 hour''';",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    alter_database(&database, "search_path = shifted, pg_catalog, public").await;
    database
}

#[tokio::test]
async fn clocks_that_differ_are_told_and_take_no_replica_out() {
    let app = TestApp::spawn_with(an_hour_ahead().await, with_admin).await;

    let ready = app.anonymous().get("/readyz").await;

    failed_alone(&ready, 200, "clock");
    assert_eq!(ready.json(200)["status"], "ready");
    assert_eq!(gauge(&app, "pushvault_ready{check=\"clock\"}").await, "0");
    let skew = seconds(&gauge(&app, "pushvault_clock_skew_seconds").await);
    assert!((-3600.5..=-3599.0).contains(&skew), "{skew}");
    app.account("a").post(LIST, &[("Type", "gcm")]).await.json(201);
}

#[tokio::test]
async fn clocks_that_agree_differ_by_nothing() {
    let app = TestApp::spawn_with(migrated_database(), with_admin).await;
    app.anonymous().get("/readyz").await.json(200);
    let skew = seconds(&gauge(&app, "pushvault_clock_skew_seconds").await);
    assert!(skew.abs() < 1.0, "{skew}");
}
