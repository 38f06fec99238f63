//! Methods that a route has, and methods that it has not.

use std::collections::BTreeMap;

use pushvault::http::endpoints;
use reqwest::Method;

use super::{authenticated, credential_of, thing_of};
use crate::harness::TestApp;

/// The methods of each path, as `Allow` lists them.
fn methods_by_path() -> BTreeMap<String, Vec<String>> {
    let mut methods = BTreeMap::<_, Vec<_>>::new();
    for endpoint in endpoints() {
        methods.entry(endpoint.path).or_default().push(endpoint.method);
    }
    methods
}

#[tokio::test]
async fn a_method_that_a_route_does_not_have_is_405_with_those_it_has_decision_18() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let sid = credential_of(&owner).await;
    let events = app.audit_count().await;
    for (path, methods) in methods_by_path() {
        let allow = match methods.join(" ").as_str() {
            "GET" => "GET, HEAD, OPTIONS",
            "GET POST" => "GET, HEAD, POST, OPTIONS",
            "GET POST DELETE" => "GET, HEAD, POST, DELETE, OPTIONS",
            other => panic!("{path} has {other}"),
        };
        let path = path.replace("{sid}", &sid);
        for method in ["GET", "POST", "DELETE", "PUT", "PATCH", "TRACE", "BREW"] {
            if methods.iter().any(|has| has == method) {
                continue;
            }
            let request = owner.request(method.parse().unwrap(), &path);
            let answer = owner.send(request).await;
            answer.is_error(405, 20004, "Method not allowed");
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        }
        let answer = app
            .anonymous()
            .send(app.anonymous().request(Method::OPTIONS, &path))
            .await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{path}");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
    assert_eq!(
        app.audit_count().await,
        events,
        "a method that is no mutation was recorded"
    );
}

#[tokio::test]
async fn head_is_get_without_the_body_decision_18() {
    let app = TestApp::spawn().await;
    for endpoint in endpoints().into_iter().filter(|endpoint| endpoint.method == "GET") {
        let sid = thing_of(&app, "a", &endpoint).await;
        let path = endpoint.path.replace("{sid}", &sid);
        for client in [app.account("a"), app.anonymous()] {
            let got = client.get(&path).await;
            let head = client.send(client.request(Method::HEAD, &path)).await;
            assert_eq!(head.status, got.status, "{path}");
            assert_eq!(head.body, "", "{path}");
            for name in ["content-type", "content-length", "www-authenticate"] {
                assert_eq!(head.header(name), got.header(name), "{path}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn clients_may_say_what_the_official_ones_say() {
    // The contract's section 5.1: a form's type on GET and DELETE, no Accept or an odd one, an unknown encoding.
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for endpoint in authenticated().filter(|endpoint| endpoint.method != "POST") {
        let sid = thing_of(&app, "a", &endpoint).await;
        let request = owner
            .request(endpoint.method.parse().unwrap(), &endpoint.path.replace("{sid}", &sid))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "text/csv")
            .header("accept-encoding", "utf-8")
            .header("accept-charset", "utf-8")
            .body("");
        let answer = owner.send(request).await;
        assert!(answer.status < 300, "{endpoint:?}: {}", answer.body);
    }
}
