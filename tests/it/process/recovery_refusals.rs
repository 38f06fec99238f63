//! `pushvault recovery` with the wrong key, and with copies that do not open: what is refused, and what is had back all the
//! same.

use serde_json::json;

use super::recovery::{key_file, populated, restored_elsewhere, set_up, status};
use super::support::{Deployment, run};

#[tokio::test]
async fn another_key_restores_nothing_and_is_told_which_one_would() {
    let (lost, ..) = populated().await;
    let new = restored_elsewhere(&lost);
    let database = new.database().await;
    let other = Deployment::migrated();
    set_up(&other, "recovery.key", &[]);
    let before: Vec<(String, String)> = database.rows("select kek_id, state from root_keys").await;

    let recipient = status(&lost)["recipient"].as_str().unwrap().to_owned();
    let file = key_file(&other, "recovery.key");
    new.run(&["recovery", "restore", "--key-file", &file])
        .refused(1, &["wrong recovery key", &recipient]);
    for (name, text, mode, words) in [
        ("empty", "", 0o600, "the recovery key is malformed"),
        ("public", recipient.as_str(), 0o600, "the recovery key is malformed"),
        ("open", "anything", 0o644, "chmod o-rwx"),
    ] {
        new.write(name, text, mode);
        new.run(&["recovery", "restore", "--key-file", &key_file(&new, name)])
            .refused(1, &[words]);
    }
    new.run(&["recovery", "restore", "--key-file", "/nowhere/key"])
        .refused(1, &["/nowhere/key"]);

    assert_eq!(before, database.rows("select kek_id, state from root_keys").await);
    let event = database.events_after(0).await.pop().unwrap();
    assert_eq!(
        (event.action.as_str(), event.outcome.as_str()),
        ("recovery.restore", "failed")
    );
}

#[tokio::test]
async fn copies_that_were_exchanged_are_noticed_before_anything_is_changed() {
    let (lost, ..) = populated().await;
    let key = key_file(&lost, "recovery.key");
    let database = lost.database().await;
    database
        .execute(
            "update account_keys as one set recovery_copy = other.recovery_copy
            from account_keys as other where one.account_sid <> other.account_sid",
        )
        .await;
    let verified = run(lost.command(&["recovery", "verify", "--key-file", &key, "--format", "json"]));
    assert_eq!((verified.code, &verified.json()["opened"]), (Some(1), &json!(0)));
    assert_eq!(
        verified.json()["problems"][0]["problem"],
        "the recovery copy belongs to another key"
    );

    let new = restored_elsewhere(&lost);
    let copy = new.database().await;
    new.run(&["recovery", "restore", "--key-file", &key]).refused(
        1,
        &[
            "2 account key(s) cannot be had back",
            "belongs to another key",
            "--incomplete",
        ],
    );
    let states: Vec<(String,)> = copy.rows("select state from root_keys").await;
    assert_eq!(states, [("primary".to_owned(),)]);
}

#[tokio::test]
async fn what_can_be_had_back_is_had_back_if_that_is_wanted() {
    let (lost, logins, sids) = populated().await;
    let key = key_file(&lost, "recovery.key");
    let new = restored_elsewhere(&lost);
    let database = new.database().await;
    database
        .execute(
            "update account_keys set recovery_copy = decode('00', 'hex')
            where account_sid = (select account_sid from accounts order by created_at limit 1)",
        )
        .await;
    let ended = run(new.command(&[
        "recovery",
        "restore",
        "--incomplete",
        "--key-file",
        &key,
        "--format",
        "json",
    ]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let restored = ended.json();
    assert_eq!((&restored["account_keys"], &restored["opened"]), (&json!(1), &json!(1)));
    assert_eq!(restored["left_behind"][0]["account_sid"], logins[0].sid.as_str());
    let findings = restored["findings"].as_array().unwrap();
    let of_credentials = findings.iter().filter(|finding| finding["credential_sid"].is_string());
    assert_eq!(of_credentials.count(), 1, "{restored}");

    let service = new.serve();
    assert_eq!(service.caller(&logins[1]).fetch(&sids[1]).await.status, 200);
    service.stop();
    // The old root key is still needed for what was left behind, so it does not retire.
    let states: Vec<(String,)> = database.rows("select state from root_keys order by created_at").await;
    assert_eq!(states[0].0, "previous");
}
