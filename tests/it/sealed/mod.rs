//! The sealed audit trail: what is recorded becomes a leaf of the tree, and whatever is done to it by SQL is noticed.

#![expect(clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod cunning;
mod export;
mod forgery;
mod held_back;
mod hiding;
mod odd_rows;
mod prune;
mod prune_beside;
mod publish;
mod sealing;
mod tampering;

use pushvault::service::TrailReport;
use pushvault::trail::{Checkpoint, ExportFormat, ExportVerdict, Finding, TrailError, VerifierKey, verify_export};
use sqlx::{AssertSqlSafe, Row as _};
use time::OffsetDateTime;

use crate::harness::TestApp;

/// The leaf that the tests harm, with events before and after it.
const LEAF: i64 = 3;

/// The SID of an event that never happened.
const MADE_UP: &str = "AEffffffffffffffffffffffffffffffff";

/// The tables of the trail.
pub(crate) const TABLES: [&str; 6] = [
    "audit_events",
    "audit_leaves",
    "audit_hashes",
    "audit_checkpoints",
    "audit_prunings",
    "audit_unsealed",
];

/// A service with some credentials of two accounts, whose events are sealed.
async fn sealed_trail() -> TestApp {
    let app = TestApp::spawn().await;
    for name in ["a", "b", "a"] {
        record(&app, name).await;
    }
    seal(&app);
    app
}

/// Records a create.
async fn record(app: &TestApp, account: &str) {
    let form = [("Type", "fcm"), ("FriendlyName", "first"), ("Secret", "a secret")];
    let request = app
        .account(account)
        .request(reqwest::Method::POST, "/v2/Credentials")
        .header("user-agent", "twilio-python/9.13.0")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .form(&form);
    app.account(account).send(request).await.json(201);
}

/// What the database's clock says.
async fn now(app: &TestApp) -> OffsetDateTime {
    sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

/// Seals what is recorded, and answers the checkpoint.
fn seal(app: &TestApp) -> Checkpoint {
    app.vault(|vault| async move { vault.seal().await }).unwrap().unwrap()
}

/// Verifies the trail in the database, by a process that has just begun.
fn verify(app: &TestApp, checkpoints: &[Checkpoint]) -> TrailReport {
    app.replica(|vault| async move { vault.verify_trail(checkpoints).await })
        .unwrap()
}

/// The trail as an export.
pub(crate) fn export(app: &TestApp, since: Option<OffsetDateTime>, format: ExportFormat) -> Vec<String> {
    app.replica(|vault| async move {
        let mut lines = Vec::new();
        let mut write = |line: &serde_json::Value| {
            lines.push(line.to_string());
            Ok(())
        };
        vault.export_trail(since, format, &mut write).await.unwrap();
        lines
    })
}

/// Verifies an export, without the vault.
fn verify_lines(lines: &[String], checkpoints: &[Checkpoint], key: &VerifierKey) -> Result<ExportVerdict, TrailError> {
    verify_export(
        lines.iter().map(|line| Ok(line.clone())),
        checkpoints,
        std::slice::from_ref(key),
    )
}

fn key_of(app: &TestApp) -> VerifierKey {
    app.vault(|vault| async move { vault.verifier_key() })
}

/// Does something to the tables as their owner, who can make the triggers look away.
async fn by_sql(app: &TestApp, statements: &str) {
    let triggers = |word: &str| {
        TABLES
            .map(|table| format!("alter table {table} {word} trigger user;"))
            .concat()
    };
    let script = format!("{}{statements};{}", triggers("disable"), triggers("enable"));
    let mut result = sqlx::raw_sql(AssertSqlSafe(script.clone())).execute(&app.pool).await;
    // The sealer takes its locks in another order.
    while result.as_ref().is_err_and(is_deadlock) {
        result = sqlx::raw_sql(AssertSqlSafe(script.clone())).execute(&app.pool).await;
    }
    result.unwrap();
}

fn is_deadlock(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .as_deref()
        == Some("40P01")
}

/// Keeps a copy of the tables of the trail.
async fn keep_tables(app: &TestApp) {
    let copies = TABLES.map(|table| format!("create table kept_{table} as table {table};"));
    by_sql(app, &copies.concat()).await;
}

/// Puts the copies in the place of what is there.
async fn restore_tables(app: &TestApp) {
    let removals = TABLES.map(|table| format!("delete from {table};"));
    let copies = TABLES.map(|table| format!("insert into {table} select * from kept_{table};"));
    by_sql(app, &(removals.concat() + &copies.concat())).await;
}

/// An event that never happened: a copy of this one.
fn insertion(of: &str) -> String {
    format!(
        "insert into audit_events select * from (
            select (jsonb_populate_record(audit_events, '{{\"event_sid\": \"{MADE_UP}\"}}')).* from audit_events
            where event_sid = '{of}'
        ) as copied"
    )
}

/// The event that a leaf is.
async fn event_at(app: &TestApp, leaf: i64) -> String {
    sqlx::query("select event_sid from audit_leaves where leaf_index = $1")
        .bind(leaf)
        .fetch_one(&app.pool)
        .await
        .unwrap()
        .get(0)
}

/// How many leaves there are.
async fn leaves(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from audit_leaves")
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

/// The first finding.
fn first(findings: &[Finding]) -> &Finding {
    findings.first().expect("something that is wrong")
}
