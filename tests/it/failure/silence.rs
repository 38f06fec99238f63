//! Connections whose other end is gone without a word: what works in the background asks on others, and comes to its end.

use std::fs;

use crate::harness::Gate;
use crate::process::{Database, Deployment, wait_until};

/// What all that works in the background needs: the beat of the replica, the sealer and the publisher.
const LOCK: &str = "lock table replicas, audit_checkpoints in access exclusive mode";
const ALL_WAIT: &str = "select count(*) filter (where relation = 'replicas'::regclass) >= 1
    and count(*) filter (where relation = 'audit_checkpoints'::regclass) >= 2
    from pg_locks join pg_database on pg_database.oid = database and datname = current_database() where not granted";
const NOBODY_IS_ASKED: &str = "select count(*) = 0 from pg_stat_activity
    where datname = current_database() and state = 'active' and pid <> pg_backend_pid()";

/// A deployment that publishes its checkpoints in a file, the gate that it goes through, and a connection past it.
async fn behind_a_gate() -> (Deployment, Gate, Database) {
    let deployment = Deployment::migrated();
    let database = deployment.database().await;
    let gate = Gate::before_url(deployment.setting("DATABASE__URL"));
    let file = deployment.path().join("checkpoint");
    let deployment = deployment
        .with("DATABASE__URL", gate.url())
        .with("DATABASE__STATEMENT_TIMEOUT_SECONDS", "2")
        .with("CHECKPOINT__FILE", &file.to_string_lossy());
    (deployment, gate, database)
}

/// Silences every connection while all that works in the background waits for an answer.
async fn silence_all_that_wait(database: &Database, gate: &Gate) {
    database.execute("begin").await;
    database.execute(LOCK).await;
    database.wait_for("all that works in the background", ALL_WAIT).await;
    gate.silence();
    database.execute("rollback").await;
}

#[tokio::test]
async fn what_works_in_the_background_goes_on_after_its_connections_fell_silent() {
    let (deployment, gate, database) = behind_a_gate().await;
    let service = deployment.serve();

    silence_all_that_wait(&database, &gate).await;
    database
        .wait_for("the answers that do not arrive", NOBODY_IS_ASKED)
        .await;
    database.execute("update replicas set seen_at = 'epoch'").await;
    deployment.create_account();

    database
        .wait_for("a sign of life", "select bool_and(seen_at > 'epoch') from replicas")
        .await;
    let events: i64 = database.value("select count(*) from audit_events").await;
    wait_until("the checkpoint of all events is published", async || {
        let note = fs::read_to_string(deployment.setting("CHECKPOINT__FILE")).unwrap_or_default();
        note.lines().nth(1) == Some(&events.to_string())
    })
    .await;
    service.stop();
}

#[tokio::test]
async fn a_vault_ends_when_it_is_told_to_although_its_connections_are_silent() {
    let (deployment, gate, database) = behind_a_gate().await;
    let service = deployment.serve();

    silence_all_that_wait(&database, &gate).await;

    service.stop();
}
