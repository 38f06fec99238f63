//! Two servers of Postgres, of which the one that serves goes away: the service goes on with the other, and nothing that was
//! acknowledged is missing there.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::load::{Crew, Evidence, Outcome, Random, tell};
use super::support::{Caller, Deployment, Pair, wait_until};
use crate::harness::Gate;

const REPLICAS: usize = 3;
const WRITERS: usize = 6;

/// Steps before the server goes away, and after the other took over.
const STEPS: usize = 60;

/// How long it may take from the moment when the address leads to the new primary until every writer is served again.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_standby_that_is_promoted_under_load_has_everything_that_was_acknowledged() {
    let mut random = Random::seeded();
    let pair = Pair::start().await;
    let gate = Gate::before_url(&pair.primary_url());
    let deployment = Deployment::on(gate.url())
        .with("RATE_LIMIT__ENABLED", "false")
        .with("DATABASE__ACQUIRE_TIMEOUT_SECONDS", "1");
    deployment.run(&["migrate"]).succeeded();
    let account = deployment.create_account();
    let replicas: Vec<_> = (0..REPLICAS).map(|_| deployment.serve()).collect();
    let callers: Vec<Caller> = replicas.iter().map(|replica| replica.caller(&account)).collect();
    assert_eq!(readiness(&callers).await, [200; REPLICAS]);

    let crew = Crew::start("crew", WRITERS, &callers, &mut random);
    crew.go_on_for(STEPS);
    pair.kill_primary();
    let killed = Instant::now();
    assert_eq!(readiness(&callers).await, [503; REPLICAS]);
    pair.promote_standby().await;
    gate.lead_to(&pair.standby_url());
    let moved = Instant::now();
    crew.each_goes_on();
    let healed = moved.elapsed();
    wait_until("all replicas are ready", async || {
        readiness(&callers).await == [200; REPLICAS]
    })
    .await;
    crew.go_on_for(STEPS);
    let mut written = crew.call_off().await;

    assert!(healed < PATIENCE, "the last writer was served again after {healed:?}");
    // The writers themselves insist that no answer but 503 was in place of the right one.
    let before = |moment: Instant| written.seen.iter().filter(move |step| step.began < moment);
    assert!(before(killed).count() > STEPS);
    let lost = |outcome: &Outcome| written.seen.iter().filter(|step| step.outcome == *outcome).count();
    let (refused, unanswered) = (lost(&Outcome::Refused(503)), lost(&Outcome::NoAnswer));
    assert_eq!(
        unanswered + lost(&Outcome::NoConnection),
        0,
        "the replicas themselves were always there"
    );
    let evidence = Evidence::collect(&pair.standby().await, &deployment.path().join("root.key")).await;
    evidence.agrees_with_itself();
    let done = evidence.settle(&mut written.stories);
    let report = deployment.json(&["kek", "verify"]);
    assert_eq!(report["findings"], Value::Array(Vec::new()));
    assert_eq!(report["opened"], evidence.versions());
    tell(&format!(
        "{} steps; {refused} refused with 503, {done} of them done; the last writer served {} ms after the address was \
         moved, {} ms after the primary was killed",
        written.seen.len(),
        healed.as_millis(),
        (moved.duration_since(killed) + healed).as_millis()
    ));
    for replica in replicas {
        replica.stop();
    }
}

/// What each replica says of itself.
async fn readiness(callers: &[Caller]) -> Vec<u16> {
    let mut states = Vec::new();
    for caller in callers {
        states.push(caller.get("/readyz").await.status);
    }
    states
}
