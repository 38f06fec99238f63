//! Callers as they come: who guess tokens, send no HTTP, take their time, hang up, or come by the dozen.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::crowd::{Place, Tally};
use super::regulars::{answer, client};
use crate::process::load::Random;

const PAUSE: Duration = Duration::from_millis(50);

/// How long one may wait for an answer to what is no request.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many connections come at once.
const DOZEN: usize = 12;

/// Guesses tokens, from another address each time: the vault keeps something in memory for each.
pub(super) async fn guess(place: Arc<Place>, mut random: Random, tally: Arc<Tally>) {
    let client = client();
    while !tally.is_over() {
        let number = random.below(1 << 24);
        let address = format!("10.{}.{}.{}", number >> 16, (number >> 8) & 255, number & 255);
        let unknown = format!("AC{:016x}{:016x}", random.number(), random.number());
        let request = client
            .get(format!("{}/v2/Credentials", place.url))
            .header("X-Forwarded-For", address);
        let request = match random.below(20) {
            0 => request.basic_auth(&place.account_sid, Some("not the token")),
            1 => request.basic_auth(unknown, Some("nobody's token")),
            _ => request,
        };
        let (status, _) = answer(request).await;
        tally.count("guess", status, &[401]);
        tokio::time::sleep(PAUSE / 10).await;
    }
}

/// Sends what is no request, or none that can be answered well.
pub(super) async fn babble(place: Arc<Place>, mut random: Random, tally: Arc<Tally>) {
    while !tally.is_over() {
        let noise: Vec<_> = (0..=random.below(3000))
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect();
        let text: String = noise.iter().map(|byte| char::from(byte % 94 + 33)).collect();
        let sent = match random.below(6) {
            0 => noise,
            1 => format!("GET /{text} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(),
            2 => format!("{text} / HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(),
            3 => format!("GET / HTTP/1.1\r\nHost: a\r\n{text}: {text}\r\n\r\n").into_bytes(),
            4 => format!(
                "POST /v2/Credentials HTTP/1.1\r\nHost: a\r\nContent-Length: 9{}\r\n\r\n",
                "9".repeat(9)
            )
            .into(),
            _ => format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", text.repeat(8)).into_bytes(),
        };
        let status = exchange(&place, &[&sent], Duration::ZERO).await;
        let right = status == 0 || (400..500).contains(&status);
        tally.count(
            "babble",
            status,
            if right { std::slice::from_ref(&status) } else { &[] },
        );
    }
}

/// Sends a request bit by bit, and sometimes leaves in the middle of it.
pub(super) async fn dawdle(place: Arc<Place>, mut random: Random, tally: Arc<Tally>) {
    let body = "Type=fcm&Secret=slowly";
    let head = format!(
        "POST /v2/Credentials HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let whole = head + body;
    while !tally.is_over() {
        let leaves = random.below(3) == 0;
        let sent = if leaves {
            &whole[..random.below(whole.len())]
        } else {
            &whole
        };
        let parts: Vec<_> = sent.as_bytes().chunks(16).collect();
        if leaves {
            let _gone = send(&place, &parts, PAUSE).await;
        } else {
            let status = exchange(&place, &parts, PAUSE).await;
            tally.count("dawdle", status, &[401]);
        }
    }
}

/// Connections for one request, connections for none, and many at once.
pub(super) async fn come_and_go(place: Arc<Place>, mut random: Random, tally: Arc<Tally>) {
    while !tally.is_over() {
        let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let count = if random.below(10) == 0 { DOZEN } else { 1 };
        let empty = random.below(4) == 0;
        let parts: &[&[u8]] = if empty { &[] } else { &[request] };
        if empty {
            let _gone = join_all((0..count).map(|_| send(&place, parts, Duration::ZERO))).await;
        } else {
            for status in join_all((0..count).map(|_| exchange(&place, parts, Duration::ZERO))).await {
                tally.count("passer-by", status, &[200]);
            }
        }
        tokio::time::sleep(PAUSE / 10).await;
    }
}

/// Sends bytes on a connection of their own and returns the status of the first answer; 0 if there was none.
async fn exchange(place: &Place, parts: &[&[u8]], pause: Duration) -> u16 {
    let Some(mut stream) = send(place, parts, pause).await else {
        return 0;
    };
    let mut answer = [0; 64];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await;
    let count = read.map_or(0, |read| read.unwrap_or(0));
    let text = String::from_utf8_lossy(&answer[..count]);
    text.strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .unwrap_or(0)
}

/// Sends bytes on a connection of their own, and returns it unless it broke.
async fn send(place: &Place, parts: &[&[u8]], pause: Duration) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(place.url.trim_start_matches("http://")).await.ok()?;
    for part in parts {
        stream.write_all(part).await.ok()?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    Some(stream)
}
