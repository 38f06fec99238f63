//! The writers: each creates, updates, reads and deletes credentials of its own, one step after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::ledger::{APNS_PAIR, Kind, Story};
use super::random::Random;
use super::seen::{Observation, Outcome, Progress};
use crate::process::support::{Answer, Caller, wait_for};

/// How long a writer of a crew rests after a step that was not acknowledged.
const REST: Duration = Duration::from_millis(20);

/// Somebody who writes.
pub(crate) struct Writer {
    /// The replicas, which a writer of a crew asks in turn, as behind a load balancer.
    callers: Vec<Caller>,
    name: String,
    random: Random,
    progress: Arc<Progress>,
    /// How long it rests after each step.
    pace: Duration,
    stories: Vec<Story>,
    seen: Vec<Observation>,
}

/// What a writer did and saw.
pub(crate) struct Written {
    pub(crate) stories: Vec<Story>,
    pub(crate) seen: Vec<Observation>,
}

/// Writers at work until they are called off.
pub(crate) struct Crew {
    is_called_off: Arc<AtomicBool>,
    progress: Vec<Arc<Progress>>,
    writers: Vec<JoinHandle<Written>>,
}

impl Crew {
    /// Sends so many writers to work. What is not acknowledged stays in doubt, and they go on with something else. The
    /// name is one that no other crew on the same database has.
    pub(crate) fn start(name: &str, count: usize, callers: &[Caller], random: &mut Random) -> Self {
        Self::at_a_pace(name, count, callers, random, Duration::ZERO)
    }

    /// The same for writers who rest that long after each step.
    pub(crate) fn at_a_pace(name: &str, count: usize, callers: &[Caller], random: &mut Random, pace: Duration) -> Self {
        let is_called_off = Arc::new(AtomicBool::new(false));
        let progress: Vec<_> = (0..count).map(|_| Arc::<Progress>::default()).collect();
        let writers = progress
            .iter()
            .enumerate()
            .map(|(number, progress)| {
                let mut callers = callers.to_vec();
                let first = number % callers.len();
                callers.rotate_left(first);
                let name = format!("{name}-writer-{number}");
                let mut writer = Writer::new(callers, name, random.another(), Arc::clone(progress));
                writer.pace = pace;
                tokio::spawn(writer.write_until(Arc::clone(&is_called_off)))
            })
            .collect();
        Self {
            is_called_off,
            progress,
            writers,
        }
    }

    /// How many steps were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.progress.iter().map(|progress| progress.acknowledged()).sum()
    }

    /// Waits until so many more steps were acknowledged.
    pub(crate) fn go_on_for(&self, steps: usize) {
        let goal = self.acknowledged() + steps;
        wait_for("acknowledged steps", || (self.acknowledged() >= goal).then_some(()));
    }

    /// Waits until each of the writers had another step acknowledged.
    pub(crate) fn each_goes_on(&self) {
        let of_each = || self.progress.iter().map(|progress| progress.acknowledged());
        let before: Vec<_> = of_each().collect();
        wait_for("a step of each writer", || {
            of_each().zip(&before).all(|(now, before)| now > *before).then_some(())
        });
    }

    /// How far each of the writers is.
    pub(crate) fn progress(&self) -> &[Arc<Progress>] {
        &self.progress
    }

    /// Waits until so many steps were acknowledged, for as long as there is one now and then.
    pub(crate) fn wait_until(&self, goal: usize) {
        loop {
            let now = self.acknowledged();
            if now >= goal {
                return;
            }
            wait_for("another acknowledged step", || {
                (self.acknowledged() > now).then_some(())
            });
        }
    }

    /// Calls the writers off and waits until each has ended its step. The observations are in the order of their beginning.
    pub(crate) async fn call_off(self) -> Written {
        self.is_called_off.store(true, Ordering::Relaxed);
        let mut all = Written {
            stories: Vec::new(),
            seen: Vec::new(),
        };
        for (number, writer) in self.writers.into_iter().enumerate() {
            let written = writer.await.unwrap();
            all.stories.extend(written.stories);
            let seen = written.seen.into_iter();
            all.seen.extend(seen.map(|observation| Observation {
                by: number,
                ..observation
            }));
        }
        all.seen.sort_by_key(|observation| observation.began);
        all
    }
}

impl Writer {
    pub(crate) fn new(callers: Vec<Caller>, name: String, random: Random, progress: Arc<Progress>) -> Self {
        Self {
            callers,
            name,
            random,
            progress,
            pace: Duration::ZERO,
            stories: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Writes until a step is not acknowledged. That one stays in doubt.
    pub(crate) async fn write(mut self) -> Written {
        while self.step().await {}
        self.end()
    }

    async fn write_until(mut self, is_called_off: Arc<AtomicBool>) -> Written {
        while !is_called_off.load(Ordering::Relaxed) {
            let was_acknowledged = self.step().await;
            self.callers.rotate_left(1);
            if was_acknowledged {
                tokio::time::sleep(self.pace).await;
            } else {
                tokio::time::sleep(REST).await;
            }
        }
        self.end()
    }

    fn end(self) -> Written {
        Written {
            stories: self.stories,
            seen: self.seen,
        }
    }

    /// Takes a step; false when it was not acknowledged.
    async fn step(&mut self) -> bool {
        let chosen = self.choose();
        let outcome = match (self.random.below(10), chosen) {
            (5..8, Some(index)) => self.update(index).await,
            (8, Some(index)) => self.delete(index).await,
            (9, Some(index)) => self.read(index).await,
            _ => self.create().await,
        };
        // A vault whose Postgres is gone says so; any other refusal is a defect.
        assert!(
            !matches!(outcome, Outcome::Refused(status) if status != 503),
            "a step was answered {outcome}"
        );
        self.progress.add(&outcome);
        outcome == Outcome::Done
    }

    async fn create(&mut self) -> Outcome {
        let kind = Kind::ALL[self.random.below(Kind::ALL.len())];
        let mut story = Story::new(kind, format!("{}-{}", self.name, self.stories.len()));
        let (name, secret) = (story.name.clone(), story.secret(1));
        let mut form = vec![("Type", kind.as_str()), ("FriendlyName", &name)];
        match kind {
            Kind::Apn => form.extend([("Certificate", APNS_PAIR), ("PrivateKey", APNS_PAIR)]),
            Kind::Fcm => form.push(("Secret", &secret)),
            Kind::Gcm => form.push(("ApiKey", &secret)),
        }
        let began = Instant::now();
        let answer = self.caller().post("/v2/Credentials", &form).await;
        let outcome = self.see(began, &answer, 201);
        if outcome == Outcome::Done {
            story.sid = Some(answer.unwrap().text("sid").to_owned());
            story.acknowledge();
        }
        self.stories.push(story);
        outcome
    }

    async fn update(&mut self, index: usize) -> Outcome {
        let renames = self.random.below(3) == 0;
        let story = &mut self.stories[index];
        story.begin(|state| {
            state.updates += 1;
            if renames {
                state.friendly_name = format!("{} renamed {}", story_name(&state.friendly_name), state.updates);
            } else {
                state.version += 1;
            }
        });
        let next = story.in_doubt.clone().unwrap();
        let (path, secret) = (path_of(story), story.secret(next.version));
        let sandbox = Story::sandbox(next.version).to_string();
        let parameter = match story.kind {
            _ if renames => ("FriendlyName", next.friendly_name.as_str()),
            Kind::Apn => ("Sandbox", sandbox.as_str()),
            Kind::Fcm => ("Secret", secret.as_str()),
            Kind::Gcm => ("ApiKey", secret.as_str()),
        };
        let began = Instant::now();
        let answer = self.caller().post(&path, &[parameter]).await;
        self.end_of_step(index, began, &answer, 200)
    }

    async fn delete(&mut self, index: usize) -> Outcome {
        let story = &mut self.stories[index];
        story.begin(|state| state.deleted = true);
        let path = path_of(story);
        let began = Instant::now();
        let answer = self.caller().delete(&path).await;
        self.end_of_step(index, began, &answer, 204)
    }

    /// Reads a credential, which must be what was acknowledged last.
    async fn read(&mut self, index: usize) -> Outcome {
        let path = path_of(&self.stories[index]);
        let began = Instant::now();
        let answer = self.caller().try_get(&path).await;
        let outcome = self.see(began, &answer, 200);
        if let (Outcome::Done, Ok(answer)) = (&outcome, &answer) {
            let state = self.stories[index].acknowledged.as_ref().unwrap();
            assert_eq!(answer.text("friendly_name"), state.friendly_name);
        }
        outcome
    }

    fn end_of_step(
        &mut self,
        index: usize,
        began: Instant,
        answer: &reqwest::Result<Answer>,
        expected: u16,
    ) -> Outcome {
        let outcome = self.see(began, answer, expected);
        if outcome == Outcome::Done {
            self.stories[index].acknowledge();
        }
        outcome
    }

    fn see(&mut self, began: Instant, answer: &reqwest::Result<Answer>, expected: u16) -> Outcome {
        let outcome = Outcome::of(answer, expected);
        if let Ok(answer) = answer {
            let is_told_when = answer.retry_after.is_some();
            assert_eq!(is_told_when, answer.status == 503, "Retry-After in {answer:?}");
        }
        self.seen.push(Observation {
            by: 0,
            began,
            took: began.elapsed(),
            outcome: outcome.clone(),
        });
        outcome
    }

    fn caller(&self) -> &Caller {
        &self.callers[0]
    }

    /// A credential that can be changed.
    fn choose(&mut self) -> Option<usize> {
        let living: Vec<_> = (0..self.stories.len())
            .filter(|index| self.stories[*index].can_be_changed())
            .collect();
        let chosen = self.random.below(living.len().max(1));
        living.get(chosen).copied()
    }
}

fn path_of(story: &Story) -> String {
    format!("/v2/Credentials/{}", story.sid.as_ref().expect("it was acknowledged"))
}

/// The name without what an earlier renaming added.
fn story_name(friendly_name: &str) -> &str {
    friendly_name.split(' ').next().unwrap_or_default()
}
