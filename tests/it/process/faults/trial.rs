//! A vault under load, to which something is done: what its callers saw, and what is in the database afterwards.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::table::{self, Cost};
use crate::harness::Gate;
use crate::process::load::{Crew, Evidence, Observation, Outcome, Progress, Random, Written, tell};
use crate::process::support::{Caller, Database, Deployment, Login, Service, look_until, wait_for};

const WRITERS: usize = 4;

/// How long a writer rests after each step: the machine belongs to other tests too.
const PACE: Duration = Duration::from_millis(15);

/// Steps of each writer before a fault and after it.
const STEPS: usize = 5;

/// A caller learns that it should come again, and no more.
pub(super) const UNAVAILABLE: &[Outcome] = &[Outcome::Refused(503)];

/// A deployment with an account.
pub(super) struct Stage {
    pub(super) deployment: Deployment,
    pub(super) account: Login,
    /// The database's address, with nothing in between.
    direct: String,
}

/// A vault at work.
pub(super) struct Trial<'a> {
    pub(super) stage: &'a Stage,
    pub(super) service: Service<'a>,
    crew: Crew,
    probe: Caller,
    /// When every writer was well under way.
    began: Instant,
}

/// Goes through scenarios at the same time, because most of what they do is wait.
pub(super) fn at_once(scenarios: &[fn()]) {
    let failed = thread::scope(|scope| {
        let start = |scenario| {
            // Named as a test is, so that what it says when it fails is not taken for a panic of the vault.
            let thread = thread::Builder::new().name("faults::scenario".to_owned());
            thread.spawn_scoped(scope, scenario).unwrap()
        };
        let threads: Vec<_> = scenarios.iter().map(start).collect();
        threads.into_iter().filter_map(|thread| thread.join().err()).count()
    });
    assert_eq!(failed, 0, "scenarios failed, see above");
}

impl Stage {
    /// On the schema of a deployment.
    pub(super) fn of(deployment: Deployment) -> Self {
        Self {
            direct: deployment.setting("DATABASE__URL").to_owned(),
            account: deployment.create_account(),
            deployment,
        }
    }

    /// A deployment that reaches its database through a gate.
    pub(super) fn behind_a_gate() -> (Self, Gate) {
        let stage = Self::of(Deployment::migrated());
        let gate = Gate::before_url(&stage.direct);
        let stage = Self {
            deployment: stage.deployment.with("DATABASE__URL", gate.url()),
            ..stage
        };
        (stage, gate)
    }

    /// A connection of its own, past everything in between.
    pub(super) async fn database(&self) -> Database {
        Database::connect(&self.direct).await
    }

    /// Starts the vault and the writers, and waits until all of them are well under way.
    pub(super) fn under_load(&self) -> Trial<'_> {
        let service = self.deployment.serve_to_return();
        let caller = service.caller(&self.account);
        let mut trial = Trial {
            stage: self,
            crew: Crew::at_a_pace("faults", WRITERS, &[caller], &mut Random::seeded(), PACE),
            probe: Caller::new(&service.url, "", ""),
            service,
            began: Instant::now(),
        };
        trial.each_is_acknowledged(STEPS);
        trial.began = Instant::now();
        trial
    }
}

impl Trial<'_> {
    /// Waits until each writer has taken so many more steps.
    pub(super) fn each_is_acknowledged(&self, steps: usize) {
        self.each("acknowledged steps", steps, Progress::acknowledged);
    }

    /// Waits until so many more steps of each writer ended in another way.
    pub(super) fn each_is_refused(&self, steps: usize) {
        self.each("refused steps", steps, Progress::others);
    }

    /// Waits until one more step of any writer ended in another way.
    pub(super) fn somebody_is_refused(&self) {
        let known = self.refused();
        wait_for("a refused step", || (self.refused() > known).then_some(()));
    }

    /// Does it again and again until one more step of any writer ended in another way, and says when it did it last.
    pub(super) fn until_somebody_is_refused(&self, harm: impl Fn()) -> Instant {
        let known = self.refused();
        wait_for("a refused step", || {
            let began = Instant::now();
            harm();
            look_until(Duration::from_secs(3), || (self.refused() > known).then_some(began))
        })
    }

    /// How many steps of all writers ended in another way.
    fn refused(&self) -> usize {
        self.crew.progress().iter().map(|progress| progress.others()).sum()
    }

    fn each(&self, what: &str, steps: usize, count: fn(&Progress) -> usize) {
        let progress = self.crew.progress();
        let goals: Vec<_> = progress.iter().map(|progress| count(progress) + steps).collect();
        let all = || {
            progress
                .iter()
                .zip(&goals)
                .all(|(progress, goal)| count(progress) >= *goal)
        };
        let came = look_until(Duration::from_mins(1), || all().then_some(()));
        assert!(
            came.is_some(),
            "waited in vain for {what} of each writer; {progress:?}; {}",
            self.complaints()
        );
    }

    /// What the vault had to say lately, without what it says of every request.
    fn complaints(&self) -> String {
        let log = self.service.program.stdout();
        let lines = log
            .lines()
            .filter(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\""));
        let lines: Vec<_> = lines.filter(|line| !line.contains("\"finding\"")).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Waits until `/readyz` says that the vault is ready, or that it is not.
    pub(super) async fn says(&self, is_ready: bool) {
        let expected = if is_ready { 200 } else { 503 };
        let end = Instant::now() + Duration::from_mins(1);
        while Instant::now() < end {
            if self
                .probe
                .try_get("/readyz")
                .await
                .is_ok_and(|answer| answer.status == expected)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("/readyz did not come to answer {expected}; {}", self.complaints());
    }

    /// Lets the writers go on for a while after the end of a fault, and holds what they saw and what is in the database
    /// against what the fault may cost.
    pub(super) async fn costs(self, ended: Instant, cost: Cost) {
        self.says(true).await;
        self.each_is_acknowledged(STEPS);
        let mut written = self.crew.call_off().await;
        let printed = self.service.stop();
        for line in printed.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_ne!(event["target"], "panic", "{line}");
        }

        let healthy = healthy_after(&written.seen, ended);
        describe(cost.fault, &written, healthy);
        let database = self.stage.database().await;
        let evidence = Evidence::collect(&database, &self.stage.deployment.path().join("root.key")).await;
        evidence.agrees_with_itself();
        let done = evidence.settle(&mut written.stories);
        tell(&format!("{done} steps were done although nobody was told"));
        let is_well = |observation: &&Observation| observation.outcome == Outcome::Done;
        let others: Vec<_> = written.seen.iter().filter(|step| !is_well(step)).collect();
        for step in &others {
            assert!(cost.sees.contains(&step.outcome), "{}: {step:?}", cost.fault);
        }
        if let Some(expected) = cost.sees.first() {
            assert!(
                others.iter().any(|step| step.outcome == *expected),
                "nobody saw {expected}"
            );
        }
        // A vault that has just begun looks up every caller for the first time, which is no cost of the fault.
        let since = written.seen.iter().filter(|step| step.began >= self.began);
        let longest = since.map(|step| step.took).max().unwrap();
        assert!(longest <= cost.within, "{}: a caller waited {longest:?}", cost.fault);
        assert!(
            healthy <= cost.healthy_within,
            "{}: healthy after {healthy:?}",
            cost.fault
        );
        table::hold(&cost, healthy);
    }
}

/// How long after the end of a fault each writer was acknowledged a step after which no other failed.
fn healthy_after(seen: &[Observation], ended: Instant) -> Duration {
    (0..WRITERS)
        .map(|writer| {
            let steps = seen.iter().filter(|step| step.by == writer && step.ended() > ended);
            let steps: Vec<_> = steps.collect();
            let failed = steps.iter().rposition(|step| step.outcome != Outcome::Done);
            let well = steps[failed.map_or(0, |index| index + 1)..].first();
            well.expect("each writer went on").ended() - ended
        })
        .max()
        .unwrap()
}

fn describe(fault: &str, written: &Written, healthy: Duration) {
    let mut outcomes = BTreeMap::new();
    for step in &written.seen {
        let (count, longest) = outcomes.entry(step.outcome.to_string()).or_insert((0, Duration::ZERO));
        *count += 1;
        *longest = step.took.max(*longest);
    }
    tell(&format!("{fault}: {outcomes:?}, healthy after {healthy:?}"));
}
