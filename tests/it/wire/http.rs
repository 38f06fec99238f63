//! The parts of HTTP around a request: `Expect`, what a client accepts, bodies where none belongs, every answer's headers.

use serde_json::json;

use super::{LIST, credentials, path};
use crate::harness::{Answer, TestApp, raw_request, raw_request_of};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it_and_then_the_answer() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let body = "Type=gcm&ApiKey=k";
    let lines = [
        format!("POST {LIST} HTTP/1.1"),
        "Host: x".to_owned(),
        format!("Authorization: {}", owner.authorization()),
        FORM.to_owned(),
        format!("Content-Length: {}", body.len()),
        "Expect: 100-continue".to_owned(),
    ];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let mut connection = app.connect();
    for _ in 0..2 {
        connection.send(&raw_request(&lines, ""));
        assert_eq!(connection.interim(), "HTTP/1.1 100 Continue\r\n\r\n");
        connection.send(body.as_bytes());
        connection.answer().json(201);
    }
    assert_eq!(credentials(&app).await, 2);
}

#[tokio::test]
async fn an_expectation_without_a_body_or_in_http_1_0_leads_to_one_answer() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let expect = ["Host: x", "Expect: 100-continue"];
    let mut connection = app.connect();
    connection.send(&raw_request_of(&owner, &format!("GET {LIST} HTTP/1.1"), &expect, ""));
    let first = connection.interim();
    // RFC 9110, section 10.1.1: a server may leave the interim answer out, and a client takes it when it comes.
    if !first.starts_with("HTTP/1.1 100 ") {
        assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
    }
    let mut connection = app.connect();
    connection.send(&raw_request_of(
        &owner,
        &format!("POST {LIST} HTTP/1.0"),
        &expect,
        "Type=gcm",
    ));
    let created = connection.answer();
    created.json(201);
    connection.is_closed();
}

#[tokio::test]
async fn nothing_that_a_client_says_of_what_it_accepts_changes_an_answer() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = owner.post(LIST, &[("Type", "gcm")]).await;
    let line = format!("GET {} HTTP/1.1", path(&created.json(201)));
    for header in [
        "Accept: text/html",
        "Accept: application/xml;q=1, application/json;q=0",
        "Accept: ;;;",
        "Accept-Encoding: gzip, br, zstd",
        "Accept-Encoding: identity;q=0, *;q=0",
        "Accept-Charset: utf-16",
        "Accept-Language: tlh",
        "Range: bytes=0-9",
        "If-None-Match: *",
        "If-Modified-Since: Sun, 22 Nov 2099 00:00:00 GMT",
        "Upgrade: h2c",
        "TE: trailers",
        "X-HTTP-Method-Override: DELETE",
    ] {
        let answer = app.exchange(&raw_request_of(&owner, &line, &["Host: x", header], ""));
        assert_eq!(answer.json(200)["sid"], created.json(201)["sid"], "{header}");
        assert_eq!(answer.header("content-encoding"), None, "{header}");
    }
}

#[tokio::test]
async fn a_body_where_none_belongs_is_passed_over_and_the_next_request_understood() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = owner
        .post(LIST, &[("Type", "gcm"), ("FriendlyName", "n")])
        .await
        .json(201);
    let body = "FriendlyName=other&Type=fcm&Sandbox=perhaps";
    for method in ["GET", "DELETE"] {
        let line = format!("{method} {} HTTP/1.1", path(&created));
        let answer = app.exchange(&raw_request_of(&owner, &line, &["Host: x"], body));
        assert!(answer.status < 300, "{}", answer.body);
        if method == "GET" {
            assert_eq!(answer.json(200)["friendly_name"], "n");
        }
    }
    owner.get(&path(&created)).await.is_not_found(&path(&created));
}

#[tokio::test]
async fn answers_of_every_kind_have_the_same_headers_decision_29() {
    // That they are there, and their form, is asserted of every answer that any test gets; here are the kinds.
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let target = path(&owner.post(LIST, &[("Type", "gcm")]).await.json(201));
    let answers: Vec<(u16, Answer)> = vec![
        (200, owner.get(&target).await),
        (204, owner.send(owner.request(reqwest::Method::OPTIONS, LIST)).await),
        (400, owner.post(LIST, &[]).await),
        (401, app.anonymous().get(LIST).await),
        (404, owner.get("/nowhere").await),
        (405, owner.delete(LIST).await),
        (
            412,
            owner
                .send(owner.request(reqwest::Method::GET, &target).header("if-match", "\"\""))
                .await,
        ),
        (413, owner.post(LIST, &[("Type", &"x".repeat(300_000))]).await),
        (415, owner.post_body(LIST, "text/plain", "x").await),
        (431, owner.get(&format!("/{}", "x".repeat(20_000))).await),
        (204, owner.delete(&target).await),
        (200, app.anonymous().get("/healthz").await),
        (200, app.anonymous().get("/readyz").await),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        if status >= 400 {
            let body = answer.json(status);
            let keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["code", "message", "more_info", "status"]);
            assert_eq!(body["status"], json!(status));
        }
    }
}
