//! What proxies say of a request is believed from those that the settings trust, and from nobody else (decision 27).

use reqwest::Method;
use serde_json::Value;

use super::{LIST, path};
use crate::harness::{Answer, Client, Log, TestApp, migrated_database};

/// A service that trusts these networks; all requests come from 127.0.0.1.
async fn behind(networks: &[&str]) -> TestApp {
    TestApp::spawn_with(migrated_database(), |settings| {
        settings.server.trusted_proxies = networks.iter().map(|network| network.parse().unwrap()).collect();
    })
    .await
}

async fn send(client: &Client, method: Method, headers: &[(&str, &str)]) -> Answer {
    let mut request = client
        .request(method.clone(), LIST)
        .header("host", "inside.internal:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if method == Method::POST {
        request = request.form(&[("Type", "gcm")]);
    }
    client.send(request).await
}

const PROXY_SAYS: [(&str, &str); 3] = [
    ("x-forwarded-for", "198.51.100.7"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "push.example.com"),
];

/// The source address in the access log's line of a request.
fn logged_source(log: &Log, answer: &Answer) -> Value {
    let line = log
        .events("access")
        .into_iter()
        .find(|line| line.to_string().contains(answer.request_sid()))
        .expect("a line in the access log");
    line["source_address"].clone()
}

#[tokio::test]
async fn a_trusted_proxy_tells_scheme_host_and_source_decision_27() {
    let log = Log::from_now();
    for networks in [&["127.0.0.1/32"][..], &["10.0.0.0/8", "127.0.0.0/8"][..]] {
        let app = behind(networks).await;
        let answer = send(&app.account("a"), Method::POST, &PROXY_SAYS).await;
        let created = answer.json(201);
        assert_eq!(created["url"], format!("https://push.example.com{}", path(&created)));
        let event = app.audit_event_of(&answer).await;
        assert_eq!(event.source_address.as_deref(), Some("198.51.100.7"));
        assert_eq!(logged_source(&log, &answer), "198.51.100.7");
        let page = send(&app.account("a"), Method::GET, &PROXY_SAYS).await.json(200);
        assert_eq!(
            page["meta"]["url"],
            format!("https://push.example.com{LIST}?PageSize=50&Page=0")
        );
    }
}

#[tokio::test]
async fn anybody_else_is_not_believed_a_word_decision_27() {
    let log = Log::from_now();
    for networks in [&[][..], &["10.0.0.0/8", "::1/128"][..]] {
        let app = behind(networks).await;
        let answer = send(&app.account("a"), Method::POST, &PROXY_SAYS).await;
        let created = answer.json(201);
        assert_eq!(created["url"], format!("http://inside.internal:8080{}", path(&created)));
        let event = app.audit_event_of(&answer).await;
        assert_eq!(event.source_address.as_deref(), Some("127.0.0.1"));
        assert_eq!(logged_source(&log, &answer), "127.0.0.1");
    }
}

#[tokio::test]
async fn of_a_chain_of_proxies_the_part_that_is_trusted_counts_decision_27() {
    let app = behind(&["127.0.0.1/32", "10.0.0.0/8"]).await;
    let owner = app.account("a");
    for (forwarded_for, source) in [
        ("203.0.113.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("made up, 198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, made up", "127.0.0.1"),
        ("' or 1=1 --", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
    ] {
        let answer = send(&owner, Method::POST, &[("x-forwarded-for", forwarded_for)]).await;
        answer.json(201);
        let event = app.audit_event_of(&answer).await;
        assert_eq!(event.source_address.as_deref(), Some(source), "{forwarded_for}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_names_the_product_with_the_host_decisions_26_and_27() {
    let app = behind(&["127.0.0.1/32"]).await;
    let owner = app.account("a");
    let request = owner
        .request(Method::GET, "/v1/Credentials?PageSize=500")
        .header("host", "inside.internal")
        .header("x-forwarded-host", "conversations.push.example.com");
    let page = owner.send(request).await.json(200);
    assert_eq!(page["meta"]["page_size"], 100);
    let expected = "http://conversations.push.example.com/v1/Credentials?PageSize=100&Page=0";
    assert_eq!(page["meta"]["url"], expected);
}

#[tokio::test]
async fn not_even_a_trusted_proxy_can_name_a_host_that_is_none_decision_27() {
    let app = behind(&["127.0.0.1/32"]).await;
    let owner = app.account("a");
    for host in ["user@evil.example", "evil.example/x", "evil:example:1]"] {
        let refused = send(&owner, Method::GET, &[("x-forwarded-host", host)]).await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert!(!refused.body.contains("evil"), "{}", refused.body);
    }
    for (name, value) in [
        ("x-forwarded-proto", "javascript:evil"),
        ("forwarded", "host=evil.example;proto=https"),
    ] {
        let page = send(&owner, Method::GET, &[(name, value)]).await.json(200);
        let expected = format!("http://inside.internal:8080{LIST}?PageSize=50&Page=0");
        assert_eq!(page["meta"]["url"], expected, "{name}: {value}");
    }
}
