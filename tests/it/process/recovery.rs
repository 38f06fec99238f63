//! `pushvault recovery`: a key pair whose private half is shown once, and a vault that comes back with it when the root key
//! is lost.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::support::{Deployment, Ended, Login, Signal, clean, run};

/// The line of a command that tells something.
#[track_caller]
fn told<'a>(ended: &'a Ended, key: &str) -> &'a str {
    let mut lines = ended.stdout.lines();
    lines
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("no {key} in {}", ended.stdout))
}

/// Sets recovery up, and keeps the private half in a file. Returns the recipient.
pub(super) fn set_up(deployment: &Deployment, file: &str, arguments: &[&str]) -> String {
    let ended = run(deployment.command(&[&["recovery", "init"], arguments].concat())).succeeded();
    let key = told(&ended, "recovery_key");
    assert!(key.starts_with("AGE-SECRET-KEY-1"), "{key}");
    assert!(!ended.stderr.contains(key), "the log repeats the key");
    deployment.write(file, format!("# kept offline\n{key}\n"), 0o600);
    deployment.keep(key);
    told(&ended, "recipient").to_owned()
}

pub(super) fn key_file(deployment: &Deployment, file: &str) -> String {
    deployment.path().join(file).to_string_lossy().into_owned()
}

pub(super) fn status(deployment: &Deployment) -> Value {
    deployment.json(&["recovery", "status"])
}

/// A copy of a deployment's database on a server of its own, with another root key: what is there after the old machine is
/// lost.
pub(super) fn restored_elsewhere(lost: &Deployment) -> Deployment {
    let mut dump = clean(Command::new(Deployment::postgres_programs().join("pg_dump")));
    let dumped = lost.path().join("dump");
    dump.args(["--format=custom", "--no-owner", "--file"]).arg(&dumped);
    run_on(dump, lost).succeeded();
    let new = Deployment::empty();
    let mut restore = clean(Command::new(Deployment::postgres_programs().join("pg_restore")));
    restore.args(["--no-owner", "--exit-on-error"]).arg(&dumped);
    run_on(restore, &new).succeeded();
    new.write("root.key", [8; 32], 0o600);
    new
}

pub(super) fn run_on(mut command: Command, deployment: &Deployment) -> Ended {
    command.args(["--dbname", deployment.setting("DATABASE__URL")]);
    run(command)
}

/// A vault with recovery, two accounts, and what they sealed.
pub(super) async fn populated() -> (Deployment, [Login; 2], [String; 2]) {
    let deployment = Deployment::migrated();
    let before = deployment.create_account();
    set_up(&deployment, "recovery.key", &[]);
    let logins = [before, deployment.create_account()];
    let service = deployment.serve();
    let sids = [
        service.caller(&logins[0]).register("one").await,
        service.caller(&logins[1]).register("other").await,
    ];
    service.stop();
    (deployment, logins, sids)
}

#[tokio::test]
async fn a_vault_whose_root_key_is_lost_lives_on_elsewhere_with_the_recovery_key() {
    let (lost, logins, sids) = populated().await;
    let printed = |deployment: &Deployment, arguments: &[&str]| deployment.run(arguments).succeeded().stdout;
    let (kept, old_key) = (
        printed(&lost, &["audit", "checkpoint"]),
        printed(&lost, &["audit", "key"]),
    );
    let new = restored_elsewhere(&lost);
    let key = key_file(&lost, "recovery.key");
    new.run(&["kek", "verify"]).refused(1, &["wrong root key"]);

    let restored = new.json(&["recovery", "restore", "--key-file", &key]);
    assert_eq!(
        (&restored["account_keys"], &restored["opened"], &restored["findings"]),
        (&json!(2), &json!(2), &json!([])),
        "{restored}"
    );
    let service = new.serve();
    for (login, sid) in logins.iter().zip(&sids) {
        let caller = service.caller(login);
        assert_eq!(caller.fetch(sid).await.status, 200);
        caller.register("after").await;
    }
    service.stop();
    assert_eq!(new.json(&["kek", "verify"])["opened"], 4);
    // The new root key alone is needed, and the copies are as good as before.
    let database = new.database().await;
    let states: Vec<(String,)> = database.rows("select state from root_keys order by created_at").await;
    assert_eq!(states, [("retired".to_owned(),), ("primary".to_owned(),)]);
    let verified = new.json(&["recovery", "verify", "--key-file", &key]);
    assert_eq!((&verified["opened"], &verified["problems"]), (&json!(2), &json!([])));
    let events = database.events_after(0).await;
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert!(
        actions
            .windows(3)
            .any(|window| window == ["recovery.restore", "recovery.rewrap", "recovery.finish"]),
        "{actions:?}"
    );
    // The trail goes on: what the lost key signed is believed for what came before, here and by whoever has both keys.
    let kept = new.write("kept.txt", kept, 0o600);
    let kept = kept.to_str().unwrap();
    let report = new.json(&["audit", "verify", "--checkpoint", kept]);
    assert_eq!(
        (&report["verified"], &report["without_mac"]),
        (&json!(true), &json!(0)),
        "{report:#}"
    );
    let export = new.write("export.jsonl", printed(&new, &["audit", "export"]), 0o600);
    let keys = [old_key.trim(), printed(&new, &["audit", "key"]).trim()].map(str::to_owned);
    let mut offline = vec![
        "audit",
        "verify",
        "--export",
        export.to_str().unwrap(),
        "--checkpoint",
        kept,
    ];
    offline.extend(["--key", &keys[1]]);
    new.run(&offline).refused(1, &[]);
    offline.extend(["--key", &keys[0]]);
    assert_eq!(new.json(&offline)["verified"], true);
    // Another time changes nothing, and proves everything again.
    let again = new.json(&["recovery", "restore", "--key-file", &key]);
    assert_eq!((&again["account_keys"], &again["opened"]), (&json!(0), &json!(4)));
}

#[tokio::test]
async fn every_account_key_is_encrypted_to_the_recipient_and_new_ones_from_the_start() {
    let deployment = Deployment::migrated();
    assert_eq!(status(&deployment)["recipient"], Value::Null);
    let first = deployment.create_account();
    let recipient = set_up(&deployment, "recovery.key", &[]);
    deployment.create_account();

    let shown = status(&deployment);
    assert_eq!(shown["recipient"], recipient.as_str());
    assert_eq!(
        (&shown["account_keys"], &shown["account_keys_without_copy"]),
        (&json!(2), &json!(0))
    );
    deployment
        .run(&["recovery", "init"])
        .refused(1, &["recovery is set up", &recipient, "--replace"]);
    // Whoever writes a key without a copy is refused by the database itself, and one that is destroyed takes its copy along.
    let database = deployment.database().await;
    let refused: String = refusal(
        &deployment,
        "insert into account_keys (account_sid, version, kek_id, wrapped_key, state)
            select account_sid, 2, kek_id, wrapped_key, 'previous' from account_keys limit 1",
    );
    assert!(
        refused.contains("is not encrypted to the recovery recipient"),
        "{refused}"
    );
    database
        .execute("update account_keys set state = 'destroyed', wrapped_key = ''")
        .await;
    let copies: i64 = database.value("select count(recovery_copy) from account_keys").await;
    assert_eq!(copies, 0);
    let actions: Vec<_> = database
        .events_after(0)
        .await
        .into_iter()
        .map(|event| event.action)
        .collect();
    assert_eq!(
        actions,
        [
            "root_key.register",
            "account.create",
            "recovery.init",
            "recovery.copy",
            "account.create",
            "recovery.init"
        ]
    );
    assert!(!first.sid.is_empty());
}

/// What the server says to a statement.
fn refusal(deployment: &Deployment, statement: &str) -> String {
    let mut psql = clean(Command::new(Deployment::postgres_programs().join("psql")));
    psql.args(["--no-psqlrc", "--set=ON_ERROR_STOP=1", "--command", statement]);
    let ended = run_on(psql, deployment);
    assert_ne!(ended.code, Some(0));
    ended.stderr
}

#[tokio::test]
async fn a_copy_is_a_file_that_age_opens() {
    let (deployment, ..) = populated().await;
    let database = deployment.database().await;
    let copy: Vec<u8> = database.value("select recovery_copy from account_keys limit 1").await;
    deployment.write("copy.age", copy, 0o600);

    let mut age = clean(Command::new("age"));
    age.current_dir(deployment.path()).args([
        "--decrypt",
        "--identity",
        "recovery.key",
        "--output",
        "opened",
        "copy.age",
    ]);
    run(age).succeeded();
    let opened = fs::read(deployment.path().join("opened")).unwrap();
    assert!(opened.windows(21).any(|part| part == b"pushvault/v1/recovery"));
    assert_eq!(opened.len(), (8 + 21) + (8 + 16) + (8 + 34) + (8 + 4) + (8 + 32));
}

#[tokio::test]
async fn the_key_is_read_from_standard_input_too() {
    let (lost, ..) = populated().await;
    let new = restored_elsewhere(&lost);
    let mut command = new.command(&["recovery", "restore"]);
    command.stdin(Stdio::from(fs::File::open(lost.path().join("recovery.key")).unwrap()));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(new.json(&["kek", "verify"])["opened"], 2);
}

#[tokio::test]
async fn a_recipient_is_replaced_and_the_old_key_opens_no_row_any_more() {
    let (deployment, ..) = populated().await;
    let old = key_file(&deployment, "recovery.key");
    let first = status(&deployment)["recipient"].as_str().unwrap().to_owned();
    let second = set_up(&deployment, "second.key", &["--replace"]);
    assert_ne!(first, second);

    let shown = status(&deployment);
    assert_eq!(shown["recipient"], second.as_str());
    assert_eq!(shown["recipients"][0]["state"], "retired");
    deployment
        .run(&["recovery", "verify", "--key-file", &old])
        .refused(1, &["wrong recovery key", &second]);
    let new = key_file(&deployment, "second.key");
    assert_eq!(
        deployment.json(&["recovery", "verify", "--key-file", &new])["opened"],
        2
    );

    deployment
        .run(&["recovery", "destroy", &second])
        .refused(1, &["no retired recipient"]);
    deployment.run(&["recovery", "destroy", &first]).succeeded();
    assert_eq!(status(&deployment)["recipients"][0]["state"], "destroyed");
}

/// Holds a row, waits until the command waits for it, and kills the command there.
async fn kill_in_the_middle(deployment: &Deployment, arguments: &[&str]) {
    let holder = deployment.database().await;
    holder.execute("begin").await;
    holder
        .execute("select from account_keys order by account_sid desc limit 1 for update")
        .await;
    let mut program = super::support::Program::start(deployment.command(arguments));
    deployment
        .database()
        .await
        .wait_for(
            "the command waits for the row",
            "select exists (
                select from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock' and query like '%account_keys%for update%'
            )",
        )
        .await;
    program.end_by(Signal::Kill);
    holder.execute("rollback").await;
}

#[tokio::test]
async fn what_was_killed_in_the_middle_is_finished_by_saying_it_again() {
    let (lost, ..) = populated().await;
    let old = key_file(&lost, "recovery.key");
    kill_in_the_middle(&lost, &["recovery", "init", "--replace"]).await;
    let shown = status(&lost);
    assert_eq!(shown["account_keys_without_copy"], 2);
    // Whoever was killed before the key was kept makes another one; here it is finished with the one that was shown.
    let finished = lost.json(&["recovery", "init"]);
    assert_eq!(
        (&finished["account_keys"], &finished["recovery_key"]),
        (&json!(2), &Value::Null)
    );
    lost.run(&["recovery", "verify", "--key-file", &old])
        .refused(1, &["wrong recovery key"]);
    set_up(&lost, "third.key", &["--replace"]);

    let key = key_file(&lost, "third.key");
    let new = restored_elsewhere(&lost);
    kill_in_the_middle(&new, &["recovery", "restore", "--key-file", &key]).await;
    let database = new.database().await;
    let states: Vec<(String,)> = database.rows("select state from root_keys order by created_at").await;
    assert_eq!(states, [("previous".to_owned(),), ("primary".to_owned(),)]);
    let restored = new.json(&["recovery", "restore", "--key-file", &key]);
    assert_eq!((&restored["account_keys"], &restored["opened"]), (&json!(2), &json!(2)));
}
