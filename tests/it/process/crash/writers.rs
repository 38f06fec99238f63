//! The writers: each creates, updates and deletes credentials of its own until it gets no answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ledger::{APNS_PAIR, Kind, Story};
use super::random::Random;
use crate::process::support::{Answer, Caller};

/// Somebody who writes, one step after the other.
pub(super) struct Writer {
    pub(super) caller: Caller,
    pub(super) name: String,
    pub(super) random: Random,
    pub(super) acknowledged: Arc<AtomicUsize>,
}

impl Writer {
    /// Writes until a step is not acknowledged. That one stays in doubt.
    pub(super) async fn write(mut self) -> Vec<Story> {
        let mut stories = Vec::new();
        loop {
            let answer = match self.random.below(10) {
                0..6 => self.create(&mut stories).await,
                6..9 => self.update(&mut stories).await,
                _ => self.delete(&mut stories).await,
            };
            match answer {
                Acknowledged::Yes => self.acknowledged.fetch_add(1, Ordering::Relaxed),
                Acknowledged::NothingToDo => continue,
                Acknowledged::No => return stories,
            };
        }
    }

    async fn create(&mut self, stories: &mut Vec<Story>) -> Acknowledged {
        let kind = Kind::ALL[self.random.below(Kind::ALL.len())];
        let mut story = Story::new(kind, format!("{}-{}", self.name, stories.len()));
        let (name, secret) = (story.name.clone(), story.secret(1));
        let mut form = vec![("Type", kind.as_str()), ("FriendlyName", &name)];
        match kind {
            Kind::Apn => form.extend([("Certificate", APNS_PAIR), ("PrivateKey", APNS_PAIR)]),
            Kind::Fcm => form.push(("Secret", &secret)),
            Kind::Gcm => form.push(("ApiKey", &secret)),
        }
        let answer = self.caller.post("/v2/Credentials", &form).await;
        let acknowledged = Acknowledged::by(&answer, 201);
        if acknowledged == Acknowledged::Yes {
            story.sid = Some(answer.unwrap().text("sid").to_owned());
            story.acknowledge();
        }
        stories.push(story);
        acknowledged
    }

    async fn update(&mut self, stories: &mut [Story]) -> Acknowledged {
        let Some(story) = self.choose(stories) else {
            return Acknowledged::NothingToDo;
        };
        let path = path_of(story);
        let renames = self.random.below(3) == 0;
        story.begin(|state| {
            state.updates += 1;
            if renames {
                state.friendly_name = format!("{} renamed {}", story_name(&state.friendly_name), state.updates);
            } else {
                state.version += 1;
            }
        });
        let next = story.in_doubt.clone().unwrap();
        let secret = story.secret(next.version);
        let sandbox = Story::sandbox(next.version).to_string();
        let parameter = match story.kind {
            _ if renames => ("FriendlyName", next.friendly_name.as_str()),
            Kind::Apn => ("Sandbox", sandbox.as_str()),
            Kind::Fcm => ("Secret", secret.as_str()),
            Kind::Gcm => ("ApiKey", secret.as_str()),
        };
        let answer = self.caller.post(&path, &[parameter]).await;
        Acknowledged::of_step(story, &answer, 200)
    }

    async fn delete(&mut self, stories: &mut [Story]) -> Acknowledged {
        let Some(story) = self.choose(stories) else {
            return Acknowledged::NothingToDo;
        };
        story.begin(|state| state.deleted = true);
        let answer = self.caller.delete(&path_of(story)).await;
        Acknowledged::of_step(story, &answer, 204)
    }

    fn choose<'a>(&mut self, stories: &'a mut [Story]) -> Option<&'a mut Story> {
        let mut living: Vec<_> = stories.iter_mut().filter(|story| story.can_be_changed()).collect();
        let chosen = self.random.below(living.len().max(1));
        (chosen < living.len()).then(|| living.swap_remove(chosen))
    }
}

/// Whether a step was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acknowledged {
    Yes,
    No,
    NothingToDo,
}

impl Acknowledged {
    /// An error of the connection is no answer, nor is a 503, which a vault may give whose Postgres died before it did.
    fn by(answer: &reqwest::Result<Answer>, expected: u16) -> Self {
        match answer {
            Err(_) => Self::No,
            Ok(answer) if answer.status == 503 => Self::No,
            Ok(answer) => {
                assert_eq!(answer.status, expected, "{answer:?}");
                Self::Yes
            }
        }
    }

    fn of_step(story: &mut Story, answer: &reqwest::Result<Answer>, expected: u16) -> Self {
        let acknowledged = Self::by(answer, expected);
        if acknowledged == Self::Yes {
            story.acknowledge();
        }
        acknowledged
    }
}

fn path_of(story: &Story) -> String {
    format!("/v2/Credentials/{}", story.sid.as_ref().expect("it was acknowledged"))
}

/// The name without what an earlier renaming added.
fn story_name(friendly_name: &str) -> &str {
    friendly_name.split(' ').next().unwrap_or_default()
}
