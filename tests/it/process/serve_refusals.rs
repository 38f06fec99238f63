//! What `pushvault serve` refuses to start with. It says why and what to do, repeats no secret, and changes nothing.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use pushvault_crypto::KeyEncryptionKey;

use super::support::{Deployment, clean, run, wrapped};
use crate::harness::ReservedPort;

/// Words that may stand anywhere in an address or a passphrase, and nowhere in what is printed.
const CANARY: &str = "canary-that-nobody-may-see";

fn serve_is_refused(deployment: &Deployment, words: &[&str]) {
    let refused = deployment.run(&["serve"]).refused(1, words);
    assert!(!refused.stdout.contains("pushvault serves"), "{}", refused.stdout);
}

fn kek_id(key: [u8; 32]) -> String {
    KeyEncryptionKey::from_slice(&key).unwrap().id().to_string()
}

#[tokio::test]
async fn a_schema_that_is_behind() {
    let deployment = Deployment::empty();
    serve_is_refused(&deployment, &["behind this binary", "pushvault migrate"]);
    let database = deployment.database().await;
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(
        database.value::<i64>(tables).await,
        0,
        "a refused start must leave no table"
    );

    let known = deployment.json(&["migrate"])["applied_migrations"].as_i64().unwrap();
    assert!(known > 0);
    assert_eq!(deployment.json(&["migrate"])["applied_migrations"], 0);
    database
        .execute("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)")
        .await;
    serve_is_refused(&deployment, &["1 migration(s) behind", "pushvault migrate"]);
    deployment.run(&["account", "list"]).refused(1, &["pushvault migrate"]);
}

#[tokio::test]
async fn a_schema_that_somebody_altered() {
    let deployment = Deployment::migrated();
    let database = deployment.database().await;
    database.execute(r"update _sqlx_migrations set checksum = '\x00'").await;
    serve_is_refused(&deployment, &["not the one that this binary has", "restore a backup"]);
}

#[test]
fn no_root_key_a_lost_one_and_one_of_the_wrong_length() {
    let deployment = Deployment::migrated().without("KEK__FILE");
    serve_is_refused(&deployment, &["no root key", "openssl rand", "PUSHVAULT__KEK__FILE"]);

    let nowhere = deployment.path().join("nowhere.key");
    let nowhere = nowhere.to_string_lossy();
    let deployment = deployment.with("KEK__FILE", &nowhere);
    serve_is_refused(&deployment, &["cannot read the root key file", &nowhere]);

    let short = deployment.write("short.key", [7; 31], 0o600);
    let short = short.to_string_lossy();
    let deployment = deployment.with("KEK__FILE", &short);
    serve_is_refused(&deployment, &["exactly 32 bytes", &short]);
}

#[test]
fn a_root_key_that_every_user_may_read() {
    let deployment = Deployment::migrated();
    let file = deployment.write("root.key", [7; 32], 0o604);
    let file = file.to_string_lossy();
    serve_is_refused(&deployment, &[&file, "may be read by every user", "chmod"]);
}

#[tokio::test]
async fn a_wrong_root_key() {
    let deployment = Deployment::migrated();
    deployment.create_account();
    deployment.write("root.key", [8; 32], 0o600);
    let (expected, found) = (kek_id([7; 32]), kek_id([8; 32]));
    serve_is_refused(&deployment, &["wrong root key", &expected, &found]);
    deployment
        .run(&["account", "create"])
        .refused(1, &["wrong root key", &expected, &found]);
    let database = deployment.database().await;
    assert_eq!(database.value::<i64>("select count(*) from accounts").await, 1);
    assert_eq!(database.value::<String>("select kek_id from root_keys").await, expected);
}

#[test]
fn a_setting_that_does_not_exist() {
    let deployment = Deployment::migrated().with("SERVR__LISTEN", CANARY);
    deployment.keep(CANARY);
    serve_is_refused(&deployment, &["servr"]);
    let deployment = deployment.without("SERVR__LISTEN").with("SERVER__LISSTEN", CANARY);
    serve_is_refused(&deployment, &["lissten"]);

    let deployment = deployment.without("SERVER__LISSTEN");
    let file = deployment.write("settings.toml", format!("[kek]\npassfrase = '{CANARY}'\n"), 0o600);
    let arguments = ["--config", &*file.to_string_lossy(), "serve"];
    deployment.run(&arguments).refused(1, &["passfrase"]);
}

#[test]
fn a_settings_file_that_is_missing_or_broken() {
    let deployment = Deployment::migrated();
    deployment.keep(CANARY);
    let nowhere = deployment.path().join("nowhere.toml");
    let nowhere = nowhere.to_string_lossy();
    deployment.run(&["--config", &nowhere, "serve"]).refused(1, &[&nowhere]);
    let broken = deployment.write("broken.toml", format!("[kek]\npassphrase = '{CANARY}\n"), 0o600);
    let arguments = ["--config", &*broken.to_string_lossy(), "serve"];
    deployment.run(&arguments).refused(1, &["broken.toml", "line 2"]);
}

#[test]
fn a_database_address_that_is_missing_broken_or_leads_nowhere() {
    let deployment = Deployment::migrated();
    deployment.keep(CANARY);
    let deployment = deployment.with("DATABASE__URL", CANARY);
    serve_is_refused(&deployment, &["database.url", "postgres://"]);
    let deployment = deployment.with("DATABASE__URL", "");
    serve_is_refused(&deployment, &["database.url", "PUSHVAULT__DATABASE__URL"]);
    let nobody = ReservedPort::new();
    let deployment = deployment.with("DATABASE__ACQUIRE_TIMEOUT_SECONDS", "1").with(
        "DATABASE__URL",
        &format!("postgres://somebody:{CANARY}@{}/vault", nobody.address()),
    );
    serve_is_refused(&deployment, &["the database is unavailable"]);
    deployment.run(&["migrate"]).refused(1, &[]);
}

#[test]
fn a_secret_in_a_parameter_of_the_database_address_that_is_passed_over() {
    let deployment = Deployment::migrated();
    deployment.keep(CANARY);
    let address = format!("{}&sslpassword={CANARY}", deployment.setting("DATABASE__URL"));
    let deployment = deployment.with("DATABASE__URL", &address);
    // It is one that other programs know, so it is passed over; but it is never repeated.
    deployment.run(&["account", "list"]).succeeded();
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let deployment = Deployment::migrated().with("SERVER__LISTEN", &address);
    serve_is_refused(
        &deployment,
        &["cannot listen on", &address, "PUSHVAULT__SERVER__LISTEN"],
    );
}

#[test]
fn a_wrong_passphrase() {
    let deployment = Deployment::migrated()
        .with("KEK__PROVIDER", "passphrase")
        .with("KEK__PASSPHRASE", "canary-passphrase-right");
    deployment.keep("canary-passphrase");
    deployment.create_account();
    let database_expects = deployment.run(&["account", "list"]).succeeded();
    assert_eq!(database_expects.stderr, "");
    let deployment = deployment.with("KEK__PASSPHRASE", "canary-passphrase-wrong");
    serve_is_refused(&deployment, &["wrong root key", "the passphrase gives none", "kek add"]);
    let deployment = deployment.with("KEK__PASSPHRASE", "");
    serve_is_refused(&deployment, &["no root key"]);
}

/// The command with this limit on open files.
fn with_open_files(limit: &str, command: &Command) -> Command {
    let mut shell = clean(Command::new("sh"));
    shell.args(["-c", &format!(r#"ulimit {limit} && exec "$@""#), "sh"]);
    wrapped(shell, command)
}

#[test]
fn fewer_open_files_than_connections_may_take() {
    let deployment = Deployment::migrated().with("ADMIN__LISTEN", "127.0.0.1:0");
    let serve = deployment.command(&["serve"]);
    let words = [
        "server.max_connections",
        "586 open files",
        "may have 585",
        "LimitNOFILE",
    ];
    run(with_open_files("-n 585", &serve)).refused(1, &words);

    // What the process may allow itself, it does.
    let service = deployment.start(with_open_files("-S -n 300", &serve));
    let limits = fs::read_to_string(format!("/proc/{}/limits", service.program.id())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = files
        .and_then(|files| files.split_whitespace().next())
        .map(str::to_owned);
    assert_eq!(soft.as_deref(), Some("586"));
    service.stop();
}
