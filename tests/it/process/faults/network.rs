//! Faults on the way to Postgres, and a pool that gives no more.

use std::time::{Duration, Instant};

use super::table::Cost;
use super::trial::{Stage, UNAVAILABLE, at_once};
use crate::harness::block_on;
use crate::process::support::Deployment;

#[test]
fn faults_on_the_way_to_postgres_cost_what_the_table_says() {
    at_once(&[
        || block_on(the_way_to_postgres_is_cut),
        || block_on(the_way_to_postgres_is_slow),
        || block_on(connections_are_reset),
        || block_on(connections_are_half_open),
        || block_on(everything_is_swallowed_for_a_while),
        || block_on(all_connections_of_the_pool_wait_for_a_lock),
    ]);
}

async fn the_way_to_postgres_is_cut() {
    let (stage, gate) = Stage::behind_a_gate();
    let trial = stage.under_load();
    gate.shut();
    trial.says(false).await;
    trial.each_is_refused(1);
    gate.open();
    let cost = Cost {
        fault: "the way to Postgres is cut, new connections are refused",
        sees: UNAVAILABLE,
        within: Duration::from_secs(12),
        remark: "",
        healthy_within: Duration::from_secs(20),
    };
    trial.costs(Instant::now(), cost).await;
}

async fn the_way_to_postgres_is_slow() {
    let (stage, gate) = Stage::behind_a_gate();
    let trial = stage.under_load();
    gate.slow(Duration::from_millis(150));
    trial.each_is_acknowledged(2);
    trial.says(true).await;
    gate.slow(Duration::ZERO);
    let cost = Cost {
        fault: "the way is slow: 150 ms in each direction",
        sees: &[],
        within: Duration::from_secs(15),
        remark: "each later by a few round trips",
        healthy_within: Duration::from_secs(20),
    };
    trial.costs(Instant::now(), cost).await;
}

async fn connections_are_reset() {
    let (stage, gate) = Stage::behind_a_gate();
    let trial = stage.under_load();
    for _ in 0..10 {
        trial.each_is_acknowledged(2);
        gate.reset();
    }
    let cost = Cost {
        fault: "connections are reset in the middle of statements",
        sees: UNAVAILABLE,
        within: Duration::from_secs(10),
        remark: "those whose statement it was",
        healthy_within: Duration::from_secs(20),
    };
    trial.costs(Instant::now(), cost).await;
}

async fn connections_are_half_open() {
    let (mut stage, gate) = Stage::behind_a_gate();
    // As many as there are writers: each of them ends on one that is silent.
    stage.deployment = stage.deployment.with("DATABASE__MAX_CONNECTIONS", "4");
    let trial = stage.under_load();
    gate.silence();
    // It has no end but the vault's own: whoever waited gives up on what will never answer.
    let began = Instant::now();
    trial.somebody_is_refused();
    let cost = Cost {
        fault: "half-open: connections are silent for good, new ones work",
        sees: UNAVAILABLE,
        within: Duration::from_secs(15),
        remark: "those whose statement it was",
        healthy_within: Duration::from_secs(20),
    };
    trial.costs(began, cost).await;
}

async fn everything_is_swallowed_for_a_while() {
    let (stage, gate) = Stage::behind_a_gate();
    let trial = stage.under_load();
    gate.hold();
    trial.says(false).await;
    trial.each_is_refused(1);
    gate.release();
    let cost = Cost {
        fault: "everything to Postgres is swallowed for a while, then delivered",
        sees: UNAVAILABLE,
        within: Duration::from_secs(15),
        remark: "",
        healthy_within: Duration::from_secs(20),
    };
    trial.costs(Instant::now(), cost).await;
}

async fn all_connections_of_the_pool_wait_for_a_lock() {
    let stage = Stage::of(Deployment::migrated().with("DATABASE__MAX_CONNECTIONS", "2"));
    let trial = stage.under_load();
    let somebody = stage.database().await;
    somebody.execute("begin").await;
    somebody
        .execute("lock table credentials in access exclusive mode")
        .await;
    trial.says(false).await;
    trial.each_is_refused(1);
    somebody.execute("rollback").await;
    let cost = Cost {
        fault: "all connections wait for a lock",
        sees: UNAVAILABLE,
        within: Duration::from_secs(15),
        remark: "",
        healthy_within: Duration::from_secs(20),
    };
    trial.costs(Instant::now(), cost).await;
}
