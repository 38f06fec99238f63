//! A hot standby: lists may be read from it, and nothing else is asked of it for as long as it is one.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::support::{Caller, Deployment, Pair, wait_until};
use crate::harness::Gate;

/// Which names the list has.
async fn listed(caller: &Caller) -> Vec<String> {
    let answer = caller.get("/v2/Credentials").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let rows = answer.body["credentials"].as_array().unwrap();
    rows.iter()
        .map(|row| row["friendly_name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_list_is_as_old_as_the_standby_that_it_is_read_from_and_everything_else_is_not() {
    let pair = Pair::start().await;
    let deployment = Deployment::on(&pair.primary_url()).with("DATABASE__LIST_URL", &pair.standby_url());
    deployment.run(&["migrate"]).succeeded();
    let account = deployment.create_account();
    let service = deployment.serve();
    let caller = service.caller(&account);
    caller.register("first").await;
    wait_until("the standby has caught up", async || listed(&caller).await == ["first"]).await;

    let standby = pair.standby().await;
    standby.execute("select pg_wal_replay_pause()").await;
    let sid = caller.register("second").await;
    // The primary has both.
    wait_until("the list comes from the standby", async || {
        listed(&caller).await == ["first"]
    })
    .await;
    assert_eq!(caller.fetch(&sid).await.status, 200);

    standby.execute("select pg_wal_replay_resume()").await;
    wait_until("the standby has caught up", async || {
        listed(&caller).await == ["second", "first"]
    })
    .await;
    service.stop();
}

#[tokio::test]
async fn a_service_whose_address_leads_to_a_standby_believes_nothing_that_it_says() {
    let pair = Pair::start().await;
    let gate = Gate::before_url(&pair.primary_url());
    let deployment = Deployment::on(gate.url()).with("DATABASE__ACQUIRE_TIMEOUT_SECONDS", "1");
    deployment.run(&["migrate"]).succeeded();
    let account = deployment.create_account();
    let service = deployment.serve();
    let caller = service.caller(&account);
    let sid = caller.register("first").await;

    gate.lead_to(&pair.standby_url());
    gate.shut();
    gate.open();
    for _ in 0..3 {
        // The standby would have the row, and might not have the news that the key was revoked.
        assert_eq!(caller.fetch(&sid).await.status, 503);
        let create = caller.create(&[("Type", "gcm"), ("ApiKey", "a-key")]).await;
        assert_eq!(create.status, 503);
    }
    let ready = caller.get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.body["checks"]["database"]),
        (503, &"failed".into())
    );

    pair.promote_standby().await;
    wait_until("it is served by the new primary", async || {
        caller.fetch(&sid).await.status == 200
    })
    .await;
    caller.register("second").await;
    let log = service.stop();
    assert!(log.contains("database.url leads to a standby"), "{log}");
}

#[tokio::test]
async fn connections_that_a_switch_over_left_at_the_old_primary_are_given_up() {
    let pair = Pair::start().await;
    let gate = Gate::before_url(&pair.primary_url());
    let deployment = Deployment::on(gate.url());
    deployment.run(&["migrate"]).succeeded();
    let account = deployment.create_account();
    let service = deployment.serve();
    let caller = service.caller(&account);
    let sid = caller.register("before").await;

    let primary = pair.primary().await;
    primary
        .execute("alter system set default_transaction_read_only = on")
        .await;
    let _reloaded: bool = primary.value("select pg_reload_conf()").await;
    let made = Cell::new(1);
    let create = async || {
        let status = caller.create(&[("Type", "gcm"), ("ApiKey", "a-key")]).await.status;
        made.set(made.get() + u64::from(status == 201));
        status
    };
    wait_until("a change is refused", async || create().await == 503).await;
    pair.promote_standby().await;
    // The gate does not cut the connections that lead to the old one, which answers all that it is asked to read.
    gate.lead_to(&pair.standby_url());

    let moved = Instant::now();
    // Not the first change alone: of the pool some connections may have been new already, and others not.
    wait_until("changes are made one after the other", async || {
        let mut statuses = Vec::new();
        for _ in 0..10 {
            statuses.push(create().await);
        }
        statuses.iter().all(|status| *status == 201)
    })
    .await;
    assert!(
        moved.elapsed() < Duration::from_secs(10),
        "healed after {:?}",
        moved.elapsed()
    );
    assert_eq!(caller.fetch(&sid).await.status, 200);
    assert_eq!(deployment.json(&["kek", "verify"])["opened"], made.get());
    service.stop();
}
