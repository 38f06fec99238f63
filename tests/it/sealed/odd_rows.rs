//! Rows that no release ever wrote, put there by the owner of the tables: they are named, they stop nobody, and nobody looks
//! through what is not there.

use std::time::Duration;

use pushvault::trail::{ExportFormat, Finding, Problem};

use super::sealing::{as_after_an_upgrade, authenticities, keep_from_sealing, let_seal, record_without_mac};
use super::{by_sql, event_at, export, first, key_of, leaves, record, seal, sealed_trail, verify, verify_lines};
use crate::harness::TestApp;

/// What is found within a time that is too short to look through leaves that are not there.
fn problems(app: &TestApp) -> Vec<(Option<u64>, Problem)> {
    let report = app
        .replica(|vault| async move { tokio::time::timeout(Duration::from_secs(30), vault.verify_trail(&[])).await })
        .expect("it ends")
        .unwrap();
    let findings = report.verdict.findings.into_iter();
    findings.map(|found| (found.leaf, found.problem)).collect()
}

#[tokio::test]
async fn a_leaf_that_is_said_to_be_far_away_is_named_and_what_is_between_is_not_looked_for() {
    for far in [1_000_000_000_000, 1 << 61, i64::MAX] {
        let app = sealed_trail().await;
        let next = u64::try_from(leaves(&app).await).unwrap();
        by_sql(
            &app,
            &format!("insert into audit_leaves values ({far}, 'AC', 'AE', 'authentic')"),
        )
        .await;
        let found = problems(&app);
        assert_eq!(
            found.first().unwrap(),
            &(Some(next), Problem::LeafGone),
            "{far}: {found:?}"
        );
    }
}

#[tokio::test]
async fn leaves_that_are_gone_leave_those_after_them_to_be_verified() {
    let app = sealed_trail().await;
    for _ in 0..3 {
        record(&app, "a").await;
    }
    seal(&app);
    let victim = event_at(&app, leaves(&app).await - 1).await;
    by_sql(
        &app,
        &format!(
            "delete from audit_leaves where leaf_index between 2 and 4;
            update audit_events set user_agent = 'edited' where event_sid = '{victim}'"
        ),
    )
    .await;
    let report = verify(&app, &[]);
    let found: Vec<_> = report
        .verdict
        .findings
        .iter()
        .map(|found| (found.leaf, &found.problem))
        .collect();
    let gone = [2, 3, 4].map(|leaf| (Some(leaf), &Problem::LeafGone));
    assert_eq!(found[..3], gone, "{found:?}");
    assert!(found.contains(&(Some(8), &Problem::Changed)), "{found:?}");
}

/// A copy of the newest checkpoint that is said to cover so many leaves.
fn enlarged(size: u64) -> String {
    format!(
        "insert into audit_checkpoints select {size}, root_hash,
            replace(note, E'\\n' || tree_size || E'\\n', E'\\n{size}\\n')
        from audit_checkpoints order by tree_size desc limit 1"
    )
}

#[tokio::test]
async fn a_forged_checkpoint_of_any_size_is_named_and_an_export_ends_with_the_one_that_is_signed() {
    for size in [1_000_000_000_000, (1 << 61) + 1] {
        let app = sealed_trail().await;
        let newest = seal(&app);
        by_sql(&app, &enlarged(size)).await;
        let found = problems(&app);
        assert!(
            found.contains(&(Some(size - 1), Problem::Signature { size })),
            "{found:?}"
        );

        let mut lines = export(&app, None, ExportFormat::Jsonl);
        let verdict = verify_lines(&lines, &[], &key_of(&app)).unwrap().verdict;
        assert_eq!(first(&verdict.findings).problem, Problem::Signature { size });
        assert_eq!(verdict.count, 1, "{verdict:?}");
        lines.pop();
        assert_eq!(u64::try_from(lines.len()).unwrap(), newest.size() + 2);
        let whole = verify_lines(&lines, &[newest], &key_of(&app)).unwrap().verdict;
        assert!(whole.is_whole(), "{whole:?}");
    }
}

#[tokio::test]
async fn an_event_that_only_a_forged_checkpoint_covers_is_stray_in_the_export() {
    let app = sealed_trail().await;
    let (newest, of) = (seal(&app), event_at(&app, 3).await);
    by_sql(
        &app,
        &format!(
            "{}; insert into audit_leaves select {}, account_sid, event_sid, 'authentic' from audit_events
            where event_sid = '{}'; {}",
            super::insertion(&of),
            newest.size(),
            super::MADE_UP,
            enlarged(newest.size() + 1),
        ),
    )
    .await;
    let lines = export(&app, None, ExportFormat::Jsonl);
    let verdict = verify_lines(&lines, &[], &key_of(&app)).unwrap().verdict;
    let is_named =
        |found: &Finding| found.problem == Problem::Stray && found.event_sid.as_deref() == Some(super::MADE_UP);
    assert!(verdict.findings.iter().any(is_named), "{verdict:?}");
}

#[tokio::test]
async fn tables_that_were_emptied_are_named_also_when_new_events_come() {
    let app = sealed_trail().await;
    let emptied = super::TABLES.map(|table| format!("delete from {table};")).concat();
    by_sql(&app, &emptied).await;
    assert_eq!(problems(&app), [(Some(0), Problem::NoBeginning)]);
    record(&app, "a").await;
    app.replica(|vault| async move { vault.seal().await }).unwrap();
    assert_eq!(problems(&app), [(Some(0), Problem::NoBeginning)]);
    let lines = export(&app, None, ExportFormat::Jsonl);
    let verdict = verify_lines(&lines, &[], &key_of(&app)).unwrap().verdict;
    assert_eq!(first(&verdict.findings).problem, Problem::NoBeginning);
}

#[tokio::test]
async fn rows_that_no_program_can_read_are_named_and_stop_nobody() {
    let app = sealed_trail().await;
    let victim = event_at(&app, 3).await;
    by_sql(
        &app,
        "alter table audit_events drop constraint audit_events_time_can_be;
        alter table audit_events alter column occurred_at drop not null, alter column actor_type drop not null,
            alter column action drop not null, alter column outcome drop not null,
            alter column changed_fields drop not null;
        alter table audit_leaves drop constraint audit_leaves_authenticity_known",
    )
    .await;
    for (edit, problem) in [
        ("occurred_at = 'infinity'", Problem::Changed),
        ("occurred_at = '-infinity'", Problem::Changed),
        ("occurred_at = '250000-01-01'", Problem::Changed),
        ("before = '{\"x\": 1e999}'", Problem::Changed),
        ("changed_fields = '{NULL}'", Problem::Changed),
        ("changed_fields = '{{a},{b}}'", Problem::Changed),
        ("changed_fields = null", Problem::Changed),
        ("action = null, outcome = null, actor_type = null", Problem::Changed),
        ("occurred_at = null", Problem::Changed),
    ] {
        by_sql(
            &app,
            &format!("update audit_events set {edit} where event_sid = '{victim}'"),
        )
        .await;
        let report = verify(&app, &[]);
        let found = first(&report.verdict.findings);
        assert_eq!(
            (found.event_sid.as_ref(), &found.problem),
            (Some(&victim), &problem),
            "{edit}"
        );
    }
    for edit in [
        "occurred_at = 'infinity'",
        "after = '{\"x\": 1e999}'",
        "changed_fields = '{NULL}'",
    ] {
        let turn = keep_from_sealing(&app).await;
        record(&app, "a").await;
        let waiting = "(select event_sid from audit_unsealed)";
        by_sql(
            &app,
            &format!("update audit_events set {edit} where event_sid in {waiting}"),
        )
        .await;
        let_seal(turn).await;
        seal(&app);
        assert_eq!(authenticities(&app).await.last().unwrap(), "forged", "{edit}");
    }
}

#[tokio::test]
async fn a_time_that_no_calendar_goes_beyond_stops_neither_the_sealer_nor_who_verifies() {
    let mut app = sealed_trail().await;
    let turn = keep_from_sealing(&app).await;
    as_after_an_upgrade(&app).await;
    let_seal(turn).await;
    app.restart();
    record(&app, "a").await;
    seal(&app);
    by_sql(
        &app,
        "alter table audit_events drop constraint audit_events_time_can_be;
        update audit_events set occurred_at = 'infinity', written_at = 'infinity' where mac is not null",
    )
    .await;
    record_without_mac(&app, 1).await;
    app.vault(|vault| async move { vault.seal().await }).unwrap();
    assert!(problems(&app).iter().any(|(_, problem)| *problem == Problem::Changed));
    let lines = export(&app, None, ExportFormat::Jsonl);
    assert!(!verify_lines(&lines, &[], &key_of(&app)).unwrap().verdict.is_whole());
}

#[tokio::test]
async fn leaves_and_prunings_below_the_first_stop_nobody() {
    let app = sealed_trail().await;
    by_sql(
        &app,
        "alter table audit_leaves drop constraint audit_leaves_index_not_negative;
        insert into audit_prunings (tree_size, hashes_below, event_sid) values (-1, 0, 'AE');
        insert into audit_events (account_sid, event_sid, actor_type, action, outcome)
            values ('AC00000000000000000000000000000000', 'AE00000000000000000000000000000001', 'operator', 'recovery.restore', 'success');
        insert into audit_leaves select -1, account_sid, event_sid, 'authentic' from audit_events where event_sid = 'AE00000000000000000000000000000001'",
    )
    .await;
    record(&app, "a").await;
    app.replica(|vault| async move { vault.seal().await }).unwrap();
    assert_eq!(problems(&app), [(None, Problem::Stray)]);
    let lines = export(&app, None, ExportFormat::Jsonl);
    let verdict = verify_lines(&lines, &[], &key_of(&app)).unwrap().verdict;
    assert_eq!(first(&verdict.findings).problem, Problem::Stray);
}

#[tokio::test]
async fn columns_that_hold_nothing_are_named_and_stop_nobody() {
    for (table, column, place) in [
        ("audit_leaves", "account_sid", "leaf_index = 2"),
        ("audit_leaves", "event_sid", "leaf_index = 2"),
        ("audit_leaves", "authenticity", "leaf_index = 2"),
        ("audit_hashes", "hash", "position = 3"),
        ("audit_checkpoints", "note", "tree_size = 6"),
    ] {
        let app = sealed_trail().await;
        for constraint in ["audit_leaves_authenticity_known", "audit_leaves_once"] {
            let dropped = format!("alter table audit_leaves drop constraint {constraint}");
            by_sql(&app, &dropped).await;
        }
        by_sql(
            &app,
            &format!(
                "alter table {table} alter column {column} drop not null;
                update {table} set {column} = null where {place}"
            ),
        )
        .await;
        let found = problems(&app);
        assert!(!found.is_empty(), "{table}.{column}");
    }
}
