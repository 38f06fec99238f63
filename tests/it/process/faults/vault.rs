//! The end of the vault itself: in good order, and not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::table::Cost;
use super::trial::{Stage, at_once};
use crate::harness::block_on;
use crate::process::load::Outcome;
use crate::process::support::{Caller, Deployment, Signal};

/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(20);

#[test]
fn the_end_of_the_vault_costs_what_the_table_says() {
    at_once(&[
        || block_on(|| the_vault_ends_by(Signal::Terminate, TERMINATED)),
        || block_on(|| the_vault_ends_by(Signal::Kill, KILLED)),
    ]);
}

const TERMINATED: Cost = Cost {
    fault: "SIGTERM to the vault, and a start",
    // Whoever has a connection gets an answer.
    sees: &[Outcome::NoConnection],
    within: Duration::from_secs(10),
    remark: "every request under way is answered",
    healthy_within: Duration::from_secs(20),
};

const KILLED: Cost = Cost {
    fault: "`kill -9` of the vault, and a start",
    sees: &[Outcome::NoConnection, Outcome::NoAnswer],
    within: Duration::from_secs(10),
    remark: "",
    healthy_within: Duration::from_secs(20),
};

async fn the_vault_ends_by(signal: Signal, cost: Cost) {
    let stage = Stage::of(Deployment::migrated());
    let mut trial = stage.under_load();
    let mut started = Instant::now();
    for _ in 0..3 {
        trial.each_is_acknowledged(5);
        let status = trial.service.program.end_by(signal);
        assert_eq!(status.code(), matches!(signal, Signal::Terminate).then_some(0));
        trial.each_is_refused(1);
        trial.service = stage.deployment.serve_at(&trial.service.url);
        started = Instant::now();
    }
    trial.costs(started, cost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_connected_when_the_listener_closes_gets_one_more_answer() {
    // The request that waits may wait for as long as the others take.
    let deployment = Deployment::migrated()
        .with("RATE_LIMIT__ENABLED", "false")
        .with("DATABASE__STATEMENT_TIMEOUT_SECONDS", "60")
        .with("LIMITS__REQUEST_SECONDS", "60")
        .with("SERVER__SHUTDOWN_TIMEOUT_SECONDS", "60");
    let stage = Stage::of(deployment);
    let mut service = stage.deployment.serve_to_return();
    let caller = service.caller(&stage.account);
    let sid = caller.register("locked").await;
    let fetch = request(&stage, "GET /v2/Credentials HTTP/1.1");
    let delete = request(&stage, &format!("DELETE /v2/Credentials/{sid} HTTP/1.1"));
    let connect = || TcpStream::connect(service.url.trim_start_matches("http://")).unwrap();

    let somebody = stage.database().await;
    somebody.execute("begin").await;
    somebody.execute("select from credentials for update").await;
    let mut under_way = connect();
    under_way.write_all(&delete).unwrap();
    let mut rested = connect();
    rested.write_all(&fetch).unwrap();
    assert!(next_answer(&mut rested).starts_with("HTTP/1.1 200"));
    let mut half_sent = connect();
    let (half, rest) = fetch.split_at(fetch.len() / 2);
    half_sent.write_all(half).unwrap();
    let mut silent = connect();
    // Whoever comes all the time is answered, or refused before a byte was sent.
    let strangers = [(); 3].map(|()| {
        let (url, fetch) = (service.url.clone(), fetch.clone());
        thread::spawn(move || come_until_refused(&url, &fetch))
    });
    let waiting = "select exists (
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
    )";
    while !somebody.value::<bool>(waiting).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    Signal::Terminate.send(&[service.program.id()]);
    let answered: usize = strangers.into_iter().map(|stranger| stranger.join().unwrap()).sum();
    rested.write_all(&fetch).unwrap();
    half_sent.write_all(rest).unwrap();
    silent.write_all(&fetch).unwrap();
    for connection in [&mut rested, &mut half_sent, &mut silent] {
        let answer = last_answer(connection);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    }
    somebody.execute("rollback").await;
    let answer = last_answer(&mut under_way);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(service.program.wait().success());
    assert!(answered > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_that_drains_says_so_and_goes_on_until_nobody_comes_any_more() {
    let stage = Stage::of(Deployment::migrated().with("SERVER__DRAIN_SECONDS", "10"));
    let mut service = stage.deployment.serve();
    let probe = Caller::new(&service.url, "", "");
    assert_eq!(probe.get("/readyz").await.status, 200);
    service.caller(&stage.account).register("early").await;
    let began = Instant::now();
    Signal::Terminate.send(&[service.program.id()]);
    while probe.get("/readyz").await.status == 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(probe.get("/readyz").await.text("status"), "draining");
    // A connection that begins now.
    service.caller(&stage.account).register("late").await;
    assert!(service.program.wait().success());
    assert!(began.elapsed() >= Duration::from_secs(10));
}

/// A request of the account with this line.
fn request(stage: &Stage, line: &str) -> Vec<u8> {
    let login = format!("{}:{}", stage.account.sid, stage.account.secret);
    let login = data_encoding::BASE64.encode(login.as_bytes());
    format!("{line}\r\nHost: localhost\r\nAuthorization: Basic {login}\r\n\r\n").into_bytes()
}

/// Connects, asks and reads again and again, until there is nobody to connect to. Returns how many answers there were; every
/// connection must have one.
fn come_until_refused(url: &str, request: &[u8]) -> usize {
    let mut answers = 0;
    while let Ok(mut connection) = TcpStream::connect(url.trim_start_matches("http://")) {
        connection.write_all(request).unwrap();
        let answer = next_answer(&mut connection);
        assert!(answer.starts_with("HTTP/1.1 200"), "after {answers} answers: {answer}");
        answers += 1;
    }
    answers
}

/// Reads an answer without a body, or the head and what came with it.
fn next_answer(connection: &mut TcpStream) -> String {
    connection.set_read_timeout(Some(SILENCE)).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        match connection.read(&mut buffer) {
            Ok(count @ 1..) => answer.extend_from_slice(&buffer[..count]),
            end => return format!("{end:?} after {:?}", String::from_utf8_lossy(&answer)),
        }
    }
    String::from_utf8(answer).unwrap()
}

/// Reads an answer that ends with its connection.
fn last_answer(connection: &mut TcpStream) -> String {
    connection.set_read_timeout(Some(SILENCE)).unwrap();
    let mut answer = String::new();
    if let Err(error) = connection.read_to_string(&mut answer) {
        return format!("{error} after {answer:?}");
    }
    answer
}
