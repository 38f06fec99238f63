//! The runbooks of single nights: a token that leaked, a root key that is lost or may have leaked.

use std::fs;

use pushvault::dev::cluster::Durability;

use super::{FirstVault, value_of};
use crate::process::support::{Caller, Postgres, Runbook, Signal};

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
    let list = shell.run(&runbook.next("from credentials")).stdout;
    assert!(list.contains(&sid), "{list}");
    runbook.ends();

    let mut runbook = Runbook::titled("The root key may have leaked");
    shell.run(&runbook.next("alter role"));
    let list = shell.run(&runbook.next("group by")).stdout;
    assert!(list.contains(other_sid), "{list}");
    runbook.ends();
    assert_eq!(service.end_by(Signal::Terminate).code(), Some(0));
}
