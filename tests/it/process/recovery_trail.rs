//! The audit trail of a vault that was restored with another root key: keys that were lost are believed for what came before,
//! and no others.

use pushvault::trail::{Checkpoint, Hash, Tree, VerifierKey};
use pushvault_crypto::SigningKey;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::recovery::{key_file, populated, restored_elsewhere};
use super::support::Deployment;

fn printed(deployment: &Deployment, arguments: &[&str]) -> String {
    deployment.run(arguments).succeeded().stdout
}

/// The deployment that lives on elsewhere, with this root key.
fn restored(lost: &Deployment, root_key: u8, recovery_key: &str) -> Deployment {
    let new = restored_elsewhere(lost);
    new.write("root.key", [root_key; 32], 0o600);
    let told = new.json(&["recovery", "restore", "--key-file", recovery_key]);
    assert_eq!(told["findings"], json!([]));
    new
}

/// What `audit verify` finds beside checkpoints in these files.
fn verified(deployment: &Deployment, files: &[&str]) -> Value {
    let mut arguments = vec!["audit", "verify", "--format", "json"];
    let files = files.iter().map(|file| key_file(deployment, file));
    let files: Vec<_> = files.collect();
    for file in &files {
        arguments.extend(["--checkpoint", file]);
    }
    let ended = deployment.run(&arguments);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr))
}

#[tokio::test]
async fn the_trail_of_a_vault_that_was_restored_twice_is_whole_by_all_of_its_keys() {
    let (first, ..) = populated().await;
    let recovery_key = key_file(&first, "recovery.key");
    let before = printed(&first, &["audit", "checkpoint"]);
    let second = restored(&first, 8, &recovery_key);
    let between = printed(&second, &["audit", "checkpoint"]);
    let third = restored(&second, 9, &recovery_key);
    third.write("kept", before + &between, 0o600);
    let found = verified(&third, &["kept"]);
    assert_eq!(found["verified"], true, "{found}");

    // Whoever has the database says that another key was lost between the two.
    let own = SigningKey::generate().unwrap();
    let vaults = VerifierKey::parse(&printed(&third, &["audit", "key"])).unwrap();
    let owns = VerifierKey::new(vaults.name(), own.public_key());
    let database = third.database().await;
    database
        .execute(AssertSqlSafe(format!(
            "insert into audit_events select (jsonb_populate_record(first, jsonb_build_object(
                'event_sid', 'AE00000000000000000000000000000001', 'before', jsonb_build_object('signing_key', '{owns}'),
                'occurred_at', occurred_at + interval '1 millisecond'
            ))).* from audit_events as first
            where action = 'recovery.restore' and outcome = 'success' order by occurred_at limit 1"
        )))
        .await;
    let mut tree = Tree::empty();
    tree.push(Hash([7; 32])).unwrap();
    let forged = Checkpoint::sign(vaults.name(), &own, &tree).unwrap();
    third.write("forged", forged.note(), 0o600);
    let found = verified(&third, &["kept", "forged"]);
    let problems: Vec<_> = found["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["problem"])
        .collect();
    assert_eq!(problems.len(), 2, "{found}");
    assert!(
        problems[0]
            .as_str()
            .unwrap()
            .contains("is not signed by the vault's key"),
        "{found}"
    );
    assert!(
        problems[1].as_str().unwrap().contains("does not come from the vault"),
        "{found}"
    );
}

#[tokio::test]
async fn a_restore_that_is_said_to_be_later_than_it_was_takes_no_key_from_who_verifies() {
    let (first, ..) = populated().await;
    let recovery_key = key_file(&first, "recovery.key");
    let second = restored(&first, 8, &recovery_key);
    printed(&second, &["audit", "checkpoint"]);
    let third = restored(&second, 9, &recovery_key);
    printed(&third, &["audit", "checkpoint"]);
    let database = third.database().await;
    for statement in [
        "alter table audit_events disable trigger user",
        "update audit_events set occurred_at = now() + interval '1 second' where event_sid = (
            select event_sid from audit_events where action = 'recovery.restore' and outcome = 'success'
            order by occurred_at limit 1
        )",
        "alter table audit_events enable trigger user",
    ] {
        database.execute(statement).await;
    }
    let found = verified(&third, &[]);
    let problems = found["found"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{found}");
    assert!(
        problems[0]["problem"].as_str().unwrap().contains("it was edited"),
        "{found}"
    );
}

#[tokio::test]
async fn events_that_waited_when_the_root_key_was_lost_are_none_that_somebody_forged_however_many() {
    let (lost, ..) = populated().await;
    // More than are sealed at a time.
    let waiting = "insert into audit_events (account_sid, event_sid, actor_type, action, outcome)
        select 'AC00000000000000000000000000000000', 'AE' || md5(number::text), 'anonymous', 'x', 'success'
        from generate_series(1, 6000) as number";
    lost.database().await.execute(waiting).await;
    let new = restored(&lost, 8, &key_file(&lost, "recovery.key"));
    let found = verified(&new, &[]);
    assert_eq!(found["verified"], true, "{found}");
    assert!(found["without_mac"].as_u64().unwrap() >= 6000, "{found}");
}
