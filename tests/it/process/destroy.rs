//! `pushvault account destroy`: in two steps, on every replica at once, and with a statement that tells what it is worth.

use std::fs;
use std::process::Command;

use pushvault::dev::cluster::Durability;
use serde_json::{Value, json};

use super::recovery::{key_file, restored_elsewhere, run_on, set_up};
use super::rotation::{kek_id, key_of, with_another_key, with_the_new_key_alone};
use super::support::{Caller, Deployment, Ended, Login, Postgres, Runbook, Shell, clean, run};

const REFUSED: (u16, Option<i64>) = (403, Some(20005));

/// A vault with an account that is to go and one that is to stay, and a credential of each.
async fn populated() -> (Deployment, [Login; 2], [String; 2]) {
    let deployment = Deployment::migrated();
    let logins = [deployment.create_account(), deployment.create_account()];
    let service = deployment.serve();
    let sids = [
        service.caller(&logins[0]).register("goes").await,
        service.caller(&logins[1]).register("stays").await,
    ];
    service.stop();
    (deployment, logins, sids)
}

fn destroy(deployment: &Deployment, sid: &str, arguments: &[&str]) -> Ended {
    deployment.run(&[&["account", "destroy", sid], arguments].concat())
}

/// Suspends an account and destroys it. Returns the statement.
fn suspend_and_destroy(deployment: &Deployment, sid: &str) -> String {
    deployment.run(&["account", "suspend", sid]).succeeded();
    let code = code(deployment, sid);
    destroy(deployment, sid, &["--confirm", &code]).succeeded().stdout
}

fn code(deployment: &Deployment, sid: &str) -> String {
    deployment.json(&["account", "destroy", sid])["confirm"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// What a line of a statement says.
#[track_caller]
fn said<'a>(statement: &'a str, key: &str) -> Vec<&'a str> {
    let said: Vec<_> = statement
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
        .collect();
    assert!(!said.is_empty(), "no {key} in {statement}");
    said
}

#[tokio::test]
async fn an_account_is_destroyed_in_two_steps_and_both_are_recorded() {
    let (deployment, [goes, stays], [gone, kept]) = populated().await;
    let (database, service) = (deployment.database().await, deployment.serve());
    let (caller, neighbour) = (service.caller(&goes), service.caller(&stays));
    let known = database.events_after(0).await.len();
    destroy(&deployment, &goes.sid, &[]).refused(1, &["is active", "account suspend"]);
    deployment.run(&["account", "suspend", &goes.sid]).succeeded();

    let preview = deployment.json(&["account", "destroy", &goes.sid]);
    assert_eq!(
        (
            &preview["credentials"],
            &preview["credential_versions"],
            &preview["account_keys"]
        ),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(preview["newest_credentials"], json!([format!("{gone} fcm goes")]));
    let code = preview["confirm"].as_str().unwrap();
    destroy(&deployment, &goes.sid, &["--confirm", "000000000000"]).refused(1, &["the confirmation code is not"]);
    destroy(&deployment, &stays.sid, &["--confirm", code]).refused(1, &["is active"]);
    let statement = destroy(&deployment, &goes.sid, &["--confirm", code]).succeeded().stdout;
    assert_eq!(said(&statement, "account"), [goes.sid.as_str()]);
    assert_eq!(said(&statement, "credentials made unreadable"), ["1"]);
    assert_eq!(
        said(&statement, "final"),
        ["no"],
        "today's root key opens yesterday's copy"
    );

    assert_eq!(caller.is_let_in().await, REFUSED);
    assert_eq!(neighbour.fetch(&kept).await.status, 200);
    let refused = "is destroyed: nothing brings it back";
    for command in [
        ["account", "activate"],
        ["account", "rotate-token"],
        ["api-key", "create"],
    ] {
        let ended = deployment.run(&[&command[..], &[&goes.sid]].concat());
        ended.refused(1, &[refused]);
    }
    let outcomes: Vec<_> = database
        .events_after(known)
        .await
        .into_iter()
        .map(|event| (event.action, event.outcome))
        .collect();
    let expected = [
        ("account.destroy_preview", "failed"),
        ("account.suspend", "success"),
        ("account.destroy_preview", "success"),
        ("account.destroy", "failed"),
        ("account.destroy", "failed"),
        ("account.destroy", "success"),
        ("account.destroy_statement", "success"),
        ("account.activate", "failed"),
        ("account.rotate_token", "failed"),
        ("api_key.create", "failed"),
    ];
    assert_eq!(
        outcomes,
        expected.map(|(action, outcome)| (action.to_owned(), outcome.to_owned()))
    );
    // What is left is proved to be whole, and what was destroyed is not taken for damage.
    let report = deployment.json(&["kek", "verify"]);
    assert_eq!((&report["opened"], &report["findings"]), (&json!(1), &json!([])));
    service.stop();
}

#[tokio::test]
async fn a_code_is_worth_nothing_once_the_account_has_changed() {
    let (deployment, [goes, _], _) = populated().await;
    deployment.run(&["account", "suspend", &goes.sid]).succeeded();
    let stale = code(&deployment, &goes.sid);
    deployment.run(&["account", "activate", &goes.sid]).succeeded();
    let service = deployment.serve();
    service.caller(&goes).register("came later").await;
    service.stop();
    deployment.run(&["account", "suspend", &goes.sid]).succeeded();
    destroy(&deployment, &goes.sid, &["--confirm", &stale]).refused(1, &["the confirmation code is not"]);
    assert_ne!(stale, code(&deployment, &goes.sid));
    let keys: i64 = deployment
        .database()
        .await
        .value("select count(*) from account_keys where state = 'destroyed'")
        .await;
    assert_eq!(keys, 0);
}

#[tokio::test]
async fn nothing_is_left_of_the_keys_and_the_database_lets_nobody_bring_them_back() {
    let (deployment, [goes, _], _) = populated().await;
    set_up(&deployment, "recovery.key", &[]);
    suspend_and_destroy(&deployment, &goes.sid);
    let database = deployment.database().await;
    let rows: Vec<(Vec<u8>, Option<Vec<u8>>, String)> = database
        .rows("select wrapped_key, recovery_copy, state from account_keys where state = 'destroyed'")
        .await;
    assert_eq!(rows, [(Vec::new(), None, "destroyed".to_owned())]);
    for statement in [
        "update accounts set status = 'active'",
        "update account_keys set state = 'previous', wrapped_key = 'x' where state = 'destroyed'",
    ] {
        let mut psql = clean(Command::new(Deployment::postgres_programs().join("psql")));
        psql.args(["--no-psqlrc", "--set=ON_ERROR_STOP=1", "--command", statement]);
        let ended = run_on(psql, &deployment);
        assert!(
            ended.code != Some(0) && ended.stderr.contains("is destroyed"),
            "{}",
            ended.stderr
        );
    }
}

fn signing_key(statement: &str) -> String {
    said(statement, "signing key")[0].to_owned()
}

/// The same deployment under another root key, by the commands that an operator has; the old one is destroyed.
fn rotated(deployment: Deployment) -> Deployment {
    let deployment = with_another_key(deployment);
    deployment.json(&["kek", "add"]);
    let old = kek_id(key_of(&deployment.json(&["kek", "list"]), "primary"));
    deployment.json(&["kek", "rotate"]);
    deployment.json(&["kek", "rewrap"]);
    deployment.json(&["kek", "retire", &old]);
    let deployment = with_the_new_key_alone(deployment);
    deployment.json(&["kek", "destroy", &old]);
    deployment
}

/// Yesterday's copy, with the keys of today.
fn yesterdays_copy(deployment: &Deployment) -> Deployment {
    let copy = restored_elsewhere(deployment);
    copy.write("root.key", fs::read(deployment.path().join("root.key")).unwrap(), 0o600);
    copy
}

#[tokio::test]
async fn yesterdays_copy_does_not_open_with_todays_keys_and_the_statement_says_from_when_on() {
    let (deployment, [goes, stays], _) = populated().await;
    set_up(&deployment, "recovery.key", &[]);
    let copy = yesterdays_copy(&deployment);
    suspend_and_destroy(&deployment, &goes.sid);
    // Plainly: until the keys of yesterday are gone, they open yesterday's copy. The statement names them.
    let statement = destroy(&deployment, &goes.sid, &[]).succeeded().stdout;
    let openers = said(&statement, "opens older copies");
    assert!(
        openers[0].starts_with("root key kek_") && openers[0].contains(", primary since "),
        "{statement}"
    );
    assert!(openers[1].starts_with("recovery recipient age1"), "{statement}");
    assert_eq!(copy.json(&["kek", "verify"])["opened"], 2);

    // Another root key, and another recovery key; the old ones are destroyed.
    let first_key = signing_key(&statement);
    let deployment = rotated(deployment);
    let halfway = destroy(&deployment, &goes.sid, &[]).succeeded().stdout;
    assert_eq!(said(&halfway, "final"), ["no"], "the recovery key opens it still");
    assert_eq!(signing_key(&halfway), first_key, "the signing key was wrapped anew");
    let first = deployment.json(&["recovery", "status"])["recipient"]
        .as_str()
        .unwrap()
        .to_owned();
    set_up(&deployment, "second.key", &["--replace"]);
    deployment.run(&["recovery", "destroy", &first]).succeeded();

    let last = destroy(&deployment, &goes.sid, &[]).succeeded().stdout;
    assert_eq!(said(&last, "final"), ["yes"], "{last}");
    let document = deployment.json(&["account", "destroy", &goes.sid]);
    assert_eq!(document["final"], Value::Bool(true));
    copy.write("root.key", [9; 32], 0o600);
    copy.run(&["kek", "verify"]).refused(1, &["wrong root key"]);
    copy.run(&[
        "recovery",
        "restore",
        "--key-file",
        &key_file(&deployment, "second.key"),
    ])
    .refused(1, &["wrong recovery key"]);
    // The account that stays is as it was.
    let service = deployment.serve();
    assert_eq!(service.caller(&stays).is_let_in().await, (200, None));
    service.stop();
}

#[tokio::test]
async fn a_root_key_that_came_later_is_no_concern_of_an_account_that_is_gone() {
    let (deployment, [goes, stays], _) = populated().await;
    set_up(&deployment, "recovery.key", &[]);
    suspend_and_destroy(&deployment, &goes.sid);
    deployment.write("root.key", [9; 32], 0o600);
    deployment.json(&[
        "recovery",
        "restore",
        "--key-file",
        &key_file(&deployment, "recovery.key"),
    ]);
    let statement = destroy(&deployment, &goes.sid, &[]).succeeded().stdout;
    let openers = said(&statement, "opens older copies");
    assert_eq!(openers.len(), 2, "{statement}");
    // The signing key was lost with the root key that it was wrapped under: another one signs.
    let database = deployment.database().await;
    let keys: Vec<(String,)> = database
        .rows("select state from signing_keys order by created_at")
        .await;
    assert_eq!(keys, [("retired".to_owned(),), ("primary".to_owned(),)]);
    let statement = suspend_and_destroy(&deployment, &stays.sid);
    assert_eq!(said(&statement, "opens older copies").len(), 3, "{statement}");
}

/// Follows the runbook, as the schema's owner, from the end of the first start on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runbook_destroys_an_account_and_its_statement_is_verified_without_the_vault() {
    let server = Postgres::start(Durability::ForgetOnCrash);
    let shell = Shell::beside(&server);
    let mut first = Runbook::titled("First start");
    let steps = [
        "create role pushvault_owner",
        "openssl rand",
        "pushvault migrate",
        "account create",
    ];
    let steps = steps.map(|mark| shell.run(&first.next(mark)));
    let account_sid = steps[3]
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("account_sid: "));
    shell.set("ACCOUNT_SID", account_sid.unwrap());

    let mut runbook = Runbook::titled("Destroy an account");
    shell.run(&runbook.next("account suspend"));
    let preview = shell.run(&runbook.next("account destroy"));
    let code = preview.stdout.lines().find_map(|line| line.strip_prefix("confirm: "));
    shell.set("CODE", code.unwrap());
    shell.run(&runbook.next("--confirm"));
    let verify = runbook.next("openssl pkeyutl");
    shell.run(&verify);
    runbook.ends();

    let forged = shell.read("statement.txt").replace("final: no", "final: yes");
    fs::write(shell.path().join("statement.txt"), forged).unwrap();
    let ended = shell.try_run(&verify);
    assert_ne!(ended.code, Some(0), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_pushvault_keeper_may_do_all_this_and_the_services_own_role_may_not() {
    let server = Postgres::start(Durability::ForgetOnCrash);
    let database = server.database("postgres").await;
    for statement in [
        "create role pushvault_service nologin",
        "create role pushvault_keeper nologin in role pushvault_service",
        "create role a_keeper login in role pushvault_keeper",
        "create role a_vault login in role pushvault_service",
        "create database pushvault",
    ] {
        database.execute(statement).await;
    }
    let owner = Deployment::on(&server.url("pushvault"));
    owner.run(&["migrate"]).succeeded();
    let account = owner.create_account();
    let user = |name: &str| {
        let deployment = Deployment::on(&format!("postgres://{name}@{}", server.place("pushvault")));
        deployment.write("root.key", [7; 32], 0o600);
        deployment
    };
    let (vault, keeper) = (user("a_vault"), user("a_keeper"));

    run(vault.command(&["recovery", "init"])).refused(1, &["permission denied"]);
    set_up(&keeper, "recovery.key", &[]);
    set_up(&keeper, "recovery.key", &["--replace"]);
    // Accounts are made by the service's own role, encrypted to the recipient.
    let other = vault.create_account();
    vault.run(&["account", "suspend", &account.sid]).succeeded();
    let confirm = code(&vault, &account.sid);
    destroy(&vault, &account.sid, &["--confirm", &confirm]).refused(1, &["permission denied"]);
    destroy(&keeper, &account.sid, &["--confirm", &confirm]).succeeded();
    keeper.write("root.key", [9; 32], 0o600);
    let key = key_file(&keeper, "recovery.key");
    assert_eq!(
        keeper.json(&["recovery", "restore", "--key-file", &key])["account_keys"],
        1
    );
    vault.write("root.key", [9; 32], 0o600);
    let service = vault.serve();
    let caller = Caller::new(&service.url, &other.sid, &other.secret);
    assert_eq!(caller.is_let_in().await, (200, None));
    service.stop();
}
