//! Two listeners, and nothing of the one is at the other.

use pushvault::http::endpoints;
use reqwest::Method;

use super::{LIST, scrape};
use crate::harness::TestApp;

#[tokio::test]
async fn the_admin_listener_has_health_and_metrics_and_nothing_of_the_api() {
    let app = TestApp::spawn_with_admin().await;
    let admin = app.admin();
    admin.get("/healthz").await.json(200);
    admin.get("/readyz").await.json(200);
    scrape(&app).await;

    // Somebody who would be let in at the other one.
    let owner = app.account("a");
    let created = owner.post(LIST, &[("Type", "gcm"), ("ApiKey", "k")]).await.json(201);
    let sid = created["sid"].as_str().unwrap();
    let mut intruder = admin;
    intruder.credentials = owner.credentials;
    for endpoint in endpoints() {
        let path = endpoint.path.replace("{sid}", sid).replace("{file}", "index.html");
        if ["/healthz", "/readyz"].contains(&path.as_str()) {
            continue;
        }
        let request = intruder.request(endpoint.method.parse().unwrap(), &path);
        let answer = intruder.send(request).await;
        assert_eq!(answer.status, 404, "{} {path}: {}", endpoint.method, answer.body);
    }
    let refused = intruder.request(Method::POST, "/metrics");
    let refused = intruder.send(refused).await;
    refused.is_error(405, 20004, "Method not allowed");
    assert_eq!(refused.header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn metrics_are_not_on_the_listener_of_the_api() {
    let app = TestApp::spawn_with_admin().await;
    app.anonymous().get("/metrics").await.is_not_found("/metrics");
    app.account("a").get("/metrics").await.is_not_found("/metrics");
}
