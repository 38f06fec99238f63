//! Clients that send slowly, or read nothing.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::LIST;
use crate::harness::{Answer, TestApp, raw_request, raw_request_of};

/// Sends a body a byte at a time, until the service has had enough of it, and after that until it hangs up.
fn drip(app: &TestApp, head: &[u8], byte: &[u8]) -> (Answer, Duration) {
    const PAUSE: Duration = Duration::from_millis(100);
    let mut connection = app.connect();
    let begun = Instant::now();
    connection.send(head);
    while connection.look(PAUSE).is_none() {
        connection.send(byte);
    }
    let answer = connection.answer();
    let waited = begun.elapsed();
    while connection.look(PAUSE) != Some(0) {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "the connection is still open"
        );
        connection.send(byte);
    }
    (answer, waited)
}

#[tokio::test]
async fn a_body_that_drips_is_408_and_nothing_is_stored() {
    for app in TestApp::over_both(|settings| settings.limits.body_time = Duration::from_secs(1)).await {
        let owner = app.account("a");
        let authorization = format!("Authorization: {}", owner.authorization());
        let line = format!("POST {LIST} HTTP/1.1");
        let form = "Content-Type: application/x-www-form-urlencoded";
        let sized = raw_request(
            &[&line, "Host: x", &authorization, form, "Content-Length: 100"],
            "Type=gcm&",
        );
        let chunked = raw_request(
            &[&line, "Host: x", &authorization, form, "Transfer-Encoding: chunked"],
            "9\r\nType=gcm&\r\n",
        );
        for (head, byte) in [(sized, &b"x"[..]), (chunked, b"1\r\nx\r\n")] {
            let (answer, waited) = drip(&app, &head, byte);
            let message = "The request did not come in time: send it again, without pauses";
            answer.is_error(408, 20001, message);
            assert_eq!(answer.header("connection"), Some("close"));
            assert!(
                waited >= Duration::from_millis(900) && waited < Duration::from_secs(5),
                "{waited:?}"
            );
            let event = app.audit_event_of(&answer).await;
            assert_eq!((event.outcome.as_str(), event.error_code), ("failed", Some(20001)));
        }
        let credentials: i64 = sqlx::query_scalar("select count(*) from credentials")
            .fetch_one(&app.pool)
            .await
            .unwrap();
        assert_eq!(credentials, 0);
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_waited_for_once_the_answer_has_gone_out() {
    for app in TestApp::over_both(|settings| {
        settings.limits.head_time = Duration::from_secs(1);
        settings.server.keep_alive = Duration::from_secs(1);
    })
    .await
    {
        let head = raw_request(&["GET /healthz HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"], "");
        for first in ["", "1\r\nx\r\n"] {
            let mut connection = app.connect();
            connection.send(&[&head, first.as_bytes()].concat());
            connection.answer().json(200);
            connection.is_cut_within(Duration::from_secs(6));
        }
    }
}

#[tokio::test]
async fn a_connection_that_rests_longer_than_a_request_may_take_serves_on() {
    for app in TestApp::over_both(|settings| settings.limits.head_time = Duration::from_secs(1)).await {
        let mut connection = app.connect();
        let request = raw_request(&["GET /healthz HTTP/1.1", "Host: x"], "");
        for _ in 0..2 {
            connection.send(&request);
            connection.answer().json(200);
            std::thread::sleep(Duration::from_millis(2500));
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    for app in TestApp::over_both(|settings| settings.limits.stall_time = Duration::from_secs(1)).await {
        let owner = app.account("a");
        let create = raw_request_of(&owner, &format!("POST {LIST} HTTP/1.1"), &["Host: x"], "Type=gcm");
        app.exchange(&create).json(201);
        app.copy_credential(999).await;
        let request = raw_request(
            &[
                &format!("GET {LIST}?PageSize=1000 HTTP/1.1"),
                "Host: x",
                &format!("Authorization: {}", owner.authorization()),
            ],
            "",
        );
        // The list has 300 kB: together more than the kernel holds for a connection.
        let mut stalled = app.connect();
        stalled.send(&request.repeat(60));
        let begun = Instant::now();
        // The service hangs up although nothing was read: writing fails in the end.
        let cut = loop {
            std::thread::sleep(Duration::from_millis(100));
            if stalled.stream.write_all(b"\r\n").is_err() {
                break true;
            }
            if begun.elapsed() > Duration::from_secs(8) {
                break false;
            }
        };
        assert!(cut, "the connection is still open");
        let list = raw_request_of(&owner, &format!("GET {LIST} HTTP/1.1"), &["Host: x"], "");
        app.exchange(&list).json(200);
    }
}
