//! Everything that must hold for every route, driven by the one table of routes.

mod audit;
mod endings;
mod methods;
mod rights;

use std::collections::BTreeSet;

use pushvault::domain::sid::EventSid;
use pushvault::http::{Endpoint, endpoints};
use reqwest::Method;

use crate::harness::{Answer, Client, TestApp, unknown_credential_sid};

/// The paths of the list of credentials on the surfaces of the contract, section 1.1, and on the bare ones (decision 26).
const LIST_PATHS: [&str; 8] = [
    "/v2/Credentials",
    "/v1/Credentials",
    "/chat/v2/Credentials",
    "/chat/v1/Credentials",
    "/ip-messaging/v2/Credentials",
    "/ip-messaging/v1/Credentials",
    "/notify/v1/Credentials",
    "/conversations/v1/Credentials",
];

/// The paths of the lists of audit events: in Twilio's shape, on its bare path, and in our own.
const EVENT_PATHS: [&str; 3] = ["/monitor/v1/Events", "/v1/Events", "/vault/v1/AuditEvents"];

/// The routes that ask for authentication.
fn authenticated() -> impl Iterator<Item = Endpoint> {
    endpoints().into_iter().filter(|endpoint| endpoint.right.is_some())
}

/// A body with which the request would succeed, if everything else were right.
fn good_form(endpoint: &Endpoint) -> &'static [(&'static str, &'static str)] {
    match endpoint.action {
        Some("credential.create") => &[("Type", "fcm"), ("Secret", "a secret")],
        Some("credential.update") => &[("Secret", "another secret")],
        _ => &[],
    }
}

/// Sends a request to a route, with a good body if it is a mutation that takes one.
async fn send(client: &Client, endpoint: &Endpoint, sid: &str) -> Answer {
    let path = endpoint.path.replace("{sid}", sid).replace("{file}", "pushvault.js");
    let mut request = client.request(endpoint.method.parse().unwrap(), &path);
    let form = good_form(endpoint);
    if !form.is_empty() {
        request = request.form(form);
    }
    client.send(request).await
}

/// What a route is about.
fn is_about_events(endpoint: &Endpoint) -> bool {
    endpoint.action.is_some_and(|action| action.starts_with("audit_event."))
}

/// The SID of something of the account that the tests call `name`, of the kind that a route is about; a new credential.
async fn thing_of(app: &TestApp, name: &str, endpoint: &Endpoint) -> String {
    let credential = credential_of(&app.account(name)).await;
    if is_about_events(endpoint) {
        app.newest_event_of(name).await
    } else {
        credential
    }
}

/// A credential of an account, and its SID.
async fn credential_of(client: &Client) -> String {
    let created = client
        .post("/v2/Credentials", &[("Type", "fcm"), ("Secret", "s")])
        .await;
    created.json(201)["sid"].as_str().unwrap().to_owned()
}

#[test]
fn the_table_has_every_route_of_the_contract_and_no_other() {
    let mut expected: BTreeSet<_> = ["/healthz", "/readyz", "/openapi.json", "/docs", "/docs/{file}"]
        .map(|path| ("GET".to_owned(), path.to_owned(), None, None))
        .into();
    for list in LIST_PATHS {
        for (method, suffix, action) in [
            ("GET", "", "credential.list"),
            ("POST", "", "credential.create"),
            ("GET", "/{sid}", "credential.fetch"),
            ("POST", "/{sid}", "credential.update"),
            ("DELETE", "/{sid}", "credential.delete"),
        ] {
            let right = if method == "GET" {
                "credentials:read"
            } else {
                "credentials:write"
            };
            expected.insert((method.to_owned(), format!("{list}{suffix}"), Some(right), Some(action)));
        }
    }
    for list in EVENT_PATHS {
        for (suffix, action) in [("", "audit_event.list"), ("/{sid}", "audit_event.fetch")] {
            let path = format!("{list}{suffix}");
            expected.insert(("GET".to_owned(), path, Some("audit:read"), Some(action)));
        }
    }
    let table: BTreeSet<_> = endpoints()
        .into_iter()
        .map(|endpoint| (endpoint.method, endpoint.path, endpoint.right, endpoint.action))
        .collect();
    assert_eq!(table, expected);
}

#[tokio::test]
async fn every_route_works_for_the_owner_and_reads_leave_no_audit_event() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for endpoint in endpoints() {
        let sid = thing_of(&app, "a", &endpoint).await;
        let answer = send(&owner, &endpoint, &sid).await;
        let expected = match (endpoint.method.as_str(), endpoint.action) {
            ("POST", Some("credential.create")) => 201,
            ("DELETE", _) => 204,
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{endpoint:?}: {}", answer.body);
        let events = app.audit_events_of(&answer).await.len();
        assert_eq!(events, usize::from(!endpoint.is_read), "{endpoint:?}");
    }
}

#[tokio::test]
async fn every_route_but_health_turns_the_unauthenticated_away_decision_17() {
    let app = TestApp::spawn().await;
    let account = app.account_named("a");
    let sid = credential_of(&app.account("a")).await;
    let callers = [
        app.anonymous(),
        app.with_credentials(account.sid.as_str(), "00000000000000000000000000000000"),
        app.with_credentials("AC00000000000000000000000000000001", &account.token),
    ];
    for endpoint in authenticated() {
        for caller in &callers {
            let answer = send(caller, &endpoint, &sid).await;
            answer.is_error(401, 20003, "Authenticate");
            assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"Twilio API\""));
        }
    }
    app.account("a").get(&format!("/v2/Credentials/{sid}")).await.json(200);
}

#[tokio::test]
async fn health_is_told_to_anyone() {
    let app = TestApp::spawn().await;
    let anonymous = app.anonymous();
    assert_eq!(anonymous.get("/healthz").await.json(200)["status"], "alive");
    let ready = anonymous.get("/readyz").await.json(200);
    assert_eq!(ready["status"], "ready");
    for check in ["database", "schema", "keyring", "audit", "clock"] {
        assert_eq!(ready["checks"][check], "ok", "{check}");
    }
}

#[tokio::test]
async fn another_accounts_credential_is_answered_like_one_that_never_was_decision_15() {
    let app = TestApp::spawn().await;
    let (owner, other) = (app.account("a"), app.account("b"));
    let credential = credential_of(&owner).await;
    let deleted = credential_of(&other).await;
    other.delete(&format!("/v2/Credentials/{deleted}")).await;
    for endpoint in authenticated().filter(|endpoint| endpoint.path.contains("{sid}")) {
        let (foreign, unknown) = if is_about_events(&endpoint) {
            let unknown = EventSid::generate().unwrap().to_string();
            (app.newest_event_of("a").await, unknown)
        } else {
            (credential.clone(), unknown_credential_sid())
        };
        let upper_case = foreign.to_uppercase();
        let mut bodies = BTreeSet::new();
        for sid in [&foreign, &deleted, &unknown, &upper_case, "PublicKeys", "CR1"] {
            let answer = send(&other, &endpoint, sid).await;
            answer.is_not_found(&endpoint.path.replace("{sid}", sid));
            bodies.insert(answer.body.replace(sid, "{sid}"));
        }
        assert_eq!(bodies.len(), 1, "{endpoint:?} tells them apart: {bodies:?}");
    }
    let kept = owner.get(&format!("/v2/Credentials/{credential}")).await.json(200);
    assert_eq!(kept["date_created"], kept["date_updated"]);
}

#[tokio::test]
async fn a_path_outside_the_table_is_not_found_for_anyone() {
    let app = TestApp::spawn().await;
    let paths = [
        "/",
        "/v2",
        "/v2/credentials",
        "/v1/AuditEvents",
        "/v2/Events",
        "/monitor/v1/AuditEvents",
        "/vault/v1/Events",
        "/v3/Credentials",
        "/notify/v2/Credentials",
        "/conversations/v2/Credentials",
        "//v2/Credentials",
        "/v2/Credentials/CR0/Versions",
        "/2010-04-01/Accounts.json",
        "/.env",
    ];
    for client in [app.anonymous(), app.account("a")] {
        for path in paths {
            for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
                let answer = client.send(client.request(method, path)).await;
                answer.is_not_found(path);
            }
        }
    }
}

#[tokio::test]
async fn the_404_message_names_the_path_without_the_query_decision_16() {
    let app = TestApp::spawn().await;
    let path = format!("/v2/Credentials/{}", unknown_credential_sid());
    let answer = app.account("a").get(&format!("{path}?PageSize=2")).await;
    answer.is_not_found(&path);
    let answer = app.anonymous().get("/nowhere/%41?x=y").await;
    answer.is_not_found("/nowhere/%41");
}

#[tokio::test]
async fn a_trailing_slash_is_the_same_resource_and_never_a_redirect_decision_24() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for endpoint in authenticated().filter(|endpoint| endpoint.method == "GET") {
        let sid = thing_of(&app, "a", &endpoint).await;
        let plain = send(&owner, &endpoint, &sid).await;
        let slashed = Endpoint {
            path: format!("{}/", endpoint.path),
            ..endpoint
        };
        assert_eq!(send(&owner, &slashed, &sid).await.json(200), plain.json(200));
    }
}
