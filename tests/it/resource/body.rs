//! Request bodies: forms and JSON, what each may look like and how large it may be.

use serde_json::json;

use super::{LIST, create, path, sid};
use crate::harness::{TestApp, apns_certificate, apns_pair};

const FORM: &str = "application/x-www-form-urlencoded";
const LIMIT: usize = 256 * 1024;

#[tokio::test]
async fn the_forms_that_the_official_sdks_were_recorded_sending_mean_the_same() {
    // The contract's section 6.4: Python writes a space as `+`, Node as `%20`.
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for body in [
        "Type=apn&FriendlyName=My+cert+%C3%A9+%26%2B&Sandbox=true",
        "Type=apn&FriendlyName=My%20cert%20%C3%A9%20%26%2B&Sandbox=true",
        "FriendlyName=My+cert+%c3%a9+%26%2b&Sandbox=true&Type=apn&",
    ] {
        for content_type in [
            FORM,
            "application/x-www-form-urlencoded; charset=utf-8",
            "Application/X-WWW-Form-Urlencoded",
        ] {
            let created = owner.post_body(LIST, content_type, body).await.json(201);
            assert_eq!(created["friendly_name"], "My cert é &+");
            assert_eq!(created["sandbox"], "True");
        }
    }
}

#[tokio::test]
async fn a_json_body_with_the_same_names_is_taken_decision_14() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let body = json!({
        "Type": "apn",
        "FriendlyName": "n",
        "Sandbox": true,
        "Certificate": apns_pair(),
        "PrivateKey": null,
        "Unknown": "ignored",
        "Number": 1.5,
        "Nested": { "Type": ["fcm", 1, -1, null, {}] },
    });
    let created = owner.post_json(LIST, &body).await.json(201);
    assert_eq!(
        (&created["friendly_name"], &created["sandbox"]),
        (&json!("n"), &json!("True"))
    );
    assert_eq!(app.opened(sid(&created)).await[0].certificate, Some(apns_certificate()));
    let updated = owner
        .post_json(&path(&created), &json!({ "FriendlyName": null }))
        .await
        .json(200);
    assert_eq!(updated["friendly_name"], json!(null));
}

#[tokio::test]
async fn json_that_is_no_object_of_texts_is_refused_decision_14() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let message =
        "Could not parse the JSON body: send one object whose values are strings, such as {\"Type\": \"apn\"}";
    for body in [
        "{",
        "[]",
        "null",
        "\"Type\"",
        "{\"Type\": 1}",
        "{\"Type\": -1.5}",
        "{\"Type\": [\"apn\"]}",
        "{\"Type\": {}}",
        "{\"Type\": \"fcm\", \"Secret\": true}",
        "{\"Type\": \"fcm\", \"FriendlyName\": false}",
        "{\"Type\": \"fcm\", \"Sandbox\": 1}",
        "{\"Type\": \"apn\"} {}",
        "{\"Type\": \"\\ud800\"}",
        "Type=apn",
    ] {
        owner
            .post_body(LIST, "application/json", body)
            .await
            .is_error(400, 20001, message);
    }
    owner
        .post_body(LIST, "application/json", &b"{\"Type\": \"\xff\"}"[..])
        .await
        .is_error(400, 20001, message);
}

#[tokio::test]
async fn a_body_of_another_kind_is_415_decision_14() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "gcm")]).await;
    let message = "Unsupported media type: send application/x-www-form-urlencoded or application/json";
    for target in [LIST.to_owned(), path(&created)] {
        for content_type in [
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "",
            ";",
        ] {
            let answer = owner.post_body(&target, content_type, "Type=gcm").await;
            answer.is_error(415, 20001, message);
        }
        let request = owner.request(reqwest::Method::POST, &target).body("Type=gcm");
        owner.send(request).await.is_error(415, 20001, message);
    }
}

#[tokio::test]
async fn of_a_form_parameter_that_comes_twice_the_last_counts_decision_22() {
    let app = TestApp::spawn().await;
    let body = "Type=fcm&FriendlyName=first&Type=gcm&FriendlyName=last";
    let created = app.account("a").post_body(LIST, FORM, body).await.json(201);
    assert_eq!(
        (&created["type"], &created["friendly_name"]),
        (&json!("gcm"), &json!("last"))
    );
}

#[tokio::test]
async fn names_are_case_sensitive_and_unknown_ones_ignored() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let message = "Missing required parameter Type in the post body";
    for body in ["type=apn", "TYPE=apn", "Typ%65=", "", "&&=&=", "Certificate=x"] {
        owner.post_body(LIST, FORM, body).await.is_error(400, 20001, message);
    }
    let body = "Typ%65=gcm&Idempotency=x&AccountSid=ACx&sandbox=perhaps";
    assert_eq!(owner.post_body(LIST, FORM, body).await.json(201)["type"], "gcm");
}

#[tokio::test]
async fn a_body_may_have_256_kib_and_not_one_byte_more_decision_21() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let body = |length: usize| {
        let mut body = "Type=gcm&Filler=".to_owned();
        body.push_str(&"x".repeat(length - body.len()));
        body
    };
    let message = "Request Entity Too Large: send at most 262144 bytes";

    owner.post_body(LIST, FORM, body(LIMIT)).await.json(201);
    owner
        .post_body(LIST, FORM, body(LIMIT + 1))
        .await
        .is_error(413, 20413, message);

    // Without a length up front it is the same.
    let chunked = |length| {
        let body = body(length);
        let request = format!(
            "POST {LIST} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\
             \r\nConnection: close\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            app.host(),
            owner.authorization(),
            body.len()
        );
        app.raw(request.as_bytes())
    };
    assert!(chunked(LIMIT).starts_with("HTTP/1.1 201 "));
    let refused = chunked(LIMIT + 1);
    assert!(
        refused.starts_with("HTTP/1.1 413 ") && refused.contains(message),
        "{refused}"
    );
}

#[tokio::test]
async fn a_body_that_was_not_read_is_not_taken_for_the_next_request() {
    // Refused before anyone looked at the body, which holds a request of its own.
    let app = TestApp::spawn().await;
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    for (authorization, status) in [(String::new(), "401"), (app.account("a").authorization(), "415")] {
        let mut requests = format!(
            "POST {LIST} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Length: {}\r\n\r\n{hidden}",
            hidden.len()
        );
        requests.push_str("GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answers = app.raw(requests.as_bytes());
        assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{answers}");
        assert!(!answers.contains("/hidden"), "{answers}");
        // Either the connection ends, or the next request is understood.
        let count = answers.matches("HTTP/1.1 ").count();
        assert!(count == 1 || (count == 2 && answers.contains("/next")), "{answers}");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_refused_and_changes_nothing() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let request = format!(
        "POST {LIST} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: {FORM}\r\nContent-Length: 100\r\n\r\nType=gcm",
        app.host(),
        owner.authorization()
    );
    app.raw(request.as_bytes());
    assert_eq!(owner.get(LIST).await.json(200)["credentials"], json!([]));
}
