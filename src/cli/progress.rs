//! How far a long command is: a line that is written over on a terminal, and a JSON document a line anywhere else. On standard
//! error, so that what the command prints in the end stands alone.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

/// The width of the bar in characters.
const WIDTH: u64 = 40;

/// Tells of a job, by its name.
pub(super) struct Teller {
    job: &'static str,
    is_terminal: bool,
    /// The percentage that was told last, and one more; 0 before the first.
    told: AtomicU64,
}

impl Teller {
    pub(super) fn new(job: &'static str) -> Self {
        Self {
            job,
            is_terminal: io::stderr().is_terminal(),
            told: AtomicU64::new(0),
        }
    }

    /// Tells how many rows of how many are done, once for each percent. Whoever does not listen is no reason to stop.
    pub(super) fn tell(&self, done: u64, total: u64) {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100).min(100);
        if self.told.swap(percent + 1, Ordering::Relaxed) == percent + 1 {
            return;
        }
        let mut output = io::stderr().lock();
        let _unheard = if self.is_terminal {
            let full = percent * WIDTH / 100;
            let bar: String = (0..WIDTH).map(|place| if place < full { '#' } else { '.' }).collect();
            let end = if percent == 100 { "\n" } else { "" };
            write!(output, "\r{} [{bar}] {percent:3} % ({done} of {total}){end}", self.job)
        } else {
            writeln!(output, "{}", json!({ "job": self.job, "done": done, "total": total }))
        };
        let _unheard = output.flush();
    }
}
