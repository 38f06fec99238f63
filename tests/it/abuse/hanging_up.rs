//! Clients that hang up, or spoil what they send: every request whose head was read leaves a line in the access log, and
//! every mutation its event.

use std::time::Duration;

use super::LIST;
use crate::harness::{Client, Log, TestApp, raw_request, raw_request_of};
use crate::process::wait_until;

/// How a client goes.
#[derive(Clone, Copy, Debug)]
enum End {
    Fin,
    Reset,
}

/// Sends a request and is gone.
fn send_and_go(app: &TestApp, request: &[u8], end: End) {
    let mut connection = app.connect();
    if let End::Reset = end {
        // The system resets a connection that is closed while an answer on it is unread.
        let healthz = raw_request(&["GET /healthz HTTP/1.1", "Host: x"], "");
        connection.send(&[&healthz, request].concat());
        connection.stream.socket().peek(&mut [0]).unwrap();
    } else {
        connection.send(request);
    }
    std::thread::sleep(Duration::from_millis(20));
}

/// The access lines and events of callers with this user agent.
async fn traces(app: &TestApp, log: &Log, agent: &str) -> (usize, usize) {
    let events: Vec<String> = sqlx::query_scalar("select request_sid from audit_events where user_agent = $1")
        .bind(agent)
        .fetch_all(&app.pool)
        .await
        .unwrap();
    let lines = log.events("access");
    let is_of = |line: &serde_json::Value| events.iter().any(|sid| line.to_string().contains(sid));
    (lines.iter().filter(|line| is_of(line)).count(), events.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_whose_client_hangs_up_leaves_its_line_and_its_event() {
    let log = Log::from_now();
    let slow = |settings: &mut pushvault::config::Settings| settings.authentication.argon2.memory_kib = 8 * 1024;
    for app in TestApp::over_both(slow).await {
        let owner = app.account("a");
        let stranger = app.with_credentials(&app.account_named("a").sid.to_string(), &"w".repeat(32));
        let missing = format!("{LIST}/CR{}", "0".repeat(32));
        let mut number = 0;
        for (client, line, form) in [
            (&stranger, format!("DELETE {missing} HTTP/1.1"), ""),
            (&stranger, format!("POST {LIST} HTTP/1.1"), "Type=gcm"),
            (&owner, format!("DELETE {missing} HTTP/1.1"), ""),
            (&owner, format!("POST {LIST} HTTP/1.1"), "Type=none"),
            (&owner, format!("POST {LIST} HTTP/1.1"), "Type=gcm"),
        ] {
            for end in [End::Fin, End::Reset] {
                number += 1;
                let agent = format!("hangs-up/{number}");
                let header = format!("User-Agent: {agent}");
                let request = raw_request_of(client, &line, &["Host: x", &header], form);
                send_and_go(&app, &request, end);
                let what = format!("{line} {form} {end:?}: a line and an event");
                wait_until(&what, async || traces(&app, &log, &agent).await == (1, 1)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_none_is_answered_and_leaves_its_line_and_its_event() {
    let log = Log::from_now();
    for app in TestApp::over_both(|_| {}).await {
        let owner = app.account("a");
        let stranger = app.with_credentials(&app.account_named("a").sid.to_string(), &"w".repeat(32));
        let spoil = |client: &Client, agent: &str, body: &str| {
            let lines = [
                &format!("POST {LIST} HTTP/1.1"),
                "Host: x",
                &format!("Authorization: {}", client.authorization()),
                &format!("User-Agent: {agent}"),
                "Content-Type: application/x-www-form-urlencoded",
                "Transfer-Encoding: chunked",
            ];
            app.exchange(&raw_request(&lines, body))
        };
        for (number, body) in [
            "8;\u{1}\r\nType=gcm\r\n0\r\n\r\n",
            "8\r\nType=gcmx",
            "g\r\n",
            "8\r\nType=gcm\r\n0\r\n\rx",
        ]
        .iter()
        .enumerate()
        {
            let agent = format!("spoils/{number}");
            spoil(&owner, &agent, body).is_error(
                400,
                20001,
                "The request body ended early: send it whole, with the right Content-Length or in whole chunks",
            );
            wait_until("a line and an event", async || {
                traces(&app, &log, &agent).await == (1, 1)
            })
            .await;
            let agent = format!("spoils-as-stranger/{number}");
            spoil(&stranger, &agent, body).is_error(401, 20003, "Authenticate");
            wait_until("a line and an event", async || {
                traces(&app, &log, &agent).await == (1, 1)
            })
            .await;
        }
        let credentials: i64 = sqlx::query_scalar("select count(*) from credentials")
            .fetch_one(&app.pool)
            .await
            .unwrap();
        assert_eq!(credentials, 0);
    }
}
