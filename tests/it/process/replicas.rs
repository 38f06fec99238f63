//! Several replicas on one Postgres: the service keeps nothing, so that any of them may go at any time.

use std::time::Duration;

use super::load::{Crew, Evidence, Outcome, Random, tell};
use super::support::{Caller, Deployment, Signal};

const REPLICAS: usize = 3;
const WRITERS: usize = 6;

/// Steps between two kills.
const STEPS: usize = 60;

/// What no caller waits for, however many replicas were killed.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_replica_may_be_killed_at_any_time_and_the_others_serve_on() {
    let mut random = Random::seeded();
    let deployment = Deployment::migrated().with("RATE_LIMIT__ENABLED", "false");
    let account = deployment.create_account();
    let mut replicas: Vec<_> = (0..REPLICAS).map(|_| deployment.serve_to_return()).collect();
    let callers: Vec<Caller> = replicas.iter().map(|replica| replica.caller(&account)).collect();

    let crew = Crew::start("crew", WRITERS, &callers, &mut random);
    for replica in &mut replicas {
        crew.go_on_for(STEPS);
        tokio::time::sleep(Duration::from_micros(u64::try_from(random.below(5000)).unwrap())).await;
        Signal::Kill.send(&[replica.program.id()]);
        replica.program.wait();
        // It comes back where it was, as it does behind a load balancer.
        crew.go_on_for(STEPS);
        *replica = deployment.serve_at(&replica.url);
    }
    let mut written = crew.call_off().await;

    let refused = written
        .seen
        .iter()
        .filter(|step| matches!(step.outcome, Outcome::Refused(_)));
    assert_eq!(refused.count(), 0, "a replica that lives refuses nobody");
    let unanswered = written
        .seen
        .iter()
        .filter(|step| step.outcome == Outcome::NoAnswer)
        .count();
    assert!(
        unanswered <= REPLICAS * WRITERS,
        "{unanswered} requests were lost with {REPLICAS} processes"
    );
    let longest = written.seen.iter().map(|step| step.took).max().unwrap();
    assert!(longest < PATIENCE, "a step took {longest:?}");
    let database = deployment.database().await;
    let evidence = Evidence::collect(&database, &deployment.path().join("root.key")).await;
    evidence.agrees_with_itself();
    let done = evidence.settle(&mut written.stories);
    tell(&format!(
        "{} steps, {unanswered} unanswered, {done} of them done",
        written.seen.len()
    ));
    for replica in replicas {
        replica.stop();
    }
}
