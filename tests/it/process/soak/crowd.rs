//! Everybody who comes to a vault: callers who work with it, and those who never heard of manners.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use super::{regulars, strangers};
use crate::process::load::Random;

/// How many callers do their work, each as fast as it is answered.
const REGULARS: usize = 4;
const SLOW: usize = 3;

/// Where the vault is, and who may use it.
pub(super) struct Place {
    pub(super) url: String,
    pub(super) admin_url: String,
    pub(super) account_sid: String,
    /// User names with their secrets: the account with its token, an API key.
    pub(super) logins: Vec<(String, String)>,
}

/// What everybody was answered.
#[derive(Default)]
pub(super) struct Tally {
    requests: AtomicU64,
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    surprises: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

/// The callers at work.
pub(super) struct Crowd {
    pub(super) tally: Arc<Tally>,
    callers: JoinSet<()>,
}

impl Tally {
    /// Counts an answer, which must be one of those that are right. 0 stands for a connection that ended without one.
    pub(super) fn count(&self, who: &'static str, status: u16, right: &[u16]) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        *self.answers.lock().unwrap().entry((who, status)).or_insert(0) += 1;
        if !right.contains(&status) {
            self.surprises
                .lock()
                .unwrap()
                .push(format!("{who} was answered {status}"));
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How often each was answered what, in a line for each.
    pub(super) fn lines(&self) -> String {
        let answers = self.answers.lock().unwrap();
        let mut lines = String::new();
        let mut last = "";
        for ((who, status), count) in &*answers {
            let begin = if *who == last {
                String::new()
            } else {
                format!("\n{who:<10}")
            };
            let answer = if *status == 0 {
                "none".to_owned()
            } else {
                status.to_string()
            };
            write!(lines, "{begin} {answer}: {count}").unwrap();
            last = who;
        }
        lines
    }

    /// Insists that nobody was answered what is not right: a 5xx never is.
    #[track_caller]
    pub(super) fn is_unsurprised(&self) {
        let surprises = self.surprises.lock().unwrap();
        let first: Vec<_> = surprises.iter().take(10).collect();
        assert!(
            surprises.is_empty(),
            "{} times something is wrong: {first:?}",
            surprises.len()
        );
    }
}

impl Crowd {
    pub(super) fn come(place: Place, random: &mut Random) -> Self {
        let (place, tally) = (Arc::new(place), Arc::new(Tally::default()));
        let mut callers = JoinSet::new();
        for number in 0..REGULARS {
            let login = &place.logins[number % place.logins.len()];
            callers.spawn(regulars::work(
                place.url.clone(),
                login.clone(),
                random.another(),
                Arc::clone(&tally),
            ));
        }
        for _ in 0..SLOW {
            callers.spawn(strangers::dawdle(
                Arc::clone(&place),
                random.another(),
                Arc::clone(&tally),
            ));
        }
        callers.spawn(regulars::probe(Arc::clone(&place), Arc::clone(&tally)));
        callers.spawn(strangers::guess(
            Arc::clone(&place),
            random.another(),
            Arc::clone(&tally),
        ));
        callers.spawn(strangers::babble(
            Arc::clone(&place),
            random.another(),
            Arc::clone(&tally),
        ));
        callers.spawn(strangers::come_and_go(
            Arc::clone(&place),
            random.another(),
            Arc::clone(&tally),
        ));
        Self { tally, callers }
    }

    /// Sends everybody home and waits until they have gone.
    pub(super) async fn go(mut self) -> Arc<Tally> {
        self.tally.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        self.tally
    }
}
