//! Callers who open more connections than one may have.

use std::time::{Duration, Instant};

use crate::harness::{RawConnection, TestApp, migrated_database, raw_request, with_admin};

/// How long a machine may take over what was asked of it.
const LIMIT: Duration = Duration::from_secs(30);

/// A connection with a request that is under way: its body does not end.
fn busy(app: &TestApp) -> RawConnection {
    let mut connection = app.connect();
    let lines = ["POST /v2/Credentials HTTP/1.1", "Host: x", "Content-Length: 100"];
    connection.send(&raw_request(&lines, "Type"));
    connection
}

#[tokio::test]
async fn an_address_with_its_share_of_connections_gets_no_more_and_the_admin_listener_answers() {
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        with_admin(settings);
        settings.server.max_connections = 8;
        settings.server.max_connections_per_address = 4;
    })
    .await;
    // None of them is between two requests.
    let held: Vec<_> = (0..4).map(|_| busy(&app)).collect();
    let refused = || app.connect().look(LIMIT);
    assert_eq!(refused(), Some(0), "the fifth connection is closed");
    app.admin().get("/healthz").await.json(200);
    let metrics = app.admin().get("/metrics").await.body;
    assert!(
        metrics.contains("pushvault_connections_refused_total{bound=\"address\"} 1"),
        "{metrics}"
    );
    drop(held);
    let begun = Instant::now();
    while app.connect().look(Duration::from_millis(200)) == Some(0) {
        assert!(begun.elapsed() < LIMIT, "the address has no share again");
    }
}
