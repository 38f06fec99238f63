//! Nothing of a secret is left in the memory of the vault when the request that brought it is over, and nobody looks into
//! that memory from outside.

mod canaries;
mod outside;
mod scan;

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::serve_tls::with_pair;
use super::support::{Deployment, Login, look_until, readable, wait_for};
use crate::harness::{Authority, RawConnection, TlsClient, Wire, service_account};
use canaries::{Canaries, fresh_secret};
use scan::Pieces;

const CREATES: usize = 100;
const CONNECTIONS: usize = 4;
const REST: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[test]
fn a_second_after_it_was_sent_nothing_of_a_secret_is_in_memory() {
    is_forgotten(&Deployment::migrated(), None);
}

#[test]
fn a_second_after_it_was_sent_over_tls_nothing_of_a_secret_is_in_memory() {
    let authority = Authority::new();
    let deployment = with_pair(Deployment::migrated(), &authority.server());
    is_forgotten(&deployment, Some(&authority.trusting()));
}

fn is_forgotten(deployment: &Deployment, tls: Option<&TlsClient>) {
    let account = deployment.create_account();
    let api_key = deployment.create_api_key(&account.sid);
    let service = deployment.start(readable(deployment.command(&["serve"])));
    let mut canaries = Canaries::default();
    for login in [&account, &api_key] {
        canaries.add(&format!("the secret of {}", login.sid), &login.secret);
    }
    let requests = requests(&mut canaries);
    let process = service.program.id();
    let unreadable = Request {
        token: Some(fresh_secret()),
        ..Request::form("a head that no parser takes", &[], 400)
    };
    canaries.add(
        "a token in a head that no parser takes",
        unreadable.token.as_ref().unwrap(),
    );
    let odd = odd_requests(&mut canaries);
    let pieces = Pieces::of(canaries.all()).without_what_is_in(process);

    let mut connections = send(&service.url, tls, [&account, &api_key], &requests);
    let mut refused = connect(&service.url, tls);
    refused.send(
        &[unreadable.head(&account), "Content-Length: none\r\n\r\n".to_owned()]
            .concat()
            .into_bytes(),
    );
    assert_eq!(refused.answer().status, 400);
    drop(refused);
    connections.extend(send_oddly(&service.url, tls, &account, &odd));
    thread::sleep(REST);
    nothing_is_left(&pieces, process);
    drop(connections);

    // The search would have found something.
    let mut canaries = Canaries::default();
    let secret = fresh_secret();
    canaries.add("a secret under way", &secret);
    let pieces = Pieces::of(canaries.all());
    let mut connection = connect(&service.url, tls);
    let request = Request::form("under way", &[("Type", "fcm"), ("Secret", &secret)], 201);
    let bytes = request.bytes(&account);
    connection.send(&bytes[..bytes.len() - 1]);
    wait_for("a secret under way", || {
        (!pieces.found_in(process).is_empty()).then_some(())
    });
    connection.send(&bytes[bytes.len() - 1..]);
    connection.answer().json(201);
    thread::sleep(REST);
    nothing_is_left(&pieces, process);
    drop(connection);
    service.stop();
}

/// Insists that nothing is left, or soon is where the machine gave the vault no time to forget it.
fn nothing_is_left(pieces: &Pieces, process: u32) {
    let nothing = look_until(PATIENCE, || pieces.found_in(process).is_empty().then_some(()));
    if nothing.is_none() {
        let found = pieces.found_in(process);
        assert!(found.is_empty(), "{} places: {found:#?}", found.len());
    }
}

/// Sends the requests on a few connections, as clients do that keep theirs.
fn send(url: &str, tls: Option<&TlsClient>, logins: [&Login; 2], requests: &[Request]) -> Vec<RawConnection> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let login = logins[number % logins.len()];
                scope.spawn(move || {
                    let mut connection = connect(url, tls);
                    for request in requests.iter().skip(number).step_by(CONNECTIONS) {
                        connection.send(&request.bytes(login));
                        let answer = connection.answer();
                        assert_eq!(answer.status, request.status, "{}: {}", request.name, answer.body);
                    }
                    connection
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

/// Creates that are sent as few clients send them.
fn odd_requests(canaries: &mut Canaries) -> Vec<Request> {
    (0..ODD.len())
        .map(|number| {
            let secret = fresh_secret();
            canaries.add(&format!("a secret that is sent oddly, {number}"), &secret);
            Request::form("sent oddly", &[("Type", "fcm"), ("Secret", &secret)], 201)
        })
        .collect()
}

/// What is changed of a request that is sent oddly.
const ODD: [fn(String) -> String; 4] = [
    // An older client that keeps its connection.
    |text| text.replacen("HTTP/1.1\r\n", "HTTP/1.0\r\nConnection: keep-alive\r\n", 1),
    // An empty line behind the body.
    |text| text + "\r\n",
    |text| "\r\n".to_owned() + &text + "\r\n\r\n",
    // A request behind it.
    |text| text + "GET /healthz HTTP/1.1\r\nHost: vault\r\n\r\n",
];

/// Sends each on a connection of its own, which stays open.
fn send_oddly(url: &str, tls: Option<&TlsClient>, login: &Login, requests: &[Request]) -> Vec<RawConnection> {
    let sent = ODD.iter().zip(requests).map(|(oddly, request)| {
        let text = String::from_utf8(request.bytes(login)).unwrap();
        let mut connection = connect(url, tls);
        connection.send(oddly(text).as_bytes());
        assert_eq!(connection.answer().status, request.status);
        connection
    });
    sent.collect()
}

/// Creates of every kind, in forms and in JSON, and what is refused.
fn requests(canaries: &mut Canaries) -> Vec<Request> {
    let authority = Authority::new();
    let mut requests = Vec::new();
    for number in 0..CREATES {
        let secret = fresh_secret();
        let (name, push_service) = [
            ("a Secret", "fcm"),
            ("an ApiKey", "gcm"),
            ("a service account", "fcm"),
            ("a pair", "apn"),
        ][number / 4 % 4];
        let mut parameters = vec![("Type", push_service.to_owned())];
        match name {
            "a pair" => {
                let pair = authority.client();
                canaries.add("a certificate", &pair.certificate);
                canaries.add("a private key", &pair.private_key);
                parameters.extend([("Certificate", pair.certificate), ("PrivateKey", pair.private_key)]);
            }
            "a service account" => {
                canaries.add("a key of a service account", &secret);
                parameters.push(("Secret", service_account(&secret)));
            }
            _ => {
                canaries.add(name, &secret);
                parameters.push((if push_service == "gcm" { "ApiKey" } else { "Secret" }, secret));
            }
        }
        requests.push(if number % 5 == 0 {
            let members = parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)));
            Request::json(name, &members.collect(), 201)
        } else {
            let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Request::form(name, &parameters, 201)
        });
    }
    let mut secret = |name: &str| {
        let secret = fresh_secret();
        canaries.add(name, &secret);
        secret
    };
    let broken = format!("-----BEGIN PRIVATE KEY-----\n{}", secret("a broken key"));
    requests.push(Request::form(
        "a broken key",
        &[("Type", "apn"), ("PrivateKey", &broken)],
        400,
    ));
    let misplaced = secret("a misplaced secret");
    requests.push(Request::form(
        "misplaced",
        &[("Type", "gcm"), ("Secret", &misplaced)],
        400,
    ));
    let unknown = secret("of an unknown type");
    requests.push(Request::form("unknown", &[("Type", "none"), ("Secret", &unknown)], 400));
    let mut wrong = Request::form("a wrong token", &[("Type", "fcm")], 401);
    wrong.token = Some(secret("a wrong token"));
    requests.push(wrong);
    requests
}

/// A connection to a service.
fn connect(url: &str, tls: Option<&TlsClient>) -> RawConnection {
    let socket = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    RawConnection::new(match tls {
        Some(client) => client.connect(socket).unwrap(),
        None => Wire::Plain(socket),
    })
}

/// One request, and how it is answered.
struct Request {
    name: String,
    content_type: &'static str,
    body: String,
    token: Option<String>,
    status: u16,
}

impl Request {
    fn form(name: &str, parameters: &[(&str, &str)], status: u16) -> Self {
        Self {
            name: name.to_owned(),
            content_type: FORM,
            body: Serializer::new(String::new()).extend_pairs(parameters).finish(),
            token: None,
            status,
        }
    }

    fn json(name: &str, body: &serde_json::Value, status: u16) -> Self {
        Self {
            content_type: JSON,
            body: body.to_string(),
            ..Self::form(name, &[], status)
        }
    }

    /// Without its end.
    fn head(&self, login: &Login) -> String {
        let secret = self.token.as_ref().unwrap_or(&login.secret);
        let authorization = BASE64.encode(format!("{}:{secret}", login.sid).as_bytes());
        format!(
            "POST /v2/Credentials HTTP/1.1\r\nHost: vault\r\nAuthorization: Basic {authorization}\r\nContent-Type: {}\r\n",
            self.content_type,
        )
    }

    fn bytes(&self, login: &Login) -> Vec<u8> {
        let (head, body) = (self.head(login), &self.body);
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }
}
