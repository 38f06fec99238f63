//! Rotations that cannot go on: refused, interrupted, in each other's way, or stopped by a row that does not open.

use serde_json::json;

use super::rotation::{credentials, kek_id, key_of, with_another_key, with_the_new_key_alone};
use super::support::{Database, Deployment, Program, Signal};

/// The advisory lock of whoever wraps keys anew.
const TAKE_THE_TURN: &str = "select pg_advisory_lock(8103509996838677363)";
const LEAVE_THE_TURN: &str = "select pg_advisory_unlock(8103509996838677363)";

/// What the database is when a command is killed: a new key and hardly a row under it, and some rows.
const MOMENTS: [&str; 2] = [
    "select count(*) = 2 from account_keys",
    "select count(*) >= 2 from credential_versions where substring(dek_envelope from 5 for 4) = int4send(2)",
];

#[tokio::test]
async fn a_command_that_is_killed_at_any_moment_is_gone_on_with_by_the_next() {
    for moment in MOMENTS {
        let deployment = Deployment::migrated();
        let account = deployment.create_account();
        let service = deployment.serve();
        let sids = credentials(&service, &account, 4).await;
        let database = deployment.database().await;
        let began: String = database.value(NOW).await;
        let arguments = ["account", "rotate-key", &account.sid, "--made-before", &began];

        let mut command = Program::start(deployment.command(&[&arguments[..], &["--rate", "1"]].concat()));
        database.wait_for("the moment", moment).await;
        command.end_by(Signal::Kill);

        let verified = deployment.json(&["kek", "verify"]);
        assert_eq!((&verified["opened"], &verified["findings"]), (&json!(4), &json!([])));
        let update = service
            .caller(&account)
            .post(&path(&sids[0]), &[("Secret", "another")])
            .await;
        assert_eq!(update.unwrap().status, 200);
        database.wait_for("the end of the turn", NOBODY_HAS_THE_TURN).await;
        let rotated = deployment.json(&arguments);
        assert_eq!(
            (&rotated[0]["account_key"], &rotated[0]["destroyed"]),
            (&json!(2), &json!([1]))
        );
        assert_eq!(deployment.json(&arguments)[0]["rewrapped"], 0);
        let verified = deployment.json(&["kek", "verify"]);
        assert_eq!(verified["credential_versions"], json!({ "primary": 5 }));
        service.stop();
    }
}

#[tokio::test]
async fn of_two_commands_that_wrap_keys_anew_the_second_is_refused_and_changes_nothing() {
    let deployment = Deployment::migrated();
    let account = deployment.create_account();
    let database = deployment.database().await;
    database.execute(TAKE_THE_TURN).await;
    let before = keys(&database).await;

    for arguments in [&["account", "rotate-key", "--all"][..], &["kek", "rewrap"]] {
        deployment.run(arguments).refused(1, &["another command is wrapping"]);
    }
    assert_eq!(keys(&database).await, before);

    database.execute(LEAVE_THE_TURN).await;
    assert_eq!(
        deployment.json(&["account", "rotate-key", &account.sid])[0]["account_key"],
        2
    );
    let refused: i64 = database
        .value("select count(*) from audit_events where outcome = 'failed' and action in ('account.rotate_key', 'root_key.rewrap')")
        .await;
    assert_eq!(refused, 2);
}

#[tokio::test]
async fn a_row_that_does_not_open_keeps_the_old_key_and_gets_no_new_digest() {
    let deployment = Deployment::migrated();
    let (account, other) = (deployment.create_account(), deployment.create_account());
    let service = deployment.serve();
    let sids = credentials(&service, &account, 3).await;
    credentials(&service, &other, 1).await;
    let database = deployment.database().await;
    database
        .execute("create table kept as select * from credential_versions order by created_at limit 1")
        .await;
    database
        .execute(
            "update credential_versions set secret = set_byte(secret, 40, get_byte(secret, 40) # 1)
            where credential_sid = (select credential_sid from kept)",
        )
        .await;

    let ended = deployment.run(&["account", "rotate-key", "--all", "--format", "json"]);
    let ended = ended.refused(
        1,
        &[
            "1 credential version(s)",
            &account.sid,
            "do not open",
            "restore the row",
        ],
    );
    let rotated = ended.json();
    let of = |sid: &str| {
        rotated
            .as_array()
            .unwrap()
            .iter()
            .find(|key| key["account_sid"] == sid)
            .unwrap()
    };
    assert_eq!(
        (&of(&account.sid)["rewrapped"], &of(&account.sid)["destroyed"]),
        (&json!(2), &json!([]))
    );
    assert_eq!(of(&other.sid)["destroyed"], json!([1]));
    let untouched: bool = database
        .value(
            "select bool_and(stored.dek_envelope = kept.dek_envelope and stored.envelope_digest = kept.envelope_digest)
            from credential_versions stored join kept using (credential_sid, version)",
        )
        .await;
    assert!(untouched);

    database
        .execute(
            "update credential_versions stored set secret = kept.secret from kept
            where kept.credential_sid = stored.credential_sid",
        )
        .await;
    let rotated = deployment.json(&["account", "rotate-key", &account.sid]);
    assert_eq!(
        (&rotated[0]["rewrapped"], &rotated[0]["destroyed"]),
        (&json!(sids.len()), &json!([1, 2]))
    );
    service.stop();
}

#[tokio::test]
async fn verify_names_a_key_that_does_not_unwrap_and_a_header_that_was_cut_and_goes_on() {
    let deployment = Deployment::migrated();
    let (broken, other) = (deployment.create_account(), deployment.create_account());
    let service = deployment.serve();
    credentials(&service, &broken, 1).await;
    let sids = credentials(&service, &other, 2).await;
    service.stop();
    let database = deployment.database().await;
    database
        .execute(
            "update account_keys set wrapped_key = set_byte(wrapped_key, 20, get_byte(wrapped_key, 20) # 1)
            where account_sid = (select account_sid from accounts order by created_at limit 1)",
        )
        .await;
    database
        .execute(
            "update credential_versions set dek_envelope = substring(dek_envelope for 20)
            where (account_sid, credential_sid) in (select account_sid, max(credential_sid) from credential_versions
                where account_sid = (select account_sid from accounts order by created_at desc limit 1) group by 1)",
        )
        .await;

    let verified = deployment
        .run(&["kek", "verify", "--format", "json"])
        .refused(1, &[])
        .json();

    assert_eq!(verified["opened"], 1);
    let findings = verified["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert_eq!(
        (&findings[0]["account_sid"], &findings[0]["account_key"]),
        (&json!(broken.sid), &json!(1))
    );
    let cut = findings
        .iter()
        .find(|finding| finding["account_sid"] == other.sid.as_str())
        .unwrap();
    assert_eq!(cut["credential_sid"], *sids.iter().max().unwrap());
    for finding in findings {
        assert!(
            finding["problem"].as_str().unwrap().contains("restore the row"),
            "{finding}"
        );
    }
}

#[tokio::test]
async fn a_replica_that_was_killed_counts_until_it_was_not_seen_for_long_and_one_that_ended_does_not() {
    let deployment = Deployment::migrated();
    deployment.create_account();
    let database = deployment.database().await;
    deployment.serve().stop();
    assert_eq!(database.value::<i64>("select count(*) from replicas").await, 0);
    let mut killed = deployment.serve();
    killed.program.end_by(Signal::Kill);
    let deployment = with_another_key(Deployment::on(deployment.setting("DATABASE__URL")));
    deployment.json(&["kek", "add"]);
    // However long the machine takes, it was seen a moment ago.
    database
        .execute("update replicas set seen_at = now() + interval '1 minute'")
        .await;
    deployment.run(&["kek", "rotate"]).refused(
        1,
        &["1 of 1 live replicas cannot use", "a replica that was killed counts"],
    );

    database
        .execute("update replicas set seen_at = now() - interval '16 seconds'")
        .await;
    deployment.json(&["kek", "rotate"]);
    let next = deployment.serve();
    assert_eq!(database.value::<i64>("select count(*) from replicas").await, 1);
    next.stop();
}

#[tokio::test]
async fn a_destroyed_root_key_is_not_used_again_by_anything() {
    let deployment = Deployment::migrated();
    deployment.create_account();
    let deployment = with_another_key(deployment);
    deployment.json(&["kek", "add"]);
    let old = kek_id(key_of(&deployment.json(&["kek", "list"]), "primary"));
    deployment
        .run(&["kek", "destroy", &old])
        .refused(1, &["2 key(s) are wrapped under"]);
    deployment.json(&["kek", "rotate"]);
    deployment.json(&["kek", "rewrap"]);
    deployment
        .run(&["kek", "destroy", &old])
        .refused(1, &["is previous, and has to be retired"]);
    deployment.json(&["kek", "retire", &old]);
    deployment
        .run(&["kek", "rotate", &old])
        .refused(1, &["is retired: only one that was added"]);
    let old_file = deployment.setting("KEK__FILE").to_owned();
    let deployment = with_the_new_key_alone(deployment);
    deployment.json(&["kek", "destroy", &old]);

    let deployment = deployment.with("OTHER_KEK__FILE", &old_file);
    for arguments in [&["serve"][..], &["kek", "add"], &["kek", "rotate"]] {
        deployment.run(arguments).refused(1, &["was destroyed: take it out"]);
    }
    let deployment = deployment.without("OTHER_KEK__FILE").with("KEK__FILE", &old_file);
    deployment.run(&["serve"]).refused(1, &["wrong root key"]);
}

#[tokio::test]
async fn the_database_takes_no_row_under_a_key_that_is_not_the_primary_one() {
    let deployment = Deployment::migrated();
    let account = deployment.create_account();
    let service = deployment.serve();
    credentials(&service, &account, 1).await;
    service.stop();
    let database = deployment.database().await;
    database
        .execute("create table kept as select dek_envelope from credential_versions")
        .await;
    deployment.json(&["account", "rotate-key", &account.sid]);
    database
        .execute(
            "create function refused(statement text) returns text language plpgsql as $$ begin
                execute statement; return null;
            exception when sqlstate 'PV001' then return sqlerrm; end $$",
        )
        .await;

    let envelope: Option<String> = database
        .value("select refused('update credential_versions set dek_envelope = kept.dek_envelope from kept')")
        .await;
    database
        .execute("update root_keys set state = 'previous' where state = 'primary'")
        .await;
    let key: Option<String> = database
        .value("select refused('update account_keys set wrapped_key = wrapped_key where state = ''primary''')")
        .await;

    assert!(envelope.is_some_and(|words| words.contains("not sealed under the primary key")));
    assert!(key.is_some_and(|words| words.contains("not wrapped under the primary root key")));
}

const NOW: &str = "select to_char(now(), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
const NOBODY_HAS_THE_TURN: &str = "select not exists (select from pg_locks where locktype = 'advisory'
    and classid = 1886745448 and objid = 1801808755
    and database = (select oid from pg_database where datname = current_database()))";

fn path(sid: &str) -> String {
    format!("/v2/Credentials/{sid}")
}

async fn keys(database: &Database) -> Vec<(String, i32, String)> {
    database
        .rows("select account_sid::text, version, state from account_keys order by 1, 2")
        .await
}
