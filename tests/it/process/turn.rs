//! The turn to seal the audit trail: the replica that has it is killed in the middle, and another one seals.

use serde_json::Value;

use super::support::{Caller, Database, Deployment, Service, Signal, wait_until};

/// Which backend has the turn to seal, and waits for what.
const SEALER: &str = "from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and datname = current_database()";

/// How many leaves each checkpoint has that this replica signed.
fn signed_by(replica: &Service<'_>) -> Vec<u64> {
    let log = replica.program.stdout();
    // The last line may be half written.
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["target"] == "checkpoint")
        .map(|line| line["tree_size"].as_u64().unwrap())
        .collect()
}

async fn count(database: &Database, table: &'static str) -> i64 {
    let query = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
    database.value(query).await
}

/// Stops a replica where it has the turn for an event of this caller: it has stored the leaf and not signed it.
async fn stop_while_it_seals(replica: &Service<'_>, caller: &Caller, database: &Database) {
    let is_sealing = async |state: &str| {
        let query = format!("select exists (select {SEALER} and {state})");
        database.value::<bool>(sqlx::AssertSqlSafe(query)).await
    };
    let owner = replica.database().await;
    owner.execute("begin").await;
    owner.execute("lock table audit_leaves in share mode").await;
    caller.register("one").await;
    wait_until("it waits for the table with the turn in its hand", async || {
        is_sealing("wait_event_type = 'Lock'").await
    })
    .await;
    Signal::Stop.send(&[replica.program.id()]);
    owner.execute("rollback").await;
    wait_until("the table is its own, and it does not go on", async || {
        is_sealing("state = 'idle in transaction'").await
    })
    .await;
}

#[tokio::test]
async fn when_the_replica_that_has_the_turn_to_seal_is_killed_another_one_seals() {
    // Nothing but its death ends the turn of the one that is stopped.
    let deployment = Deployment::migrated().with("DATABASE__STATEMENT_TIMEOUT_SECONDS", "300");
    let database = deployment.database().await;
    let account = deployment.create_account();
    let mut first = deployment.serve();
    let events = u64::try_from(count(&database, "audit_events").await).unwrap();
    wait_until("the first replica seals", async || {
        signed_by(&first).last() == Some(&events)
    })
    .await;

    stop_while_it_seals(&first, &first.caller(&account), &database).await;
    let second = deployment.serve();
    second.caller(&account).register("other").await;
    assert!(signed_by(&second).is_empty());
    first.program.end_by(Signal::Kill);

    let events = events + 2;
    wait_until("the second replica seals", async || {
        signed_by(&second).last() == Some(&events)
    })
    .await;
    assert_eq!(signed_by(&first).last(), Some(&(events - 2)));
    assert_eq!(count(&database, "audit_leaves").await, i64::try_from(events).unwrap());
    let report = deployment.json(&["audit", "verify"]);
    assert_eq!((&report["verified"], &report["events"]), (&true.into(), &events.into()));
    second.stop();
}
