//! Heads, queries and bodies with too much in them.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::LIST;
use crate::harness::{TestApp, migrated_database, raw_request};

const TOO_LARGE: &str = "Request header fields too large: send fewer or shorter headers, and a shorter query";

#[tokio::test]
async fn a_head_of_more_than_the_limit_is_431_and_one_of_less_is_not_decision_29() {
    let app = TestApp::spawn_with(migrated_database(), |settings| settings.limits.head_bytes = 2048).await;
    let owner = app.account("a");
    let long = "x".repeat(2048);
    let short = "x".repeat(1400);
    for (target, header, status) in [
        (LIST.to_owned(), short.as_str(), 200),
        (LIST.to_owned(), &long, 431),
        (format!("{LIST}?X={short}"), "", 200),
        (format!("{LIST}?X={long}"), "", 431),
        (format!("{LIST}?X={short}"), &short, 431),
        (format!("/{long}"), "", 431),
    ] {
        let answer = owner
            .send(owner.request(Method::GET, &target).header("x-long", header))
            .await;
        if status == 200 {
            answer.json(200);
        } else {
            answer.is_error(431, 20001, TOO_LARGE);
        }
    }
    // Many small headers are a large head too.
    let mut request = owner.request(Method::GET, LIST);
    for number in 0..80 {
        request = request.header(format!("x-{number:02}"), "0123456789012345678901234567");
    }
    owner.send(request).await.is_error(431, 20001, TOO_LARGE);
    // A mutation with such a head is not done, and recorded as every refused one.
    let events = app.audit_count().await;
    let request = owner.request(Method::POST, LIST).header("x-long", &long);
    owner
        .send(request.form(&[("Type", "gcm")]))
        .await
        .is_error(431, 20001, TOO_LARGE);
    assert_eq!(app.audit_count().await, events + 1);
    assert_eq!(owner.get(LIST).await.json(200)["credentials"], json!([]));
}

#[tokio::test]
async fn more_parameters_than_the_limit_are_refused_in_query_form_and_json() {
    let app = TestApp::spawn_with(migrated_database(), |settings| settings.limits.parameters = 5).await;
    let owner = app.account("a");
    let message = "Too many parameters: send at most 5";
    let pairs = |count: usize| {
        let fillers: Vec<_> = (1..count).map(|number| format!("X{number}=x")).collect();
        fillers.join("&")
    };
    owner.get(&format!("{LIST}?PageSize=1&{}", pairs(5))).await.json(200);
    let answer = owner.get(&format!("{LIST}?PageSize=1&{}", pairs(6))).await;
    answer.is_error(400, 20001, message);

    let form = "application/x-www-form-urlencoded";
    let created = owner
        .post_body(LIST, form, format!("{}&Type=gcm", pairs(5)))
        .await
        .json(201);
    let path = format!("{LIST}/{}", created["sid"].as_str().unwrap());
    for target in [LIST, &path] {
        let answer = owner.post_body(target, form, format!("{}&Type=gcm", pairs(6))).await;
        answer.is_error(400, 20001, message);
        // The same name again and again is no fewer.
        let answer = owner.post_body(target, form, "Type=gcm&".repeat(6)).await;
        answer.is_error(400, 20001, message);
        let object: Map<String, Value> = (0..5).map(|number| (format!("X{number}"), json!("x"))).collect();
        let mut object = Value::from(object);
        object["Type"] = json!("gcm");
        owner.post_json(target, &object).await.is_error(400, 20001, message);
        object.as_object_mut().unwrap().remove("X0");
        assert!(owner.post_json(target, &object).await.status < 300);
    }
}

#[tokio::test]
async fn json_may_not_repeat_a_name_past_the_limit_either() {
    let app = TestApp::spawn_with(migrated_database(), |settings| settings.limits.parameters = 5).await;
    let repeated = ["\"Type\":\"gcm\""; 6].join(",");
    let answer = app
        .account("a")
        .post_body(LIST, "application/json", format!("{{{repeated}}}"))
        .await;
    answer.is_error(400, 20001, "Too many parameters: send at most 5");
}

#[tokio::test]
async fn an_early_answer_arrives_whole_at_a_client_that_still_sends() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let size = 16 * 1024 * 1024;
    let length = format!("Content-Length: {size}");
    let form = "Content-Type: application/x-www-form-urlencoded";
    let line = format!("POST {LIST} HTTP/1.1");
    let authorization = format!("Authorization: {}", owner.authorization());
    for (authorization, status, code) in [("X: y", 401, 20003), (authorization.as_str(), 413, 20413)] {
        for _ in 0..3 {
            let mut connection = app.connect();
            let head = raw_request(&[&line, "Host: x", authorization, form, &length], "");
            let mut sender = connection.stream.socket().try_clone().unwrap();
            let sending = std::thread::Builder::new()
                .name("abuse::sender".to_owned())
                .spawn(move || {
                    use std::io::Write as _;
                    let chunk = vec![b'x'; 64 * 1024];
                    let _ = sender.write_all(&head);
                    for _ in 0..size / chunk.len() {
                        if sender.write_all(&chunk).is_err() {
                            break;
                        }
                    }
                })
                .unwrap();
            let answer = connection.answer();
            assert_eq!(
                (answer.status, answer.json(status)["code"].as_i64()),
                (status, Some(code))
            );
            sending.join().unwrap();
        }
    }
    assert_eq!(owner.get(LIST).await.json(200)["credentials"], json!([]));
}

#[tokio::test]
async fn large_bodies_and_answers_find_room_or_are_503() {
    let app = TestApp::spawn_with(migrated_database(), |settings| settings.limits.buffer_bytes = 400_000).await;
    let owner = app.account("a");
    let form = "application/x-www-form-urlencoded";
    let body = |size: usize| format!("Type=gcm&X={}", "x".repeat(size));
    owner.post_body(LIST, form, body(20_000)).await.json(201);
    app.copy_credential(999).await;
    owner.get(LIST).await.json(200);

    // An account has a quarter. What is small needs no room.
    let refused = owner.get(&format!("{LIST}?PageSize=1000")).await;
    refused.is_error(503, 20503, "Service Unavailable");
    assert_eq!(refused.header("retry-after"), Some("2"));
    let events = app.audit_count().await;
    let refused = owner.post_body(LIST, form, body(60_000)).await;
    refused.is_error(503, 20503, "Service Unavailable");
    assert_eq!(app.audit_count().await, events + 1);

    // What found room gives it back.
    for _ in 0..5 {
        owner.post_body(LIST, form, body(30_000)).await.json(201);
        owner.get(&format!("{LIST}?PageSize=200")).await.json(200);
    }
    let counted: i64 = sqlx::query_scalar("select count(*) from credentials")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(counted, 1005);
}
