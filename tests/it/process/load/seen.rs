//! What a caller saw, request by request.

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::process::support::Answer;

/// One request as its caller saw it.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    /// The number of the writer in its crew.
    pub(crate) by: usize,
    pub(crate) began: Instant,
    pub(crate) took: Duration,
    pub(crate) outcome: Outcome,
}

/// How many steps of a writer ended well, and how many did not: for those who look while it writes.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    acknowledged: AtomicUsize,
    others: AtomicUsize,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// With the status that was asked for.
    Done,
    /// With another status.
    Refused(u16),
    /// The connection could not be had.
    NoConnection,
    /// The connection ended before the answer did.
    NoAnswer,
}

impl Observation {
    pub(crate) fn ended(&self) -> Instant {
        self.began + self.took
    }
}

impl Progress {
    pub(super) fn add(&self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Done => &self.acknowledged,
            _ => &self.others,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(crate) fn others(&self) -> usize {
        self.others.load(Ordering::Relaxed)
    }
}

impl Outcome {
    pub(super) fn of(answer: &reqwest::Result<Answer>, expected: u16) -> Self {
        match answer {
            Ok(answer) if answer.status == expected => Self::Done,
            Ok(answer) => Self::Refused(answer.status),
            Err(error) if error.is_connect() => Self::NoConnection,
            Err(_) => Self::NoAnswer,
        }
    }
}

impl Display for Outcome {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => formatter.write_str("done"),
            Self::Refused(status) => write!(formatter, "{status}"),
            Self::NoConnection => formatter.write_str("no connection"),
            Self::NoAnswer => formatter.write_str("no answer"),
        }
    }
}
