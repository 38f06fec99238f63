//! How many connections there may be.

use std::time::{Duration, Instant};

use crate::harness::{RawConnection, TestApp, TlsDirectory, migrated_database, raw_request, with_admin};
use crate::process::wait_until;

/// How long an end that is certain may take, on a machine that is busy.
const SOON: Duration = Duration::from_secs(10);

fn healthz() -> Vec<u8> {
    raw_request(&["GET /healthz HTTP/1.1", "Host: x"], "")
}

/// A connection with a request that is not whole yet.
fn busy(app: &TestApp) -> RawConnection {
    let mut connection = app.connect();
    connection.send(b"GET /healthz HTTP/1.1\r\n");
    connection
}

/// A connection between two requests.
fn idle(app: &TestApp) -> RawConnection {
    let mut connection = app.connect();
    connection.send(&healthz());
    connection.answer().json(200);
    connection
}

/// A connection for which an idle one makes way. One that was just answered is idle a moment later: until then there is no
/// place.
async fn in_its_place(app: &TestApp) -> RawConnection {
    let begun = Instant::now();
    loop {
        let mut connection = app.connect();
        connection.send(&healthz());
        if connection.look(SOON) != Some(0) {
            connection.answer().json(200);
            return connection;
        }
        assert!(begun.elapsed() < SOON, "no connection makes way");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The connections of the API that are open, and those that each bound has refused.
async fn counted(app: &TestApp) -> [u64; 3] {
    let text = app.admin().get("/metrics").await.body;
    let value = |series: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0, |value| value.trim().parse().unwrap())
    };
    [
        value("pushvault_connections{listener=\"api\"}"),
        value("pushvault_connections_refused_total{bound=\"address\"}"),
        value("pushvault_connections_refused_total{bound=\"total\"}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_no_more_connections_than_its_share_and_the_admin_listener_answers() {
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        with_admin(settings);
        settings.server.max_connections_per_address = 3;
    })
    .await;
    let mut held: Vec<_> = (0..3).map(|_| busy(&app)).collect();
    wait_until("three connections", async || counted(&app).await == [3, 0, 0]).await;
    for _ in 0..5 {
        app.connect().is_cut_within(SOON);
    }
    assert_eq!(counted(&app).await, [3, 5, 0]);
    app.admin().get("/readyz").await.json(200);

    // What ends gives its place back, and what is idle makes way.
    drop(held.pop());
    wait_until("two connections", async || counted(&app).await[0] == 2).await;
    let mut rests = idle(&app);
    held.push(in_its_place(&app).await);
    rests.is_cut_within(SOON);
    held[0].send(b"Host: x\r\n\r\n");
    held[0].answer().json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_addresses_have_no_more_than_the_total_and_a_trusted_proxy_has_all_of_it() {
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        with_admin(settings);
        settings.server.max_connections = 4;
        settings.server.max_connections_per_address = 2;
        settings.server.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let mut rests = idle(&app);
    // The one worker serves this when the other connection is idle, and not only answered.
    app.exchange(&healthz()).json(200);
    wait_until("one connection", async || counted(&app).await[0] == 1).await;
    let mut held: Vec<_> = (0..3).map(|_| busy(&app)).collect();
    wait_until("four connections", async || counted(&app).await == [4, 0, 0]).await;
    held.push(busy(&app));
    rests.is_cut_within(SOON);
    app.connect().is_cut_within(SOON);
    assert_eq!(counted(&app).await, [4, 0, 1]);
    app.admin().get("/healthz").await.json(200);
    for connection in &mut held {
        connection.send(b"Host: x\r\n\r\n");
        connection.answer().json(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_shakes_hands_counts() {
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |settings| {
        with_admin(settings);
        settings.server.max_connections_per_address = 2;
    })
    .await;
    let silent = [app.connect_plain(), app.connect_plain()];
    wait_until("two connections", async || counted(&app).await[0] >= 2).await;
    app.connect_plain().is_cut_within(SOON);
    drop(silent);
    wait_until("no connection", async || counted(&app).await[0] == 0).await;
    idle(&app);
}
