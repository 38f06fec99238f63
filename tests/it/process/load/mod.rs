//! Load, and the proof that it left nothing behind but what was acknowledged: writers at work (`writers`), what they were
//! told (`ledger`), what they saw (`seen`), and what is in the database afterwards (`evidence`).

mod evidence;
mod ledger;
mod random;
mod seen;
mod writers;

pub(super) use evidence::Evidence;
pub(super) use ledger::{APNS_PAIR, Kind, Story};
pub(super) use random::Random;
pub(super) use seen::{Observation, Outcome, Progress};
pub(super) use writers::{Crew, Writer, Written};

/// Says what a failure is to be seen again with.
#[expect(clippy::print_stdout, reason = "the test runner shows it when the test fails")]
pub(super) fn tell(text: &str) {
    println!("{text}");
}
