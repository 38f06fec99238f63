//! Floods of connections: whatever they send, or do not read, the vault keeps little of it, and it serves on.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::BASE64;

use super::load::tell;
use super::support::{Deployment, Login};

/// As many as all addresses may have together, and more.
const CONNECTIONS: usize = 400;

/// The vault's memory under any flood, in KiB.
const MOST: u64 = 128 * 1024;

/// How long a flood goes on. What is kept is kept at once: a longer one brings no more.
const TIME: Duration = Duration::from_secs(6);

/// What each connection of a flood sends: first, and then again and again.
struct Flood {
    name: &'static str,
    first: Vec<u8>,
    then: Vec<u8>,
    pause: Duration,
}

#[test]
fn whatever_many_connections_send_or_leave_unread_memory_stays_bounded() {
    // Argon2 takes its own memory, in proportion to the machine's cores.
    let deployment = Deployment::migrated()
        .with("AUTHENTICATION__ARGON2_CONCURRENCY", "1")
        .with("SERVER__WORKERS", "2")
        .with("RATE_LIMIT__ENABLED", "false")
        // As if the flood came from many addresses.
        .with("SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .with("ADMIN__LISTEN", "127.0.0.1:0");
    let account = deployment.create_account();
    for flood in floods(&account) {
        let service = deployment.serve();
        let process = service.program.id();
        let host = service.url.trim_start_matches("http://").to_owned();
        let admin = service.admin.clone().unwrap();
        let before = resident(process);
        let is_over = AtomicBool::new(false);
        let peak = thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| send(&host, &flood, &is_over));
            }
            let begun = Instant::now();
            let mut peak = 0;
            while begun.elapsed() < TIME {
                thread::sleep(Duration::from_millis(100));
                peak = peak.max(resident(process));
            }
            // Whoever runs it is answered although every caller's connection is taken.
            assert!(
                answers(&admin, "/healthz"),
                "{}: the admin listener does not answer",
                flood.name
            );
            is_over.store(true, Ordering::Relaxed);
            peak
        });
        tell(&format!(
            "{}: {} MiB, {} MiB before",
            flood.name,
            peak / 1024,
            before / 1024
        ));
        assert!(peak < MOST, "{}: {} MiB", flood.name, peak / 1024);
        service.stop();
    }
}

fn floods(account: &Login) -> Vec<Flood> {
    let login = |secret: &str| BASE64.encode(format!("{}:{secret}", account.sid).as_bytes());
    let (known, wrong) = (login(&account.secret), login(&"w".repeat(32)));
    let flood = |name, first: String, then: String, pause| Flood {
        name,
        first: first.into_bytes(),
        then: then.into_bytes(),
        pause: Duration::from_millis(pause),
    };
    let guess = format!("GET /v2/Credentials HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {wrong}\r\n\r\n");
    let post = |login: &str, framing: &str| {
        format!(
            "POST /v2/Credentials HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n{framing}\r\n\r\nType=gcm&X="
        )
    };
    let sized = "Content-Length: 262144";
    let chunked = "Transfer-Encoding: chunked";
    vec![
        flood(
            "large heads behind a guess",
            guess + &format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(120_000)).repeat(15),
            String::new(),
            1000,
        ),
        flood(
            "half heads",
            format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}", "y".repeat(16_000)),
            "y".to_owned(),
            1000,
        ),
        flood(
            "large files that nobody reads",
            "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n".repeat(40),
            String::new(),
            1000,
        ),
        flood("large bodies of a stranger", post(&wrong, sized), "y".repeat(4096), 1),
        flood("large bodies of a caller", post(&known, sized), "y".repeat(4096), 1),
        flood(
            "chunks of a caller that drip",
            post(&known, chunked).replace("Type=gcm&X=", ""),
            format!("1000\r\n{}\r\n", "y".repeat(4096)),
            50,
        ),
    ]
}

/// Sends a flood on a connection, and makes another when that is gone.
fn send(host: &str, flood: &Flood, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(50));
        let Ok(mut connection) = TcpStream::connect(host) else {
            continue;
        };
        connection.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let _ = connection.write_all(&flood.first);
        // What does not fit waits in the system; a connection that has ended says so sooner or later.
        while !is_over.load(Ordering::Relaxed) && is_open(&connection) {
            thread::sleep(flood.pause);
            let _ = connection.write_all(&flood.then);
        }
    }
}

fn is_open(connection: &TcpStream) -> bool {
    !matches!(connection.take_error(), Ok(Some(_))) && connection.peer_addr().is_ok()
}

fn answers(url: &str, path: &str) -> bool {
    use std::io::Read as _;
    let mut connection = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(
        connection,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    let _ = connection.read_to_string(&mut answer);
    answer.starts_with("HTTP/1.1 200")
}

/// The memory of a process that is in RAM, in KiB.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
