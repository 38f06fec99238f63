//! Decision 26: the product by the host's first label; decision 27: URLs where the request was.

use reqwest::Method;
use serde_json::Value;

use super::path;
use crate::harness::{Answer, Client, TestApp, migrated_database, raw_request_of};

/// What a host and a path mean: the maximum of a page tells conversations from the others.
const BARE: [(&str, &str, Option<u64>); 13] = [
    ("chat.twilio.com", "/v2/Credentials", Some(1000)),
    ("chat.twilio.com", "/v1/Credentials", Some(1000)),
    ("ip-messaging.twilio.com", "/v2/Credentials", Some(1000)),
    ("ip-messaging.twilio.com", "/v1/Credentials", Some(1000)),
    ("notify.twilio.com", "/v1/Credentials", Some(1000)),
    ("notify.dublin.ie1.twilio.com", "/v1/Credentials", Some(1000)),
    ("conversations.twilio.com", "/v1/Credentials", Some(100)),
    ("Conversations.dublin.ie1.twilio.com:8443", "/v1/Credentials", Some(100)),
    ("conversations", "/v1/Credentials", Some(100)),
    ("notify.twilio.com", "/v2/Credentials", None),
    ("notify.dublin.ie1.twilio.com", "/v2/Credentials", None),
    ("conversations.twilio.com", "/v2/Credentials", None),
    ("vault.conversations.internal", "/v1/Credentials", Some(1000)),
];

/// Sends a request to the service as if it were that host.
async fn on(client: &Client, host: &str, method: Method, target: &str, form: &[(&str, &str)]) -> Answer {
    let mut request = client.request(method, target).header("host", host);
    if !form.is_empty() {
        request = request.form(form);
    }
    client.send(request).await
}

#[tokio::test]
async fn the_hosts_first_label_names_the_product_of_a_bare_path_decisions_7_and_26() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for (host, list, maximum) in BARE {
        let answer = on(&owner, host, Method::GET, &format!("{list}?PageSize=100000"), &[]).await;
        if let Some(maximum) = maximum {
            assert_eq!(answer.json(200)["meta"]["page_size"], maximum, "{host}{list}");
            continue;
        }
        answer.is_not_found(list);
        let created = on(&owner, host, Method::POST, list, &[("Type", "gcm")]).await;
        created.is_not_found(list);
        let instance = format!("{list}/CR0123456789abcdef0123456789abcdef");
        let fetched = on(&owner, host, Method::GET, &instance, &[]).await;
        fetched.is_not_found(&instance);
    }
}

#[tokio::test]
async fn a_product_in_the_path_wins_over_the_one_in_the_host_decision_26() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for (host, list, maximum) in [
        ("notify.twilio.com", "/chat/v2/Credentials", 1000),
        ("notify.twilio.com", "/conversations/v1/Credentials", 100),
        ("conversations.twilio.com", "/notify/v1/Credentials", 1000),
        ("conversations.twilio.com", "/chat/v2/Credentials", 1000),
    ] {
        let answer = on(&owner, host, Method::GET, &format!("{list}?PageSize=5000"), &[]).await;
        let page = answer.json(200);
        assert_eq!(page["meta"]["page_size"], maximum, "{host}{list}");
        assert_eq!(
            page["meta"]["url"],
            format!("http://{host}{list}?PageSize={maximum}&Page=0")
        );
    }
}

#[tokio::test]
async fn a_credential_of_one_host_is_read_changed_and_deleted_on_every_other_decision_26() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for (made_on, list, maximum) in BARE {
        if maximum.is_none() {
            continue;
        }
        let created = on(&owner, made_on, Method::POST, list, &[("Type", "gcm")])
            .await
            .json(201);
        let sid = created["sid"].as_str().unwrap();
        for (host, list, maximum) in BARE {
            if maximum.is_none() {
                continue;
            }
            let target = format!("{list}/{sid}");
            let mut expected = created.clone();
            expected["url"] = Value::from(format!("http://{host}{target}"));
            assert_eq!(on(&owner, host, Method::GET, &target, &[]).await.json(200), expected);
        }
        let target = format!("/v1/Credentials/{sid}");
        let renamed = on(&owner, "notify.x", Method::POST, &target, &[("FriendlyName", "n")]).await;
        assert_eq!(renamed.json(200)["friendly_name"], "n");
        let deleted = on(&owner, "conversations.x", Method::DELETE, &target, &[]).await;
        assert_eq!(deleted.status, 204);
    }
}

#[tokio::test]
async fn every_url_of_a_walk_through_pages_keeps_the_origin_and_the_prefix_decision_27() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for _ in 0..3 {
        owner.post("/v2/Credentials", &[("Type", "gcm")]).await.json(201);
    }
    for (host, list) in [
        ("notify.dublin.ie1.twilio.com", "/v1/Credentials"),
        ("conversations.vault.internal:8443", "/v1/Credentials"),
        ("vault.internal", "/chat/v1/Credentials"),
        ("[::1]:8080", "/v2/Credentials"),
    ] {
        let origin = format!("http://{host}");
        let mut target = format!("{list}?PageSize=1");
        for number in 0..3 {
            let page = on(&owner, host, Method::GET, &target, &[]).await.json(200);
            let row = &page["credentials"][0];
            let expected = format!("{origin}{list}/{}", row["sid"].as_str().unwrap());
            assert_eq!(row["url"], expected);
            for key in ["url", "first_page_url", "next_page_url", "previous_page_url"] {
                let Some(url) = page["meta"][key].as_str() else {
                    continue;
                };
                assert!(
                    url.starts_with(&format!("{origin}{list}?PageSize=1&Page=")),
                    "{key}: {url}"
                );
            }
            let next = page["meta"]["next_page_url"].as_str();
            assert_eq!(next.is_some(), number < 2);
            target = next.unwrap_or_default().replace(&origin, "");
        }
    }
}

#[tokio::test]
async fn with_a_public_url_the_hosts_product_stands_in_the_path_decisions_26_and_27() {
    let public_url = "https://push.example.com:8443";
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        settings.server.public_url = Some(public_url.to_owned());
    })
    .await;
    let owner = app.account("a");
    for (host, asked, answered) in [
        ("chat.twilio.com", "/v2", "/chat/v2"),
        ("chat.twilio.com", "/v1", "/chat/v1"),
        ("notify.dublin.ie1.twilio.com", "/v1", "/notify/v1"),
        ("conversations.twilio.com", "/v1", "/conversations/v1"),
        ("ip-messaging.twilio.com", "/v2", "/ip-messaging/v2"),
        ("vault.internal", "/v1", "/v1"),
        ("vault.internal", "/v2", "/v2"),
        ("notify.twilio.com", "/conversations/v1", "/conversations/v1"),
    ] {
        let target = format!("{asked}/Credentials");
        let created = on(&owner, host, Method::POST, &target, &[("Type", "gcm")])
            .await
            .json(201);
        let url = created["url"].as_str().unwrap();
        let expected = format!(
            "{public_url}{answered}/Credentials/{}",
            created["sid"].as_str().unwrap()
        );
        assert_eq!(url, expected, "{host}{asked}");
        // The URL leads to the same thing when the public origin is asked.
        let target = url.replace(public_url, "");
        let again = on(&owner, "push.example.com:8443", Method::GET, &target, &[]).await;
        assert_eq!(again.json(200), created);
        let page = on(&owner, host, Method::GET, &format!("{asked}/Credentials"), &[])
            .await
            .json(200);
        let first = page["meta"]["first_page_url"].as_str().unwrap();
        assert!(
            first.starts_with(&format!("{public_url}{answered}/Credentials?")),
            "{first}"
        );
    }
}

#[tokio::test]
async fn a_target_in_absolute_form_names_the_host_and_wins_over_the_header_decision_27() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = owner.post("/v2/Credentials", &[("Type", "gcm")]).await.json(201);
    for (line, host, expected) in [
        (
            "GET http://one.internal:81/v2/Credentials HTTP/1.1",
            "two.internal",
            "http://one.internal:81/v2/",
        ),
        (
            "GET http://one.internal/chat/v1/Credentials HTTP/1.1",
            "two.internal",
            "http://one.internal/chat/v1/",
        ),
    ] {
        let answer = app.exchange(&raw_request_of(&owner, line, &[&format!("Host: {host}")], ""));
        let url = answer.json(200)["credentials"][0]["url"].clone();
        assert_eq!(
            url,
            format!("{expected}Credentials/{}", created["sid"].as_str().unwrap())
        );
    }
    let line = "GET http://user@evil.example/v2/Credentials HTTP/1.1";
    let refused = app.exchange(&raw_request_of(&owner, line, &["Host: two.internal"], ""));
    assert_eq!(refused.status, 400);
    assert!(!refused.body.contains("evil"), "{}", refused.body);
    let line = "GET http://conversations.x/v1/Credentials?PageSize=500 HTTP/1.1";
    let page = app
        .exchange(&raw_request_of(&owner, line, &["Host: chat.x"], ""))
        .json(200);
    assert_eq!(page["meta"]["page_size"], 100);
}

#[tokio::test]
async fn a_request_without_a_host_gets_urls_on_the_address_that_it_reached_decision_27() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let line = "POST /v2/Credentials HTTP/1.0";
    let created = app.exchange(&raw_request_of(&owner, line, &[], "Type=gcm")).json(201);
    assert_eq!(created["url"], format!("{}{}", app.origin(), path(&created)));
    // HTTP/1.1 demands one (RFC 9112, section 3.2), and no more than one.
    for hosts in [&[][..], &["Host: one.internal", "Host: two.internal"][..]] {
        let answer = app.exchange(&raw_request_of(&owner, "GET /v2/Credentials HTTP/1.1", hosts, ""));
        assert_eq!(answer.status, 400, "{hosts:?}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_host_that_is_none_is_never_repeated_decision_27() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for host in [
        "evil.example/path",
        "evil.example?x",
        "evil.example#x",
        "user:password@evil.example",
        "evil example",
        "evil.example\\@x",
        "\"evil.example\"",
        "evil.exämple",
        "<evil>",
        "evil.example,two",
        "evil.example%2f",
    ] {
        let header = format!("Host: {host}");
        let request = raw_request_of(&owner, "GET /v2/Credentials HTTP/1.1", &[&header], "");
        let answer = app.exchange(&request);
        assert!(!answer.body.contains("evil"), "{host}: {}", answer.body);
        assert!(!format!("{:?}", answer.headers).contains("evil"), "{host}");
    }
}

#[tokio::test]
async fn a_host_that_is_none_or_several_is_400_wherever_it_is_sent_decision_26() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for target in [
        "/v2/Credentials",
        "/healthz",
        "/readyz",
        "/docs",
        "/openapi.json",
        "/nowhere",
    ] {
        for host in ["chat.twilio.com, notify.twilio.com", "a,b", "a/b", "a b", "a:b", "[::1"] {
            let header = format!("Host: {host}");
            let request = raw_request_of(&owner, &format!("GET {target} HTTP/1.1"), &[&header], "");
            let message = "Invalid value for header Host: send the name or address that you call, and its port";
            app.exchange(&request).is_error(400, 20001, message);
        }
        let request = raw_request_of(&owner, &format!("GET {target} HTTP/1.1"), &["Host: a", "Host: a"], "");
        app.exchange(&request).json(400);
    }
}
