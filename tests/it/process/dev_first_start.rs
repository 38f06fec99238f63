//! The first `pushvault dev` on a directory: what it makes, what it prints, and what of it can be reached.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::support::{DataDirectory, DevVault, Signal, clean, listening_ports, run, we_are_root};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_first_start_makes_private_files_and_the_printed_line_registers_a_credential() {
    let directory = DataDirectory::new();
    let vault = DevVault::start(&directory);

    assert_eq!(mode(directory.path()), 0o700);
    for name in ["root.key", "dev.env", "pushvault.toml"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
    assert_eq!(std::fs::read(directory.join("root.key")).unwrap().len(), 32);
    let environment = vault.environment.clone();
    assert!(environment.account_sid.starts_with("AC"), "{environment:?}");
    assert_eq!(environment.auth_token.len(), 32, "{environment:?}");
    let greeting = vault.program.stdout();
    let first_line = format!("pushvault is ready: {}\n", environment.url);
    assert!(greeting.trim_start().starts_with(&first_line), "{greeting}");
    assert!(greeting.contains(&environment.account_sid), "{greeting}");

    let mut shell = clean(Command::new("sh"));
    shell.arg("-c").arg(vault.printed_line());
    let credential = run(shell).succeeded().json();
    let keys: Vec<_> = credential.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "account_sid",
        "date_created",
        "date_updated",
        "friendly_name",
        "sandbox",
        "sid",
        "type",
        "url",
    ];
    assert_eq!(keys, expected);
    assert_eq!(credential["account_sid"], environment.account_sid.as_str());
    assert_eq!(credential["friendly_name"], "first");
    assert_eq!(credential["type"], "fcm");

    let accounts = directory.operate(&["account", "list"]).succeeded().json();
    assert_eq!(accounts[0]["account_sid"], environment.account_sid.as_str());
    assert_eq!(accounts.as_array().unwrap().len(), 1);

    vault.stop(Signal::Interrupt, &directory);
}

#[tokio::test]
async fn nothing_but_the_printed_address_is_listened_on() {
    let directory = DataDirectory::new();
    let vault = DevVault::start(&directory);
    let postgres = directory.postgres();
    assert!(
        postgres.len() >= 3,
        "two shells of the supervisor and Postgres: {postgres:?}"
    );

    let mut processes: Vec<_> = postgres.iter().map(|process| process.id).collect();
    processes.push(vault.program.id());
    let ports: Vec<_> = listening_ports(&processes).into_iter().collect();
    // The vault's own sockets are shown to root alone.
    let of_the_vault = we_are_root().then(|| vault.environment.port());
    assert_eq!(ports, Vec::from_iter(of_the_vault));
    // Where the kernel does not let us look at another user's sockets, Postgres itself has to say so.
    let database = directory.database().await;
    assert_eq!(database.value::<String>("show listen_addresses").await, "");
    assert_eq!(database.value::<String>("show fsync").await, "on");
    assert_eq!(database.value::<String>("show synchronous_commit").await, "on");
    drop(database);
    vault.stop(Signal::Terminate, &directory);
}
