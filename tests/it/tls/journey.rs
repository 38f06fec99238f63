//! The whole way of a caller over TLS.

use serde_json::Value;
use tokio_rustls::rustls::ProtocolVersion;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::{LIST, ask};
use crate::harness::{RawConnection, TestApp, TlsDirectory, raw_request_of};

#[tokio::test]
async fn a_credential_is_made_listed_changed_and_removed_on_one_connection() {
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |_| {}).await;
    let owner = app.account("a");
    let mut connection = app.connect();
    let mut exchange = |line: &str, form: &str| {
        connection.send(&raw_request_of(
            &owner,
            line,
            &["Host: vault.internal.example.com"],
            form,
        ));
        connection.answer()
    };

    let created = exchange(
        &format!("POST {LIST} HTTP/1.1"),
        "Type=fcm&FriendlyName=one&Secret=canary",
    )
    .json(201);
    let url = created["url"].as_str().unwrap();
    let path = url
        .strip_prefix("https://vault.internal.example.com")
        .expect("URLs in answers lead back to where the request went");
    assert_eq!(exchange(&format!("GET {path} HTTP/1.1"), "").json(200), created);
    let second = exchange(&format!("POST {LIST} HTTP/1.1"), "Type=gcm").json(201);
    let page = exchange(&format!("GET {LIST}?PageSize=1 HTTP/1.1"), "").json(200);
    let next = page["meta"]["next_page_url"].as_str().unwrap();
    let next = next.strip_prefix("https://vault.internal.example.com").unwrap();
    let next = exchange(&format!("GET {next} HTTP/1.1"), "").json(200);
    let sids: Vec<&Value> = [&page, &next].map(|page| &page["credentials"][0]["sid"]).into();
    assert!(
        sids.contains(&&created["sid"]) && sids.contains(&&second["sid"]),
        "{sids:?}"
    );
    let updated = exchange(&format!("POST {path} HTTP/1.1"), "FriendlyName=two").json(200);
    assert_eq!(updated["friendly_name"], "two");
    assert_eq!(exchange(&format!("DELETE {path} HTTP/1.1"), "").status, 204);
    exchange(&format!("GET {path} HTTP/1.1"), "").is_not_found(path);
}

#[tokio::test]
async fn without_a_host_the_url_names_the_address_and_https() {
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |_| {}).await;
    let request = raw_request_of(&app.account("a"), &format!("POST {LIST} HTTP/1.0"), &[], "Type=gcm");
    let created = app.exchange(&request).json(201);
    let url = created["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("https://{}{LIST}/", app.host())), "{url}");
}

#[tokio::test]
async fn both_versions_are_spoken_with_and_without_alpn() {
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |_| {}).await;
    let authority = &app.tls().authority;
    let connect = |client| -> RawConnection { app.connect_as(&client).expect("a handshake") };
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        for protocols in [&[][..], &[&b"h2"[..], b"http/1.1"]] {
            let mut connection = connect(authority.client_of(None, &[version], protocols));
            ask(&mut connection);
            let session = connection.stream.session();
            assert_eq!(session.protocol_version(), Some(expected));
            let agreed = (!protocols.is_empty()).then_some(&b"http/1.1"[..]);
            assert_eq!(session.alpn_protocol(), agreed);
        }
    }
    let only_h2 = authority.client_of(None, &[&TLS13], &[b"h2"]);
    assert!(app.connect_as(&only_h2).is_err());
}

#[tokio::test]
async fn an_answer_arrives_whole_at_a_client_that_still_sends() {
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |_| {}).await;
    let size = 16 * 1024 * 1024;
    let chunk = vec![b'x'; 64 * 1024];
    for _ in 0..3 {
        let mut connection = app.connect();
        connection.send(format!("POST {LIST} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n").as_bytes());
        let mut ended = false;
        for _ in 0..size / chunk.len() {
            connection.send(&chunk);
            ended = ended || connection.look(std::time::Duration::from_millis(1)) == Some(0);
            if ended {
                break;
            }
        }
        assert_eq!(connection.answer().json(401)["code"], 20003);
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_without_saying_so_in_tls_still_gets_its_answer() {
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |_| {}).await;
    let mut connection = app.connect();
    connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    connection.stream.socket().shutdown(std::net::Shutdown::Write).unwrap();
    connection.answer().json(200);
    connection.is_closed();
}
