//! The runbooks of single nights: a token that leaked, a root key that is lost or may have leaked.

use std::fs;

use pushvault::dev::cluster::Durability;

use super::{FirstVault, value_of};
use crate::process::support::{Caller, Postgres, Runbook, Shell, Signal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_token_is_worth_nothing_after_the_first_step() {
    let server = Postgres::start(Durability::ForgetOnCrash);
    let FirstVault {
        shell,
        mut service,
        caller,
        login: [account_sid, leaked],
        ..
    } = FirstVault::set_up(&server);
    let url = caller.url().to_owned();
    let key = shell.sh("pushvault api-key create \"$ACCOUNT_SID\"").succeeded().stdout;
    let (key_sid, key_secret) = (value_of(&key, "api_key_sid"), value_of(&key, "secret"));
    let with_key = Caller::new(&url, key_sid, key_secret);
    assert_eq!(with_key.is_let_in().await, (200, None));

    let mut runbook = Runbook::titled("An auth token leaked");
    let rotated = shell.run(&runbook.next("--revoke-old")).stdout;
    let with_token = Caller::new(&url, &account_sid, value_of(&rotated, "auth_token"));
    assert_eq!(caller.is_let_in().await, (401, Some(20003)));
    assert_eq!(with_token.is_let_in().await, (200, None));
    shell.set("API_KEY_SID", key_sid);
    shell.run(&runbook.next("api-key revoke"));
    assert_eq!(with_key.is_let_in().await, (401, Some(20003)));
    shell.run(&runbook.next("account suspend"));
    assert_eq!(with_token.is_let_in().await, (403, Some(20005)));
    let keys = shell.run(&runbook.next("api-key list")).stdout;
    assert!(keys.contains(key_sid), "{keys}");
    let trail = shell.run(&runbook.next("from audit_events")).stdout;
    for action in [
        "credential.create",
        "account.rotate_token",
        "api_key.revoke",
        "account.suspend",
    ] {
        assert!(trail.contains(action), "{trail}");
    }
    shell.run(&runbook.next("account activate"));
    shell.set("OLD_TOKEN", &leaked);
    shell.set("AUTH_TOKEN", value_of(&rotated, "auth_token"));
    shell.run(&runbook.next("old-answer"));
    runbook.ends();
    assert_eq!(service.end_by(Signal::Terminate).code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_that_runs_needs_no_file_of_the_root_key_and_everything_else_does() {
    let server = Postgres::start(Durability::ForgetOnCrash);
    let first = FirstVault::set_up(&server);
    let (mut shell, mut service) = (first.shell, first.service);
    let mut runbook = Runbook::titled("Prepare for the loss of the root key");
    shell.run(&runbook.next("recovery init"));
    shell.run(&runbook.next("recovery verify"));
    runbook.ends();
    shell.set("PUSHVAULT__DATABASE__URL_FILE", "vault.url");
    let created = shell.sh("pushvault account create").succeeded().stdout;
    let (other_sid, other_token) = (value_of(&created, "account_sid"), value_of(&created, "auth_token"));
    let other = Caller::new(first.caller.url(), other_sid, other_token);
    fs::rename(shell.path().join("root.key"), shell.path().join("copy-of-root.key")).unwrap();

    // The other account's key has not been needed before: the root key unwraps it from memory.
    let sid = other.register("after the loss").await;
    first.caller.register("after the loss").await;
    assert_eq!(other.fetch(&sid).await.status, 200);
    assert_eq!(other.get("/readyz").await.status, 200);
    for command in [
        "account list",
        "account create",
        "api-key list \"$ACCOUNT_SID\"",
        "kek verify",
        "serve",
    ] {
        let refused = shell.sh(&format!("pushvault {command}"));
        refused.refused(1, &["cannot read the root key file"]);
    }
    for command in ["migrate", "config check"] {
        let variable = "PUSHVAULT__DATABASE__URL_FILE=owner.url";
        shell.sh(&format!("{variable} pushvault {command}")).succeeded();
    }

    let mut runbook = Runbook::titled("The root key is lost");
    shell.run(&runbook.next("copy-of-root.key"));
    shell.connect(&server.url("pushvault"));
    shell.read_as("AC…", other_sid);
    shell.run(&runbook.next("'suspended'"));
    assert_eq!(other.is_let_in().await, (403, Some(20005)));

    let dumped = shell.sh("pg_dump --format=custom --file=pushvault.dump \"$(cat owner.url)\"");
    dumped.succeeded();
    assert_eq!(service.end_by(Signal::Terminate).code(), Some(0));
    comes_back_elsewhere(runbook, &shell, &sid);

    let mut runbook = Runbook::titled("The root key may have leaked");
    shell.run(&runbook.next("alter role"));
    let list = shell.run(&runbook.next("group by")).stdout;
    assert!(list.contains(other_sid), "{list}");
    runbook.ends();
}

/// The old machine is gone, and with it the root key and every copy: there is a dump, and the recovery key.
fn comes_back_elsewhere(mut runbook: Runbook, old: &Shell, credential_sid: &str) {
    let server = Postgres::start(Durability::ForgetOnCrash);
    let mut shell = restored_on(&server, old);
    let restored = shell.run(&runbook.next("recovery restore")).stdout;
    assert_eq!(
        (value_of(&restored, "account_keys"), value_of(&restored, "opened")),
        ("2", "3")
    );
    let verified = shell.run(&runbook.next("kek verify")).stdout;
    assert_eq!(value_of(&verified, "opened"), "3");
    shell.run(&runbook.next("recovery init --replace"));
    let verify = "pushvault recovery verify --key-file new-recovery.key";
    shell
        .sh(&format!("PUSHVAULT__DATABASE__URL_FILE=owner.url {verify}"))
        .succeeded();
    shell.connect(&server.url("pushvault"));
    let list = shell.run(&runbook.next("from credentials")).stdout;
    assert!(list.contains(credential_sid), "{list}");
    runbook.ends();
}

/// The dump of one machine on the server of another, by the runbook of the restore as far as it needs no root key. Of the
/// keys there is the one for recovery alone.
fn restored_on(server: &Postgres, from: &Shell) -> Shell {
    let shell = Shell::beside(server);
    shell.fetch("pushvault.dump", from);
    shell.fetch("recovery.key", from);
    let mut runbook = Runbook::titled("Restore");
    for mark in [
        "create role pushvault_owner",
        "owner.url",
        "pg_restore",
        "pushvault migrate",
    ] {
        shell.run(&runbook.next(mark));
    }
    shell
}
