//! Who knows how the trail is made: what was added past the last checkpoint, judges that were misled for a second, rows that
//! no program can read.

use pushvault::trail::{Checkpoint, ExportFormat, Leaf, Problem, Tree};
use pushvault_crypto::SigningKey;
use serde_json::{Value, json};
use sqlx::Row as _;

use super::sealing::{authenticities, record_without_mac};
use super::{by_sql, event_at, export, first, keep_tables, key_of, leaves, record, restore_tables, seal, sealed_trail};
use super::{verify, verify_lines};
use crate::harness::TestApp;
use crate::process::wait_until;

/// The hashes that a tree has by one more leaf, as SQL that stores them.
fn with_leaf(app: &TestApp, leaf: &Leaf) -> (Tree, String) {
    let mut tree = Tree::empty();
    for line in export(app, None, ExportFormat::Jsonl) {
        let line: Value = serde_json::from_str(&line).unwrap();
        if let Some(hash) = line["hash"].as_str() {
            tree.push(pushvault::trail::Hash::parse_hash(hash).unwrap()).unwrap();
        }
    }
    let stored = tree.push(leaf.hash().unwrap()).unwrap();
    let rows: Vec<_> = stored
        .iter()
        .map(|(position, hash)| format!(r"({position}, '\x{}')", data_encoding::HEXLOWER.encode(&hash.0)))
        .collect();
    (
        tree,
        format!("insert into audit_hashes (position, hash) values {};", rows.join(", ")),
    )
}

/// Adds an event that never was as a leaf past the last checkpoint; answers the tree with it.
async fn add_a_leaf(app: &TestApp) -> Tree {
    let like = event_at(app, 2).await;
    let made_up = format!("AE{}", "f".repeat(32));
    let index = leaves(app).await;
    by_sql(
        app,
        &format!(
            "insert into audit_events select * from (
                select (jsonb_populate_record(audit_events,
                    '{{\"event_sid\": \"{made_up}\", \"mac_key_id\": \"x\"}}')).* from audit_events
                where event_sid = '{like}'
            ) as copied;
            insert into audit_leaves select {index}, account_sid, event_sid, 'authentic' from audit_events
                where event_sid = '{made_up}'"
        ),
    )
    .await;
    let row = sqlx::query("select account_sid, occurred_at from audit_events where event_sid = $1")
        .bind(&made_up)
        .fetch_one(&app.pool)
        .await
        .unwrap();
    let copied = export(app, None, ExportFormat::Jsonl)[3].clone();
    let mut event: Value = serde_json::from_str::<Value>(&copied).unwrap()["event"].clone();
    event["event_sid"] = json!(made_up);
    let leaf = Leaf {
        authenticity: pushvault::trail::Authenticity::Authentic,
        account_sid: row.get(0),
        event_sid: made_up,
        event: Some(serde_json::from_value(event).unwrap()),
    };
    let (tree, hashes) = with_leaf(app, &leaf);
    by_sql(app, &hashes).await;
    tree
}

#[tokio::test]
async fn a_leaf_past_the_last_checkpoint_is_named_in_the_database() {
    let app = sealed_trail().await;
    let covered = seal(&app).size();
    add_a_leaf(&app).await;
    let report = verify(&app, &[]);
    let problems: Vec<_> = report.verdict.findings.iter().map(|found| &found.problem).collect();
    // Its MAC is by a key that never was, nobody has signed it, and it is in no tree.
    assert_eq!(
        problems,
        [&Problem::Altered, &Problem::Uncovered { covered }, &Problem::Stray]
    );
}

#[tokio::test]
async fn a_checkpoint_by_a_key_of_ones_own_is_named_and_not_built_upon() {
    let app = sealed_trail().await;
    let tree = add_a_leaf(&app).await;
    let own = SigningKey::generate().unwrap();
    let forged = Checkpoint::sign(key_of(&app).name(), &own, &tree).unwrap();
    let (size, root) = (tree.size(), data_encoding::HEXLOWER.encode(&forged.root().0));
    let public = data_encoding::HEXLOWER.encode(own.public_key().as_bytes());
    by_sql(
        &app,
        &format!(
            r"insert into signing_keys (key_id, public_key, kek_id, wrapped_key, state)
                select 'own', '\x{public}', kek_id, '', 'retired' from signing_keys limit 1;
            insert into audit_checkpoints (tree_size, root_hash, note) values ({size}, '\x{root}', '{}')",
            forged.note()
        ),
    )
    .await;
    record(&app, "a").await;

    let refusal = app
        .replica(|vault| async move { vault.seal().await })
        .err()
        .unwrap()
        .to_string();
    assert!(refusal.contains("not signed by the vault's key"), "{refusal}");
    let report = verify(&app, &[]);
    assert!(report.unsealed.is_some());
    let signature = Problem::Signature { size };
    assert!(
        report.verdict.findings.iter().any(|found| found.problem == signature),
        "{:?}",
        report.verdict
    );
}

#[tokio::test]
async fn lines_past_the_checkpoint_of_an_export_are_named() {
    let app = sealed_trail().await;
    let kept = seal(&app);
    let whole = export(&app, None, ExportFormat::Jsonl);
    let mut leaf: Value = serde_json::from_str(&whole[3]).unwrap();
    let event = serde_json::from_value(leaf["event"].clone()).unwrap();
    let hash = Leaf {
        authenticity: pushvault::trail::Authenticity::Authentic,
        account_sid: String::new(),
        event_sid: String::new(),
        event: Some(event),
    };
    leaf["leaf"] = json!(kept.size());
    leaf["hash"] = json!(hash.hash().unwrap().to_string());
    let mut lines = whole.clone();
    lines.push(leaf.to_string());
    let found = verify_lines(&lines, std::slice::from_ref(&kept), &key_of(&app)).unwrap();
    let covered = kept.size();
    assert_eq!(first(&found.verdict.findings).problem, Problem::Uncovered { covered });
}

#[tokio::test]
async fn an_event_without_a_mac_is_named_although_the_sealer_was_misled() {
    let app = sealed_trail().await;
    // For a second no event is one of this key.
    by_sql(
        &app,
        "update audit_events set mac_key_id = 'x' where mac_key_id is not null",
    )
    .await;
    record_without_mac(&app, 1).await;
    seal(&app);
    let key = key_of(&app).id();
    by_sql(
        &app,
        &format!("update audit_events set mac_key_id = '{key}' where mac_key_id is not null"),
    )
    .await;

    assert_eq!(authenticities(&app).await.last().unwrap(), "unsigned");
    let report = verify(&app, &[]);
    assert_eq!(
        first(&report.verdict.findings).problem,
        Problem::Unsigned,
        "{:?}",
        report.verdict
    );
    assert_eq!(report.verdict.count, 1);
}

#[tokio::test]
async fn a_replica_that_never_sealed_notices_too_that_the_trail_is_another_one() {
    let app = sealed_trail().await;
    let replica = app.another(|_| {});
    keep_tables(&app).await;
    record(&app, "a").await;
    let size = i64::try_from(seal(&app).size()).unwrap();
    let seen = async || replica.vault().metrics().audit_tree_size.get() == size;
    wait_until("the other replica has seen it", seen).await;
    // It looks at the checkpoint right after it measured.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    restore_tables(&app).await;
    record(&app, "a").await;
    let refused = replica.vault().metrics().audit_seal_failures.clone();
    let before = refused.get();
    wait_until("it refuses", async || refused.get() > before).await;
    assert_eq!(leaves(&app).await, size - 1);
}

#[tokio::test]
async fn what_stands_in_the_way_of_the_sealer_is_told_by_verify() {
    let app = sealed_trail().await;
    let next = pushvault::trail::hashes_before(seal(&app).size());
    by_sql(
        &app,
        &format!(r"insert into audit_hashes values ({next}, decode(repeat('00', 32), 'hex'))"),
    )
    .await;
    record(&app, "a").await;
    let report = verify(&app, &[]);
    assert!(report.unsealed.is_some(), "{:?}", report.verdict);
    let gone = "delete from audit_hashes where position = 0";
    by_sql(&app, gone).await;
    assert!(!verify(&app, &[]).verdict.is_whole());
    let far = "insert into audit_prunings (tree_size, hashes_below, event_sid) values (4611686018427387904, 1, 'AE')";
    by_sql(&app, far).await;
    assert!(!verify(&app, &[]).verdict.is_whole());
}
