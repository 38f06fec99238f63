//! Who is more thorough: checkpoints that somebody else signed, and hashes that were written anew.

use pushvault::trail::{Checkpoint, ExportFormat, Problem, Tree};
use pushvault_crypto::SigningKey;

use super::{LEAF, by_sql, event_at, export, first, key_of, leaves, record, seal, sealed_trail, verify, verify_lines};
use crate::harness::TestApp;

/// A checkpoint of this size under the name of the vault, by somebody else.
fn forged(app: &TestApp, size: u64) -> Checkpoint {
    let mut tree = Tree::empty();
    for _ in 0..size {
        tree.push(pushvault::trail::Hash([7; 32])).unwrap();
    }
    Checkpoint::sign(key_of(app).name(), &SigningKey::generate().unwrap(), &tree).unwrap()
}

#[tokio::test]
async fn a_forged_checkpoint_is_named_from_elsewhere_and_in_the_database() {
    let app = sealed_trail().await;
    let size = seal(&app).size();
    let forged = forged(&app, size);
    let problem = Problem::Signature { size };
    let report = verify(&app, std::slice::from_ref(&forged));
    assert_eq!(first(&report.verdict.findings).problem, problem);
    let lines = export(&app, None, ExportFormat::Jsonl);
    let offline = verify_lines(&lines, std::slice::from_ref(&forged), &key_of(&app)).unwrap();
    assert_eq!(first(&offline.verdict.findings).problem, problem);

    let note = forged.note();
    by_sql(
        &app,
        &format!("update audit_checkpoints set note = '{note}' where tree_size = {size}"),
    )
    .await;
    let report = verify(&app, &[]);
    assert_eq!(first(&report.verdict.findings).problem, problem);
    let offline = verify_lines(&export(&app, None, ExportFormat::Jsonl), &[], &key_of(&app)).unwrap();
    assert_eq!(first(&offline.verdict.findings).problem, problem);
}

/// Writes the hash of a leaf, and all above it, as they would be if the event had always been what it is now.
async fn rehash(app: &TestApp) {
    let lines = export(app, None, ExportFormat::Jsonl);
    let mut tree = Tree::empty();
    let mut statements = String::new();
    for line in &lines {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(event) = line.get("event") else { continue };
        let leaf = pushvault::trail::Leaf {
            authenticity: serde_json::from_value(line["authenticity"].clone()).unwrap(),
            account_sid: String::new(),
            event_sid: String::new(),
            event: Some(serde_json::from_value(event.clone()).unwrap()),
        };
        for (position, hash) in tree.push(leaf.hash().unwrap()).unwrap() {
            let hash = data_encoding::HEXLOWER.encode(&hash.0);
            let statement = format!(r"update audit_hashes set hash = '\x{hash}' where position = {position};");
            statements.push_str(&statement);
        }
    }
    by_sql(app, &statements).await;
}

#[tokio::test]
async fn an_event_that_was_edited_with_all_its_hashes_is_named_by_its_mac() {
    let app = sealed_trail().await;
    let victim = event_at(&app, LEAF).await;
    by_sql(
        &app,
        &format!("update audit_events set action = 'credential.fetch' where event_sid = '{victim}'"),
    )
    .await;
    rehash(&app).await;
    let report = verify(&app, &[]);
    let found = first(&report.verdict.findings);
    assert_eq!(
        (found.event_sid.as_ref(), &found.problem),
        (Some(&victim), &Problem::Altered)
    );
}

#[tokio::test]
async fn a_time_that_was_edited_with_all_its_hashes_is_narrowed_down_by_the_checkpoints() {
    let app = sealed_trail().await;
    let fits = leaves(&app).await;
    record(&app, "a").await;
    let size = seal(&app).size();
    let victim = event_at(&app, fits).await;
    by_sql(
        &app,
        &format!("update audit_events set occurred_at = now() where event_sid = '{victim}'"),
    )
    .await;
    rehash(&app).await;
    let report = verify(&app, &[]);
    let fits = u64::try_from(fits).unwrap();
    let found = first(&report.verdict.findings);
    assert_eq!(
        (found.leaf, &found.problem),
        (Some(fits), &Problem::Forked { fits, size })
    );
    // By more than clocks differ.
    let moved = "occurred_at = occurred_at + interval '6 minutes'";
    by_sql(
        &app,
        &format!("update audit_events set {moved} where event_sid = '{victim}'"),
    )
    .await;
    rehash(&app).await;
    let report = verify(&app, &[]);
    let found = first(&report.verdict.findings);
    assert_eq!(
        (found.event_sid.as_ref(), &found.problem),
        (Some(&victim), &Problem::Untimely)
    );
}

#[tokio::test]
async fn a_hash_that_was_edited_is_named() {
    let app = sealed_trail().await;
    // A leaf's own hash is held against its event first; one of two leaves together is known from the second of them on.
    for (position, leaf, problem) in [(0, 0, Problem::Changed), (2, 1, Problem::Hash)] {
        by_sql(
            &app,
            &format!(
                r"create table kept as select * from audit_hashes where position = {position};
            update audit_hashes set hash = decode(repeat('00', 32), 'hex') where position = {position}"
            ),
        )
        .await;
        let report = verify(&app, &[]);
        let found = first(&report.verdict.findings);
        assert_eq!((found.leaf, &found.problem), (Some(leaf), &problem), "{position}");
        by_sql(&app, "update audit_hashes set hash = kept.hash from kept where kept.position = audit_hashes.position; drop table kept").await;
    }
    assert!(verify(&app, &[]).verdict.is_whole());
}
