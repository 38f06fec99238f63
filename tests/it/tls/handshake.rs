//! Handshakes that do not come to an end: too slow, not TLS, or nothing at all.

use std::io::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{LIST, ask, wait_for_line};
use crate::harness::{Log, TestApp, TlsDirectory, raw_request, raw_request_of};

/// The first bytes of a handshake: a record of 512 bytes that holds a `ClientHello` of 508.
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[tokio::test]
async fn plain_http_is_told_that_the_port_speaks_tls() {
    let log = Log::from_now();
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |_| {}).await;
    let owner = app.account("a");
    let list = raw_request_of(&owner, &format!("GET {LIST} HTTP/1.1"), &["Host: x"], "");
    let mut large = raw_request(&["POST / HTTP/1.1", "Host: x", "Content-Length: 200000"], "");
    large.resize(large.len() + 200_000, b'x');
    for request in [b"GET ".to_vec(), list, large] {
        let mut connection = app.connect_plain();
        connection.send(&request);
        let answer = connection.answer();
        answer.is_error(
            400,
            20001,
            "Bad request: this port speaks TLS, begin the URL with https://",
        );
        let date = answer.header("date").expect("a date");
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
        connection.is_closed();
        let line = wait_for_line(&log, "\"access\"", answer.request_sid());
        assert!(line.contains("\"status\":400"), "{line}");
    }
    assert!(
        !log.text().contains(&owner.authorization()),
        "what came in the clear is in the log"
    );
}

#[tokio::test]
async fn a_handshake_that_is_slow_is_cut_and_nobody_waits_for_it() {
    let log = Log::from_now();
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |settings| {
        settings.server.workers = 1;
        settings.limits.head_time = Duration::from_secs(10);
    })
    .await;
    let begun = Instant::now();
    // As many as would fill a small pool, each in the middle of its handshake, and some that say nothing.
    let mut slow: Vec<_> = (0..60).map(|_| app.connect_plain()).collect();
    for connection in &mut slow[..50] {
        connection.send(HELLO);
    }
    ask(&mut app.connect());
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    // A byte now and then does not make the time longer.
    let mut dripping = app.connect_plain();
    dripping.send(HELLO);
    let begun = Instant::now();
    while dripping.look(Duration::from_millis(100)) != Some(0) {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the connection is still open"
        );
        dripping.send(b"x");
    }
    for mut connection in slow {
        connection.is_cut_within(Duration::from_secs(30));
    }
    wait_for_line(&log, "TLS handshakes failed", "too_slow");
}

#[tokio::test]
async fn garbage_is_the_end_of_its_connection_and_of_nothing_else() {
    let log = Log::from_now();
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |_| {}).await;
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..400),
        prop::collection::vec(any::<u8>(), 0..400).prop_map(|rest| [HELLO, &rest].concat()),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|rest| [&b"\x16\x03\x03\x00\x28"[..], &rest].concat()),
    ];
    let mut runner = TestRunner::new(Config {
        cases: 100,
        failure_persistence: None,
        ..Config::default()
    });
    let canary = "canary-in-the-garbage";
    runner
        .run(&bytes, |bytes| {
            let mut connection = app.connect_plain();
            connection.send(&bytes);
            connection.send(canary.as_bytes());
            let _ = connection.stream.socket().shutdown(std::net::Shutdown::Write);
            connection.is_cut_within(Duration::from_secs(30));
            Ok(())
        })
        .unwrap();
    ask(&mut app.connect());
    let text = log.text();
    assert!(!text.contains(canary), "what the caller said is in the log");
    assert!(!text.contains("\"target\":\"panic\""));
}

#[tokio::test]
async fn failed_handshakes_are_counted_and_told_of_once_a_minute() {
    let log = Log::from_now();
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |_| {}).await;
    for _ in 0..20 {
        let mut connection = app.connect_plain();
        let _ = connection.stream.write_all(b"\x16\x03\x03\x00\x04\xff\xff\xff\xff");
        connection.is_cut_within(Duration::from_secs(30));
    }
    // Other services of this process tell of theirs.
    wait_for_line(&log, "TLS handshakes failed", "not_tls");
    let told = log.text().matches("not_tls").count();
    assert!(told < 20, "one line for each of them");
}
