//! TLS in the service itself: what is spoken, who is let in, and what changes without a restart. That requests fare within
//! TLS as without, `abuse::slow` and `wire::unread` try.

mod clients;
mod handshake;
mod journey;
mod reload;

use std::time::{Duration, Instant};

use crate::harness::{Answer, Log, RawConnection, raw_request};

const LIST: &str = "/v2/Credentials";

/// How long something may take that happens by itself, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks on a connection whether the service is alive.
#[track_caller]
fn ask(connection: &mut RawConnection) -> Answer {
    connection.send(&raw_request(&["GET /healthz HTTP/1.1", "Host: x"], ""));
    let answer = connection.answer();
    answer.json(200);
    answer
}

/// Waits until something is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits for a line in the log that has both texts, and returns it. The log is that of all tests of this process.
fn wait_for_line(log: &Log, message: &str, detail: &str) -> String {
    let mut found = None;
    wait_until(message, || {
        let text = log.text();
        found = text
            .lines()
            .find(|line| line.contains(message) && line.contains(detail))
            .map(str::to_owned);
        found.is_some()
    });
    found.unwrap()
}
