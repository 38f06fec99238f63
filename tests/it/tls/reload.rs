//! Files that change while the service runs.

use time::OffsetDateTime;

use super::{PATIENCE, ask, wait_for_line, wait_until};
use crate::harness::{Authority, Log, TestApp, TlsDirectory};

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart_and_old_connections_go_on() {
    let log = Log::from_now();
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |_| {}).await;
    let mut old = app.connect();
    ask(&mut old);
    let new = app.tls().authority.server();
    assert_ne!(old.stream.shown(), new.der());

    app.tls().put(&new);
    wait_until("the new certificate is shown", || {
        app.connect().stream.shown() == new.der()
    });
    ask(&mut old);
    ask(&mut app.connect());
    wait_for_line(&log, "TLS certificate loaded again", "certificate_not_after");
    let body = new.private_key.lines().nth(1).unwrap();
    assert!(!log.text().contains(body), "the private key is in the log");
}

#[tokio::test]
async fn a_pair_that_does_not_fit_changes_nothing_until_it_does() {
    let log = Log::from_now();
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |_| {}).await;
    let files = app.tls();
    let first = app.connect().stream.shown();
    let new = files.authority.server();

    files.write("tls.crt", &new.certificate);
    wait_for_line(&log, "cannot be used", "does not belong");
    assert_eq!(app.connect().stream.shown(), first);

    let half = &new.private_key[..new.private_key.len() / 2];
    files.write("tls.key", half);
    let key = files.path("tls.key");
    wait_for_line(
        &log,
        "cannot be used",
        &format!("{} holds no private key", key.display()),
    );
    assert_eq!(app.connect().stream.shown(), first);

    std::fs::remove_file(&key).unwrap();
    wait_for_line(&log, "cannot be used", &format!("cannot read {}", key.display()));
    ask(&mut app.connect());

    files.write("tls.key", &new.private_key);
    wait_until("the new certificate is shown", || {
        app.connect().stream.shown() == new.der()
    });
}

#[tokio::test]
async fn metrics_tell_when_the_certificate_expires_and_how_reloads_went() {
    let app = TestApp::spawn_over_tls(TlsDirectory::new(), |settings| {
        settings.admin.listen = Some(([127, 0, 0, 1], 0).into());
    })
    .await;
    let authority = &app.tls().authority;
    let until = OffsetDateTime::now_utc() + time::Duration::days(77);
    let metric = async |line: &str| {
        let text = app.admin().get("/metrics").await.body;
        text.lines().any(|found| found == line)
    };
    let wait_for = async |line: &str| {
        let begun = std::time::Instant::now();
        while !metric(line).await {
            assert!(begun.elapsed() < PATIENCE, "waited in vain: {line}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let expiry = format!("pushvault_tls_certificate_not_after_seconds {}", until.unix_timestamp());
    assert!(!metric(&expiry).await);
    assert!(metric(r#"pushvault_tls_reloads_total{result="ok"} 0"#).await);

    let new = authority.server_until(until);
    app.tls().write("tls.crt", &new.certificate);
    wait_for(r#"pushvault_tls_reloads_total{result="failed"} 1"#).await;
    assert!(!metric(&expiry).await);
    app.tls().write("tls.key", &new.private_key);
    wait_until("the new certificate is shown", || {
        app.connect().stream.shown() == new.der()
    });
    wait_for(r#"pushvault_tls_reloads_total{result="ok"} 1"#).await;
    wait_for(&expiry).await;

    assert!(!metric(r#"pushvault_tls_handshakes_failed_total{reason="not_tls"} 1"#).await);
    let mut garbage = app.connect_plain();
    garbage.send(b"\x16\x03\x03\x00\x04\xff\xff\xff\xff");
    garbage.is_cut_within(std::time::Duration::from_secs(8));
    wait_for(r#"pushvault_tls_handshakes_failed_total{reason="not_tls"} 1"#).await;
}

#[tokio::test]
async fn a_directory_that_is_exchanged_by_a_link_is_followed() {
    // As Kubernetes does it: the files are links through a link that is exchanged in one step.
    let files = TlsDirectory::new();
    let version = |name: &str, pair: &crate::harness::Pair| {
        std::fs::create_dir(files.path(name)).unwrap();
        files.write(&format!("{name}/tls.crt"), &pair.certificate);
        files.write(&format!("{name}/tls.key"), &pair.private_key);
        std::os::unix::fs::symlink(name, files.path("next")).unwrap();
        std::fs::rename(files.path("next"), files.path("..data")).unwrap();
    };
    version("..one", &files.authority.server());
    for name in ["tls.crt", "tls.key"] {
        std::fs::remove_file(files.path(name)).unwrap();
        std::os::unix::fs::symlink(format!("..data/{name}"), files.path(name)).unwrap();
    }
    let new = files.authority.server();
    // What the closure borrows is moved into the service: the second version is made beside it.
    let directory = files.path("");
    let app = TestApp::spawn_over_tls(files, |_| {}).await;
    assert_ne!(app.connect().stream.shown(), new.der());

    std::fs::create_dir(directory.join("..two")).unwrap();
    app.tls().write("..two/tls.crt", &new.certificate);
    app.tls().write("..two/tls.key", &new.private_key);
    std::os::unix::fs::symlink("..two", directory.join("next")).unwrap();
    std::fs::rename(directory.join("next"), directory.join("..data")).unwrap();
    wait_until("the new certificate is shown", || {
        app.connect().stream.shown() == new.der()
    });
}

#[tokio::test]
async fn a_certificate_that_expires_is_warned_of() {
    let log = Log::from_now();
    let authority = Authority::new();
    let now = OffsetDateTime::now_utc();
    for (days, warning) in [(13, Some("expires soon")), (-1, Some("has expired")), (15, None)] {
        let files = TlsDirectory::new();
        let until = now + time::Duration::days(days) + time::Duration::minutes(days);
        files.put(&authority.server_until(until));
        let _app = TestApp::spawn_over_tls(files, |_| {}).await;
        let shown = until
            .replace_nanosecond(0)
            .unwrap()
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap();
        wait_for_line(&log, "TLS certificate loaded", &shown);
        match warning {
            Some(warning) => drop(wait_for_line(&log, warning, &shown)),
            None => assert!(
                !log.text()
                    .lines()
                    .any(|line| line.contains(&shown) && line.contains("WARN"))
            ),
        }
    }
}
