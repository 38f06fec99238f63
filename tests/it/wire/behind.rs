//! What comes behind a request on its connection, and callers who hang up or spoil their body.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::{LIST, credentials};
use crate::harness::{Client, Log, TestApp, raw_request, raw_request_of};

/// How long a machine may take over what was asked of it.
const LIMIT: Duration = Duration::from_secs(30);

fn create(client: &Client, headers: &[&str]) -> Vec<u8> {
    let line = format!("POST {LIST} HTTP/1.1");
    raw_request_of(client, &line, &[&["Host: x"], headers].concat(), "Type=gcm&ApiKey=k")
}

/// Waits until there are so many audit events.
async fn event_number(app: &TestApp, number: i64) {
    let begun = Instant::now();
    while app.audit_count().await < number {
        assert!(begun.elapsed() < LIMIT, "there is no event {number}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_behind_a_last_request_is_not_carried_out() {
    for app in TestApp::over_both(|_| {}).await {
        let owner = app.account("a");
        let old = create(&owner, &[]);
        let old = String::from_utf8(old)
            .unwrap()
            .replace("HTTP/1.1", "HTTP/1.0")
            .into_bytes();
        for last in [create(&owner, &["Connection: close"]), old] {
            let before = credentials(&app).await;
            let mut connection = app.connect();
            connection.send(&[last, create(&owner, &[])].concat());
            connection.answer().json(201);
            connection.is_closed();
            assert_eq!(credentials(&app).await, before + 1);
        }
    }
}

#[tokio::test]
async fn what_is_behind_other_requests_is_carried_out_in_their_order() {
    for app in TestApp::over_both(|_| {}).await {
        let owner = app.account("a");
        let fetch = raw_request_of(&owner, &format!("GET {LIST} HTTP/1.1"), &["Host: x"], "");
        let mut connection = app.connect();
        connection.send(&[create(&owner, &[]), fetch.clone(), create(&owner, &[]), fetch].concat());
        for (status, count) in [(201, 1), (200, 1), (201, 2), (200, 2)] {
            let body = connection.answer().json(status);
            if status == 200 {
                assert_eq!(body["credentials"].as_array().unwrap().len(), count);
            }
        }
    }
}

#[tokio::test]
async fn a_refused_change_whose_caller_hangs_up_leaves_its_event() {
    let log = Log::from_now();
    for app in TestApp::over_both(|_| {}).await {
        let owner = app.account("a");
        let mut stranger = owner.clone();
        stranger.credentials = owner.credentials.clone().map(|(sid, _)| (sid, "w".repeat(32)));
        let unknown = format!("DELETE {LIST}/CR{} HTTP/1.1", "0".repeat(32));
        for (request, action) in [
            (create(&stranger, &[]), "credential.create"),
            (raw_request_of(&owner, &unknown, &["Host: x"], ""), "credential.delete"),
        ] {
            let before = app.audit_count().await;
            let mut connection = app.connect();
            connection.send(&request);
            connection.stream.socket().shutdown(Shutdown::Both).unwrap();
            drop(connection);
            event_number(&app, before + 1).await;
            let last = app.audit_trail().await.pop().unwrap();
            assert_eq!(last.action, action);
            assert_ne!(last.outcome, "success");
            let request_sid = last.request_sid.unwrap();
            let is_of_it = |line: &serde_json::Value| line.to_string().contains(&request_sid);
            let begun = Instant::now();
            while !log.events("access").iter().any(is_of_it) {
                assert!(begun.elapsed() < LIMIT, "the access log has no line of it");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_body_with_a_chunk_that_is_none_is_answered_and_leaves_its_event() {
    for app in TestApp::over_both(|_| {}).await {
        let owner = app.account("a");
        let authorization = format!("Authorization: {}", owner.authorization());
        for chunk in ["8;\x01\r\nType=fcm\r\n0\r\n\r\n", "zz\r\n", "-1\r\n\r\n"] {
            let before = app.audit_count().await;
            let lines = [
                &format!("POST {LIST} HTTP/1.1"),
                "Host: x",
                &authorization,
                "Content-Type: application/x-www-form-urlencoded",
                "Transfer-Encoding: chunked",
            ];
            let mut connection = app.connect();
            connection.send(&raw_request(&lines, chunk));
            let answer = connection.answer();
            assert_eq!(answer.status, 400, "{chunk:?}: {}", answer.body);
            assert_eq!(app.audit_count().await, before + 1, "{chunk:?}");
        }
        assert_eq!(credentials(&app).await, 0);
    }
}

#[tokio::test]
async fn a_host_that_is_none_is_refused() {
    for app in TestApp::over_both(|_| {}).await {
        let owner = app.account("a");
        let line = format!("GET {LIST} HTTP/1.1");
        for hosts in [
            &["Host: a, b"][..],
            &["Host: a", "Host: b"],
            &["Host: a b"],
            &["Host: a/b"],
        ] {
            let answer = app.exchange(&raw_request_of(&owner, &line, hosts, ""));
            assert_eq!(answer.status, 400, "{hosts:?}: {}", answer.body);
        }
        app.exchange(&raw_request_of(&owner, &line, &["Host: a"], "")).json(200);
    }
}
