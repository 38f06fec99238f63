//! The listener of those who run the service: from the start to after the end of the API's.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::support::{Deployment, Signal, run, wait_for};
use crate::harness::{Collector, Manner, ReservedPort};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The rest of what the service says on a connection.
fn rest(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: &str, path: &str) -> String {
    let mut stream = connect(address);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    rest(stream)
}

fn has(answer: &str, words: &[&str]) -> bool {
    words.iter().all(|word| answer.contains(word))
}

#[test]
fn while_the_service_drains_it_says_so_there_and_finishes_what_it_has_begun() {
    let deployment = Deployment::migrated().with("ADMIN__LISTEN", "127.0.0.1:0");
    let account = deployment.create_account();
    let service = deployment.serve();
    let admin = service.admin.clone().expect("an admin listener");
    assert!(has(&get(&admin, "/readyz"), &["200 OK", "\"status\":\"ready\""]));
    let authorization = data_encoding::BASE64.encode(format!("{}:{}", account.sid, account.secret).as_bytes());
    let mut request = connect(service.url.strip_prefix("http://").unwrap());
    write!(
        request,
        "POST /v2/Credentials HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {authorization}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\nType"
    )
    .unwrap();
    wait_for("the request to be under way", || {
        has(&get(&admin, "/metrics"), &["pushvault_http_requests_in_flight 1\n"]).then_some(())
    });

    Signal::Terminate.send(&[service.program.id()]);

    wait_for("the draining", || {
        has(&get(&admin, "/readyz"), &["503 ", "\"status\":\"draining\""]).then_some(())
    });
    assert!(has(&get(&admin, "/healthz"), &["200 OK", "alive"]));
    assert!(has(
        &get(&admin, "/metrics"),
        &["200 OK", "pushvault_http_requests_in_flight 1\n"]
    ));
    write!(request, "=gcm").unwrap();
    let answer = rest(request);
    assert!(has(&answer, &["HTTP/1.1 201 "]), "{answer}");
    let printed = service.stop();
    assert!(printed.contains("pushvault stopped"), "{printed}");
    assert!(
        TcpStream::connect(&admin).is_err(),
        "the admin listener outlived the service"
    );
}

#[test]
fn an_address_that_is_taken_is_refused_by_the_name_of_the_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let deployment = Deployment::migrated().with("ADMIN__LISTEN", &address);
    let refused = deployment
        .run(&["serve"])
        .refused(1, &["cannot listen on", &address, "PUSHVAULT__ADMIN__LISTEN"]);
    assert!(!refused.stdout.contains("pushvault serves"), "{}", refused.stdout);
}

#[test]
fn nothing_that_is_asked_there_is_traced() {
    let collector = Collector::start(Manner::Takes);
    let deployment = Deployment::migrated()
        .with("ADMIN__LISTEN", "127.0.0.1:0")
        .with("TRACE__OTLP_ENDPOINT", &collector.endpoint);
    let service = deployment.serve();
    let admin = service.admin.clone().expect("an admin listener");
    for path in ["/metrics", "/readyz", "/nowhere"] {
        get(&admin, path);
    }
    get(service.url.strip_prefix("http://").unwrap(), "/v2/Credentials");
    service.stop();
    let roots = collector.spans().tree();
    let roots: Vec<_> = roots.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(roots, ["GET /v2/Credentials"]);
}

#[test]
fn without_the_setting_there_is_none() {
    let deployment = Deployment::migrated();
    let service = deployment.serve();
    assert_eq!(service.admin, None);
    service.stop();
}

#[test]
fn the_verb_that_asks_asks_there() {
    let deployment = Deployment::migrated().with("ADMIN__LISTEN", "127.0.0.1:0");
    let service = deployment.serve();
    let admin = service.admin.clone().expect("an admin listener");
    let nobody = ReservedPort::new();
    let asking = || {
        let mut command = deployment.command(&["healthcheck"]);
        command.env("PUSHVAULT__ADMIN__LISTEN", &admin);
        // Were this one asked, there would be no answer.
        command.env("PUSHVAULT__SERVER__LISTEN", nobody.address().to_string());
        run(command)
    };
    asking().succeeded();
    service.stop();
    asking().refused(1, &[&admin]);
}
