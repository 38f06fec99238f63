//! Decision 29: a request whose head cannot be read gets a whole answer too.

use std::time::{Duration, Instant};

use serde_json::json;

use super::LIST;
use crate::harness::{Answer, Log, RawConnection, TestApp, raw_request, raw_request_of};

const UNREADABLE: &str = "Bad request: this is not HTTP/1.1 as RFC 9112 has it";
const TOO_LARGE: &str = "Request header fields too large: send fewer or shorter headers, and a shorter query";

/// Heads that no parser takes.
fn bad_heads() -> Vec<(&'static str, Vec<u8>)> {
    let get = |header: &str| format!("GET / HTTP/1.1\r\n{header}\r\n\r\n").into_bytes();
    let post = |headers: &[&str], body: &str| {
        let lines = [&["POST / HTTP/1.1", "Host: x"], headers].concat();
        raw_request(&lines, body)
    };
    let chunked = "Transfer-Encoding: chunked";
    vec![
        (
            "no HTTP at all",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n".to_vec(),
        ),
        ("words", b"hello there\r\n\r\n".to_vec()),
        ("another protocol", b"GET / SIP/2.0\r\n\r\n".to_vec()),
        ("no host", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a header without a colon", get("Host x")),
        ("a zero in a header", get("Host: a\0b")),
        ("a length that is a word", post(&["Content-Length: ten"], "")),
        ("a negative length", post(&["Content-Length: -1"], "")),
        ("a length with a sign", post(&["Content-Length: +4"], "Type")),
        (
            "two lengths",
            post(&["Content-Length: 4", "Content-Length: 5"], "Typex"),
        ),
        (
            "a length and chunks",
            post(&["Content-Length: 4", chunked], "0\r\n\r\n"),
        ),
        (
            "chunks and a length",
            post(&[chunked, "Content-Length: 4"], "0\r\n\r\n"),
        ),
        ("chunks twice", post(&[chunked, chunked], "0\r\n\r\n")),
        ("an encoding that nobody has", post(&["Transfer-Encoding: rot13"], "x")),
    ]
}

/// The whole of an answer to an unread head, and the end of its connection.
#[track_caller]
fn is_refused(connection: &mut RawConnection, status: u16, message: &str) -> Answer {
    let answer = connection.answer();
    answer.is_error(status, 20001, message);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let date = answer.header("date").expect("a date");
    assert!(date.ends_with(" GMT"), "{date}");
    connection.is_closed();
    answer
}

/// The line of the access log that belongs to an answer.
fn access_line(log: &Log, answer: &Answer) -> serde_json::Value {
    // The line is written before the answer is, but the log belongs to the whole process.
    let mut lines = log.events("access");
    lines.retain(|line| line.to_string().contains(answer.request_sid()));
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

#[tokio::test]
async fn a_head_that_no_parser_takes_is_refused_in_full_decision_29() {
    let log = Log::from_now();
    for app in TestApp::over_both(|_| {}).await {
        let events = app.audit_count().await;
        for (name, head) in bad_heads() {
            let mut connection = app.connect();
            connection.send(&head);
            let answer = is_refused(&mut connection, 400, UNREADABLE);
            let line = access_line(&log, &answer);
            assert_eq!(
                (&line["status"], &line["error_code"]),
                (&json!(400), &json!(20001)),
                "{name}"
            );
            assert_eq!(line["request_sid"], answer.request_sid(), "{name}");
        }
        assert_eq!(app.audit_count().await, events);
    }
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused_in_full_however_much_still_comes_decision_29() {
    let log = Log::from_now();
    for app in TestApp::over_both(|_| {}).await {
        // The first is a little more than the limit: nothing more has to come for the answer.
        for kib in [18, 130, 1024] {
            let head = format!("GET {LIST} HTTP/1.1\r\nX-Long: {}", "x".repeat(kib * 1024));
            let mut connection = app.connect();
            connection.send(head.as_bytes());
            let answer = is_refused(&mut connection, 431, TOO_LARGE);
            assert_eq!(access_line(&log, &answer)["status"], 431);
        }
    }
}

#[tokio::test]
async fn a_head_of_more_headers_than_the_parser_counts_is_refused_in_full_decision_29() {
    for app in TestApp::over_both(|_| {}).await {
        for count in [95, 96, 200] {
            let headers: Vec<_> = (0..count).map(|number| format!("X-{number}: x\r\n")).collect();
            let mut connection = app.connect();
            connection.send(format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", headers.concat()).as_bytes());
            if count == 95 {
                assert_eq!(connection.answer().status, 200);
            } else {
                is_refused(&mut connection, 431, TOO_LARGE);
            }
        }
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_refused_in_full_when_its_time_is_over_decision_29() {
    let log = Log::from_now();
    for app in TestApp::over_both(|settings| settings.limits.head_time = Duration::from_secs(1)).await {
        let message = "The request did not come in time: send it again, without pauses";
        for begin in ["", "GET ", "GET / HTTP/1.1\r\nHost: x\r\n"] {
            let started = Instant::now();
            let mut connection = app.connect();
            connection.send(begin.as_bytes());
            let answer = is_refused(&mut connection, 408, message);
            // The server's clock for this has steps of half a second.
            assert!(started.elapsed() >= Duration::from_millis(400), "{begin:?}");
            assert_eq!(access_line(&log, &answer)["status"], 408);
        }
    }
}

#[tokio::test]
async fn the_head_of_a_later_request_has_no_more_time_than_the_first() {
    for app in TestApp::over_both(|settings| settings.limits.head_time = Duration::from_secs(1)).await {
        let mut connection = app.connect();
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(connection.answer().status, 200);
        connection.send(b"GET /healthz HTTP/1.1\r\n");
        connection.is_cut_within(Duration::from_secs(4));
    }
}

#[tokio::test]
async fn a_bad_head_behind_good_requests_is_refused_after_their_answers_decision_29() {
    for app in TestApp::over_both(|_| {}).await {
        let owner = app.account("a");
        let line = format!("POST {LIST} HTTP/1.1");
        let form = "Type=gcm&FriendlyName=HTTP/1.1+400+x";
        app.exchange(&raw_request_of(&owner, &line, &["Host: x"], form))
            .json(201);
        app.copy_credential(999).await;
        let good = raw_request(
            &[
                &format!("GET {LIST}?PageSize=1000 HTTP/1.1"),
                "Host: x",
                &format!("Authorization: {}", owner.authorization()),
            ],
            "",
        );
        for count in [1, 5, 12] {
            let mut connection = app.connect();
            let mut requests = good.repeat(count);
            requests.extend_from_slice(b"no HTTP\r\n\r\n");
            connection.send(&requests);
            // Whoever reads late gets everything too: it is more than the kernel holds for a connection.
            std::thread::sleep(Duration::from_millis(300));
            for _ in 0..count {
                let page = connection.answer().json(200);
                assert_eq!(page["credentials"].as_array().unwrap().len(), 1000);
            }
            is_refused(&mut connection, 400, UNREADABLE);
        }
    }
}

#[tokio::test]
async fn a_bad_head_behind_a_request_of_an_older_client_is_refused_in_full_decision_29() {
    for app in TestApp::over_both(|_| {}).await {
        let older = raw_request(&["GET /healthz HTTP/1.0", "Connection: keep-alive"], "");
        let long = format!("GET / HTTP/1.0\r\nX: {}", "x".repeat(18 * 1024)).into_bytes();
        for (behind, status, message) in [
            (b"no HTTP\r\n\r\n".to_vec(), 400, UNREADABLE),
            (long, 431, TOO_LARGE),
            (b"POST / HTTP/1.0\r\n\r\n".to_vec(), 400, UNREADABLE),
        ] {
            let mut connection = app.connect();
            connection.send(&[older.as_slice(), &behind].concat());
            connection.answer().json(200);
            is_refused(&mut connection, status, message);
        }
    }
}
