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
