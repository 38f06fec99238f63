//! A Transit engine of the tests' own, which answers as it is told to.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// What lets a caller in.
pub(super) const TOKEN: &str = "canary-token";

/// How it answers.
#[derive(Debug, Clone)]
pub(super) enum Manner {
    /// As a real one.
    Serves,
    /// Never.
    Hangs,
    /// With these bytes.
    Says(String),
}

/// The engine. It has one key, and keeps what it was given instead of encrypting it.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    manner: Manner,
    /// How the next ones are answered, before `manner` holds again.
    next: VecDeque<Manner>,
    token: String,
    kept: Vec<(Value, Value)>,
    received: Vec<Received>,
}

/// A request.
#[derive(Clone)]
pub(super) struct Received {
    pub(super) path: String,
    pub(super) head: String,
    pub(super) body: Value,
}

impl Fake {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::new(Mutex::new(State {
                manner: Manner::Serves,
                next: VecDeque::new(),
                token: TOKEN.to_owned(),
                kept: Vec::new(),
                received: Vec::new(),
            })),
        };
        let state = Arc::clone(&fake.state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&state);
                thread::spawn(move || answer(stream.unwrap(), &state));
            }
        });
        fake
    }

    pub(super) fn behaves(&self, manner: Manner) {
        self.state.lock().unwrap().manner = manner;
    }

    pub(super) fn answers_next(&self, manners: impl IntoIterator<Item = Manner>) {
        self.state.lock().unwrap().next.extend(manners);
    }

    pub(super) fn expects_token(&self, token: &str) {
        token.clone_into(&mut self.state.lock().unwrap().token);
    }

    /// Everything that was asked.
    pub(super) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }
}

/// An answer with that status and body.
pub(super) fn http(status: u16, body: &str) -> Manner {
    let length = body.len();
    Manner::Says(format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ))
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(received) = read(&stream) else { return };
    let mut state = state.lock().unwrap();
    state.received.push(received.clone());
    let manner = state.next.pop_front().unwrap_or(state.manner.clone());
    let manner = match manner {
        Manner::Serves => state.serve(&received),
        manner => manner,
    };
    drop(state);
    match manner {
        Manner::Says(bytes) => drop(stream.write_all(bytes.as_bytes())),
        // Until the other end has had enough of it.
        _ => drop(stream.read(&mut [0])),
    }
}

fn read(stream: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    })?;
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some(Received {
        path: head.split(' ').nth(1)?.to_owned(),
        body: serde_json::from_slice(&body).unwrap(),
        head,
    })
}

impl State {
    fn serve(&mut self, received: &Received) -> Manner {
        let (body, token) = (&received.body, &self.token);
        if !received.head.contains(&format!("x-vault-token: {token}\r\n")) {
            return http(403, r#"{"errors":["permission denied"]}"#);
        }
        if received.path.contains("/encrypt/") {
            self.kept
                .push((body["plaintext"].clone(), body["associated_data"].clone()));
            let ciphertext = format!("vault:v1:{}", self.kept.len() - 1);
            return http(200, &json!({ "data": { "ciphertext": ciphertext } }).to_string());
        }
        let wrapped = body["ciphertext"].as_str().unwrap();
        let number = wrapped
            .strip_prefix("vault:v1:")
            .and_then(|text| text.parse::<usize>().ok());
        match number.and_then(|number| self.kept.get(number)) {
            Some((plaintext, data)) if *data == body["associated_data"] => {
                http(200, &json!({ "data": { "plaintext": plaintext } }).to_string())
            }
            _ => http(400, r#"{"errors":["cipher: message authentication failed"]}"#),
        }
    }
}
