//! Faults of Postgres itself.

use std::time::{Duration, Instant};

use super::postgres::Postgres;
use super::table::Cost;
use super::trial::{Stage, UNAVAILABLE, at_once};
use crate::harness::block_on;
use crate::process::support::Deployment;

#[test]
fn faults_of_postgres_cost_what_the_table_says() {
    at_once(&[
        || block_on(postgres_is_restarted),
        || block_on(a_backend_is_killed),
        || block_on(postgres_is_killed),
        || block_on(postgres_is_read_only),
    ]);
}

/// A server that runs, and a deployment on it.
fn own_postgres() -> (Postgres, Stage) {
    let mut postgres = Postgres::new();
    postgres.start();
    let deployment = Deployment::on(&postgres.url("postgres"));
    deployment.run(&["migrate"]).succeeded();
    (postgres, Stage::of(deployment))
}

async fn postgres_is_restarted() {
    let (mut postgres, stage) = own_postgres();
    let trial = stage.under_load();
    postgres.stop();
    trial.says(false).await;
    trial.each_is_refused(1);
    postgres.start();
    let cost = Cost {
        fault: "Postgres is restarted",
        sees: UNAVAILABLE,
        within: Duration::from_secs(12),
        remark: "",
        healthy_within: Duration::from_secs(20),
    };
    trial.costs(Instant::now(), cost).await;
}

async fn a_backend_is_killed() {
    let (postgres, stage) = own_postgres();
    let trial = stage.under_load();
    // The others are ended by the postmaster, because what they share may be broken. Whoever asks nothing of Postgres at
    // that moment notices nothing.
    let began = trial.until_somebody_is_refused(|| postgres.kill_a_backend());
    trial.each_is_acknowledged(3);
    let cost = Cost {
        fault: "`kill -9` of one of Postgres's backends",
        sees: UNAVAILABLE,
        within: Duration::from_secs(12),
        remark: "because Postgres ends every other backend too",
        healthy_within: Duration::from_secs(20),
    };
    trial.costs(began, cost).await;
}

async fn postgres_is_killed() {
    let (mut postgres, stage) = own_postgres();
    let trial = stage.under_load();
    postgres.kill();
    trial.says(false).await;
    postgres.start();
    let cost = Cost {
        fault: "`kill -9` of Postgres itself, and a start",
        sees: UNAVAILABLE,
        within: Duration::from_secs(12),
        remark: "",
        healthy_within: Duration::from_secs(20),
    };
    trial.costs(Instant::now(), cost).await;
}

async fn postgres_is_read_only() {
    let (_postgres, stage) = own_postgres();
    let trial = stage.under_load();
    let operator = stage.database().await;
    operator
        .execute("alter system set default_transaction_read_only = on")
        .await;
    operator.execute("select pg_reload_conf()").await;
    trial.says(false).await;
    trial.each_is_refused(1);
    operator
        .execute("alter system reset default_transaction_read_only")
        .await;
    operator.execute("select pg_reload_conf()").await;
    let cost = Cost {
        fault: "Postgres is made read-only",
        sees: UNAVAILABLE,
        within: Duration::from_secs(10),
        remark: "reads are answered",
        healthy_within: Duration::from_secs(20),
    };
    trial.costs(Instant::now(), cost).await;
}
