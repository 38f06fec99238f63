//! Clients that must show a certificate.

use time::OffsetDateTime;
use tokio_rustls::rustls::HandshakeKind;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::{ask, wait_for_line, wait_until};
use crate::harness::{Authority, Log, Pair, TestApp, TlsClient, TlsDirectory, raw_request};

/// A service that asks for certificates of this CA.
async fn asking_for(clients: &Authority) -> TestApp {
    let files = TlsDirectory::new();
    files.write("client-ca.crt", &clients.pem());
    TestApp::spawn_over_tls(files, |_| {}).await
}

/// Whether a client gets an answer. In TLS 1.3 it learns only after its handshake that it was refused.
fn is_let_in(app: &TestApp, client: &TlsClient) -> bool {
    let Ok(mut connection) = app.connect_as(client) else {
        return false;
    };
    connection.send(&raw_request(&["GET /healthz HTTP/1.1", "Host: x"], ""));
    let mut buffer = [0; 12];
    match std::io::Read::read_exact(&mut connection.stream, &mut buffer) {
        Ok(()) => {
            assert_eq!(&buffer, b"HTTP/1.1 200");
            true
        }
        Err(_) => false,
    }
}

#[tokio::test]
async fn only_a_client_with_a_certificate_of_the_ca_is_let_in() {
    let log = Log::from_now();
    let clients = Authority::new();
    let app = asking_for(&clients).await;
    let server = &app.tls().authority;
    let with = |pair: &Pair| server.trusting_with(pair);

    assert!(is_let_in(&app, &with(&clients.client())));
    let yesterday = OffsetDateTime::now_utc() - time::Duration::days(1);
    for (what, client) in [
        ("no certificate", server.trusting()),
        ("one of another CA", with(&Authority::new().client())),
        ("one of the service's own CA", with(&server.client())),
        ("one that has expired", with(&clients.client_until(yesterday))),
        ("one that is for servers", with(&clients.server())),
    ] {
        assert!(!is_let_in(&app, &client), "a client with {what} is let in");
    }
    for version in [&TLS12, &TLS13] {
        let pair = clients.client();
        assert!(is_let_in(&app, &server.client_of(Some(&pair), &[version], &[])));
        assert!(!is_let_in(&app, &server.client_of(None, &[version], &[])));
    }
    wait_for_line(&log, "TLS handshakes failed", "no_client_certificate");
}

#[tokio::test]
async fn a_session_is_not_taken_up_again_without_its_certificate() {
    let clients = Authority::new();
    let app = asking_for(&clients).await;
    // The same client remembers its sessions.
    let client = app.tls().authority.trusting_with(&clients.client());
    for _ in 0..3 {
        let mut connection = app.connect_as(&client).unwrap();
        ask(&mut connection);
        let kind = connection.stream.session().handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Full));
    }
}

#[tokio::test]
async fn another_ca_counts_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let app = asking_for(&old).await;
    let server = &app.tls().authority;
    let of_old = server.trusting_with(&old.client());
    let of_new = server.trusting_with(&new.client());
    let mut begun_before = app.connect_as(&of_old).unwrap();
    ask(&mut begun_before);
    assert!(!is_let_in(&app, &of_new));

    app.tls().write("client-ca.crt", &format!("{}{}", old.pem(), new.pem()));
    wait_until("both CAs count", || is_let_in(&app, &of_new));
    assert!(is_let_in(&app, &of_old));
    app.tls().write("client-ca.crt", &new.pem());
    wait_until("the old CA counts no longer", || !is_let_in(&app, &of_old));
    assert!(is_let_in(&app, &of_new));
    ask(&mut begun_before);
}
