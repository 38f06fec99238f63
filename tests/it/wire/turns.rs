//! Requests one after the other on a connection, however its bytes come: each begins with nothing of the one before, and
//! nothing is lost between them.

use std::time::Duration;

use super::{LIST, credentials};
use crate::harness::{RawConnection, TestApp, raw_request, raw_request_of};

/// How long a connection is left alone.
const REST: Duration = Duration::from_millis(50);

/// How long an answer may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn requests_are_understood_however_their_bytes_come() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let create = raw_request_of(
        &owner,
        &format!("POST {LIST} HTTP/1.1"),
        &["Host: x"],
        "Type=gcm&ApiKey=k",
    );
    let list = raw_request_of(&owner, &format!("GET {LIST} HTTP/1.1"), &["Host: x"], "");
    let healthz = raw_request(&["GET /healthz HTTP/1.1", "Host: x"], "");
    let three = [create.as_slice(), &list, &healthz].concat();
    let answers = |connection: &mut RawConnection| {
        connection.answer().json(201);
        connection.answer().json(200);
        connection.answer().json(200);
    };

    let mut connection = app.connect();
    // One after the other, at once, and with empty lines before.
    for request in [&create, &list, &healthz] {
        connection.send(request);
        assert!(connection.answer().status < 300);
    }
    connection.send(&three);
    answers(&mut connection);
    connection.send(b"\r\n\r\n");
    connection.send(&three);
    answers(&mut connection);
    // Cut anywhere, with a pause in which the connection may rest.
    for cut in [
        1,
        create.len() - 1,
        create.len() + 1,
        create.len() + list.len() + 3,
        three.len() - 2,
    ] {
        connection.send(&three[..cut]);
        let is_answered = cut > create.len();
        let patience = if is_answered { PATIENCE } else { REST };
        assert_eq!(connection.look(patience).is_some(), is_answered, "{cut}");
        connection.send(&three[cut..]);
        answers(&mut connection);
    }
    assert_eq!(credentials(&app).await, 8);
}

#[tokio::test]
async fn a_body_whose_length_nobody_tells_is_the_last_on_its_connection() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let authorization = format!("Authorization: {}", owner.authorization());
    let head = [
        &format!("POST {LIST} HTTP/1.1"),
        "Host: x",
        &authorization,
        "Content-Type: application/x-www-form-urlencoded",
        "Transfer-Encoding: chunked",
    ];
    let mut connection = app.connect();
    connection.send(&raw_request(&head, "8\r\nType=gcm\r\n0\r\n\r\n"));
    let answer = connection.answer();
    answer.json(201);
    assert_eq!(answer.header("connection"), Some("close"));
    connection.is_closed();
}

#[tokio::test]
async fn nothing_behind_the_last_request_of_a_connection_is_carried_out() {
    for app in TestApp::over_both(|_| {}).await {
        let owner = app.account("a");
        let authorization = format!("Authorization: {}", owner.authorization());
        let line = format!("POST {LIST} HTTP/1.1");
        let behind = raw_request_of(&owner, &line, &["Host: x"], "Type=gcm");
        let list = |version: &str| format!("GET {LIST} HTTP/{version}");
        let lasts = [
            raw_request_of(&owner, &list("1.1"), &["Host: x", "Connection: close"], ""),
            raw_request_of(&owner, &list("1.0"), &[], ""),
            raw_request_of(
                &owner,
                &list("1.1"),
                &["Host: x", "Connection: upgrade", "Upgrade: h2c"],
                "",
            ),
            raw_request(
                &[&list("1.1"), "Host: x", &authorization, "Transfer-Encoding: chunked"],
                "0\r\n\r\n",
            ),
            raw_request(
                &[&list("1.1"), "Host: x", &authorization, "Transfer-Encoding: chunked"],
                "1\r\nx\r\n0\r\nX: y\r\n\r\n",
            ),
        ];
        for last in lasts {
            // In one piece, and cut so that what is behind comes with the end of the last request.
            for cut in [0, last.len() - 1] {
                let all = [last.as_slice(), &behind, &behind].concat();
                let mut connection = app.connect();
                connection.send(&all[..cut]);
                std::thread::sleep(REST);
                connection.send(&all[cut..]);
                connection.answer().json(200);
                connection.is_closed();
            }
        }
        assert_eq!(credentials(&app).await, 0);
    }
}

#[tokio::test]
async fn an_older_client_that_keeps_its_connection_is_served_on_it() {
    for app in TestApp::over_both(|_| {}).await {
        let owner = app.account("a");
        let request = raw_request_of(
            &owner,
            &format!("POST {LIST} HTTP/1.0"),
            &["Connection: keep-alive"],
            "Type=gcm",
        );
        let mut connection = app.connect();
        connection.send(&request.repeat(3));
        for _ in 0..3 {
            connection.answer().json(201);
        }
        connection.send(&request);
        connection.answer().json(201);
        assert_eq!(credentials(&app).await, 4);
    }
}

#[tokio::test]
async fn half_a_head_behind_another_request_has_the_time_of_a_head() {
    for app in TestApp::over_both(|settings| settings.limits.head_time = Duration::from_secs(1)).await {
        for behind in ["GET /healthz HTTP/1.1\r\nHost: x\r\nX: y", "G"] {
            let mut connection = app.connect();
            let healthz = raw_request(&["GET /healthz HTTP/1.1", "Host: x"], behind);
            connection.send(&healthz);
            connection.answer().json(200);
            let message = "The request did not come in time: send it again, without pauses";
            connection.answer().is_error(408, 20001, message);
            connection.is_closed();
        }
    }
}

#[tokio::test]
async fn an_empty_line_behind_a_body_begins_no_request() {
    for app in TestApp::over_both(|settings| settings.limits.head_time = Duration::from_secs(1)).await {
        let owner = app.account("a");
        let line = format!("POST {LIST} HTTP/1.1");
        let mut request = raw_request_of(&owner, &line, &["Host: x"], "Type=gcm");
        request.extend_from_slice(b"\r\n");
        let mut connection = app.connect();
        for _ in 0..2 {
            connection.send(&request);
            connection.answer().json(201);
            // Longer than a head has time.
            assert!(connection.look(Duration::from_millis(2500)).is_none());
        }
    }
}
