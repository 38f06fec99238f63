//! `pushvault serve` with TLS, and where it listens without.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use super::support::{DataDirectory, Deployment, Service, Signal, pushvault, run, wait_for};
use crate::harness::{Authority, Pair, RawConnection, TlsDirectory, raw_request};

/// A deployment with these files.
fn with_files(deployment: Deployment, certificate: &str, private_key: &str) -> Deployment {
    let certificate = deployment.write("tls.crt", certificate, 0o644);
    let key = deployment.write("tls.key", private_key, 0o600);
    // Whatever the program prints, it is no line of the key.
    for line in private_key.lines().filter(|line| !line.starts_with("-----")) {
        deployment.keep(line);
    }
    deployment
        .with("TLS__CERTIFICATE_FILE", &certificate.to_string_lossy())
        .with("TLS__PRIVATE_KEY_FILE", &key.to_string_lossy())
}

/// A deployment that speaks TLS with this pair.
pub(super) fn with_pair(deployment: Deployment, pair: &Pair) -> Deployment {
    with_files(deployment, &pair.certificate, &pair.private_key)
}

/// A connection to a service that listens on every address.
fn connect(service: &Service<'_>, authority: &Authority) -> RawConnection {
    let (_, port) = service.url.rsplit_once(':').unwrap();
    let socket = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    RawConnection::new(authority.trusting().connect(socket).unwrap())
}

#[tokio::test]
async fn plain_http_beyond_loopback_is_refused_before_anything_is_done() {
    let deployment = Deployment::migrated().with("SERVER__LISTEN", "0.0.0.0:0");
    let ways_out = [
        "server.listen",
        "tls.certificate_file",
        "127.0.0.1",
        "tls.terminated_by_proxy",
    ];
    deployment.run(&["serve"]).refused(1, &ways_out);
    deployment.run(&["config", "check"]).refused(1, &ways_out);
    let registered = "select count(*) from root_keys";
    assert_eq!(deployment.database().await.value::<i64>(registered).await, 0);
    // Whoever does not listen is not asked.
    deployment.run(&["account", "list"]).succeeded();

    let deployment = deployment.with("TLS__TERMINATED_BY_PROXY", "true");
    deployment.serve().stop();
    let authority = Authority::new();
    let deployment = with_pair(deployment.without("TLS__TERMINATED_BY_PROXY"), &authority.server());
    deployment.run(&["config", "check"]).succeeded();
    let service = deployment.serve();
    let mut connection = connect(&service, &authority);
    connection.send(&raw_request(&["GET /healthz HTTP/1.1", "Host: x"], ""));
    connection.answer().json(200);
    let printed = service.stop();
    assert!(printed.contains("https://0.0.0.0:"), "{printed}");
}

#[test]
fn dev_listens_beyond_loopback_under_the_same_rule() {
    let directory = DataDirectory::new();
    let mut beyond = pushvault();
    beyond
        .args(["dev", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(directory.path());
    run(beyond).refused(1, &["tls.terminated_by_proxy"]);
    assert!(directory.is_down());
}

#[test]
fn files_that_do_not_do_are_refused_with_the_remedy() {
    let authority = Authority::new();
    let pair = authority.server();
    let encrypted = include_str!("../../data/encrypted-key.pem");
    let (certificate, key) = (pair.certificate.as_str(), pair.private_key.as_str());
    for (certificate, key, words) in [
        (
            certificate,
            encrypted,
            &["tls.private_key_file", "encrypted", "openssl pkey"][..],
        ),
        (
            certificate,
            certificate,
            &["tls.private_key_file", "holds no private key"],
        ),
        (certificate, &key[..key.len() / 2], &["tls.private_key_file", "broken"]),
        (certificate, &authority.server().private_key, &["does not belong"]),
        (key, key, &["tls.certificate_file", "holds no certificate"]),
        ("", key, &["tls.certificate_file", "holds no certificate"]),
        (
            &certificate[..certificate.len() / 2],
            key,
            &["tls.certificate_file", "broken"],
        ),
    ] {
        let deployment = with_files(Deployment::empty(), certificate, key);
        deployment.run(&["serve"]).refused(1, words);
        deployment.run(&["config", "check"]).refused(1, words);
    }

    let deployment = with_pair(Deployment::empty(), &pair);
    deployment.write("tls.key", key, 0o604);
    deployment
        .run(&["serve"])
        .refused(1, &["tls.private_key_file", "every user", "chmod"]);
    deployment.write("tls.key", key, 0o640);
    let deployment = deployment.with("TLS__CLIENT_CA_FILE", "/nowhere/ca.crt");
    deployment
        .run(&["serve"])
        .refused(1, &["tls.client_ca_file", "/nowhere/ca.crt"]);
    let deployment = deployment.without("TLS__PRIVATE_KEY_FILE");
    deployment
        .run(&["serve"])
        .refused(1, &["tls.private_key_file", "or neither"]);
}

#[tokio::test]
async fn a_request_under_way_at_sigterm_is_finished_within_tls() {
    let authority = Authority::new();
    let deployment = with_pair(Deployment::migrated(), &authority.server());
    let account = deployment.create_account();
    let service = deployment.serve();
    let idle = connect(&service, &authority);
    let mut connection = connect(&service, &authority);
    let login = data_encoding::BASE64.encode(format!("{}:{}", account.sid, account.secret).as_bytes());
    let body = "Type=gcm&FriendlyName=in-flight";
    let head = raw_request(
        &[
            "POST /v2/Credentials HTTP/1.1",
            "Host: x",
            &format!("Authorization: Basic {login}"),
            "Content-Type: application/x-www-form-urlencoded",
            &format!("Content-Length: {}", body.len()),
            "Expect: 100-continue",
        ],
        "",
    );
    connection.send(&head);
    assert!(connection.interim().starts_with("HTTP/1.1 100 "));

    Signal::Terminate.send(&[service.program.id()]);
    let address = service.url.strip_prefix("http://").unwrap();
    wait_for("the listener to close", || TcpStream::connect(address).err());
    connection.send(body.as_bytes());
    let created = connection.answer().json(201);
    assert_eq!(created["friendly_name"], json!("in-flight"));
    connection.is_closed();
    drop(idle);
    service.stop();
    let stored = "select count(*) from credentials";
    assert_eq!(deployment.database().await.value::<i64>(stored).await, 1);
}

#[test]
fn healthcheck_says_how_it_is_asked_where_tls_is_spoken() {
    let deployment = with_pair(Deployment::migrated(), &TlsDirectory::new().authority.server());
    deployment.run(&["healthcheck"]).refused(1, &["admin.listen"]);

    let service = deployment.with("ADMIN__LISTEN", "127.0.0.1:0");
    let service = service.serve();
    let log = service.program.stdout();
    let line = log.lines().find(|line| line.contains("pushvault serves")).unwrap();
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    let mut asking = pushvault();
    asking
        .args(["healthcheck"])
        .env("PUSHVAULT__DATABASE__URL", "postgres://nowhere")
        .env("PUSHVAULT__ADMIN__LISTEN", event["admin_address"].as_str().unwrap());
    run(asking).succeeded();
    service.stop();
}
