//! What the owner of the tables can do to the trail, and that it is noticed: in the database, and offline in an export.

use pushvault::trail::{Checkpoint, ExportFormat, Problem};
use sqlx::Row as _;

use super::{
    LEAF, MADE_UP, by_sql, event_at, export, first, insertion, keep_tables, key_of, leaves, record, restore_tables,
    seal, sealed_trail, verify, verify_lines,
};
use crate::harness::TestApp;

/// Verifies in the database and, by an export and the checkpoint from before, without it; both name this event first.
fn both_name(app: &TestApp, checkpoint: &Checkpoint, leaf: i64, event_sid: &str, problem: &Problem) {
    let report = verify(app, std::slice::from_ref(checkpoint));
    let found = first(&report.verdict.findings);
    assert_eq!(found.event_sid.as_deref(), Some(event_sid), "{:?}", report.verdict);
    assert_eq!((found.leaf, &found.problem), (Some(leaf.try_into().unwrap()), problem));

    for format in [ExportFormat::Jsonl, ExportFormat::Ocsf] {
        let lines = export(app, None, format);
        let found = verify_lines(&lines, std::slice::from_ref(checkpoint), &key_of(app)).unwrap();
        let found = first(&found.verdict.findings);
        assert_eq!(found.event_sid.as_deref(), Some(event_sid), "{format:?}: {found:?}");
        assert_eq!(&found.problem, problem, "{format:?}");
    }
}

#[tokio::test]
async fn a_trail_that_nobody_touched_is_whole() {
    let app = sealed_trail().await;
    let checkpoint = seal(&app);
    let report = verify(&app, std::slice::from_ref(&checkpoint));
    assert!(report.verdict.is_whole(), "{:?}", report.verdict);
    // The root key, two accounts, three credentials.
    assert_eq!((report.verdict.checked, report.verdict.unsigned), (6, 0));
    assert_eq!(report.verdict.fits, 6);
    let lines = export(&app, None, ExportFormat::Jsonl);
    let found = verify_lines(&lines, &[checkpoint], &key_of(&app)).unwrap();
    assert!(found.verdict.is_whole(), "{:?}", found.verdict);
    assert_eq!(found.verdict.checked, 6);
}

#[tokio::test]
async fn an_edit_of_any_column_of_any_event_is_named() {
    let app = sealed_trail().await;
    let checkpoint = seal(&app);
    // The last of the creates: a value for every column.
    let victim = event_at(&app, leaves(&app).await - 1).await;
    let columns = sqlx::query(
        "select column_name, udt_name from information_schema.columns where table_name = 'audit_events'
        and table_schema = current_schema() order by ordinal_position",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    let mut edited = 0;
    for column in columns {
        let (name, kind): (String, String) = (column.get(0), column.get(1));
        let value = match (name.as_str(), kind.as_str()) {
            // Who changes these puts another event in its place: it is gone.
            ("account_sid" | "event_sid", _) => continue,
            ("outcome", _) => "'failed', error_code = 20001".to_owned(),
            ("error_code", _) => "20001, outcome = 'failed'".to_owned(),
            ("actor_type", _) => "'operator'".to_owned(),
            ("mac_key_id", _) => "null".to_owned(),
            (_, "text") => "'edited'".to_owned(),
            (_, "timestamptz") => format!("{name} - interval '1 microsecond'"),
            (_, "inet") => "'192.0.2.1'".to_owned(),
            (_, "int4") => "7".to_owned(),
            (_, "jsonb") => r#"'{"sandbox": true}'"#.to_owned(),
            (_, "_text") => "'{Certificate}'".to_owned(),
            (_, "bytea") => r"'\x00'".to_owned(),
            other => panic!("say what an edit of {other:?} is"),
        };
        by_sql(
            &app,
            &format!("create table kept as select * from audit_events where event_sid = '{victim}'"),
        )
        .await;
        by_sql(
            &app,
            &format!("update audit_events set {name} = {value} where event_sid = '{victim}'"),
        )
        .await;

        let report = verify(&app, std::slice::from_ref(&checkpoint));
        let found = first(&report.verdict.findings);
        assert_eq!(found.event_sid.as_ref(), Some(&victim), "{name}");
        let expected = if name.starts_with("mac") {
            Problem::Altered
        } else {
            Problem::Changed
        };
        assert_eq!((&found.problem, report.verdict.count), (&expected, 1), "{name}");

        by_sql(
            &app,
            &format!(
                "delete from audit_events where event_sid = '{victim}'; insert into audit_events select * from kept;
                drop table kept"
            ),
        )
        .await;
        edited += 1;
    }
    assert!(edited > 15, "{edited} columns");
    assert!(verify(&app, &[checkpoint]).verdict.is_whole());
}

#[tokio::test]
async fn an_edited_event_is_named() {
    let app = sealed_trail().await;
    let checkpoint = seal(&app);
    let victim = event_at(&app, LEAF).await;
    by_sql(
        &app,
        &format!("update audit_events set actor_sid = 'somebody' where event_sid = '{victim}'"),
    )
    .await;
    both_name(&app, &checkpoint, LEAF, &victim, &Problem::Changed);
}

#[tokio::test]
async fn a_deleted_row_is_named() {
    let app = sealed_trail().await;
    let checkpoint = seal(&app);
    let victim = event_at(&app, LEAF).await;
    by_sql(&app, &format!("delete from audit_events where event_sid = '{victim}'")).await;
    both_name(&app, &checkpoint, LEAF, &victim, &Problem::Removed);
}

#[tokio::test]
async fn two_rows_that_were_swapped_are_named() {
    let app = sealed_trail().await;
    let checkpoint = seal(&app);
    let (one, other) = (event_at(&app, LEAF).await, event_at(&app, LEAF + 1).await);
    // Each stands under the other's name.
    by_sql(
        &app,
        &format!(
            "update audit_events set account_sid = case event_sid
                when '{one}' then (select account_sid from audit_events where event_sid = '{other}')
                else (select account_sid from audit_events where event_sid = '{one}') end,
                event_sid = case event_sid when '{one}' then '{other}x' else '{one}x' end
            where event_sid in ('{one}', '{other}')"
        )
        .replace("x'", "'")
        .replace(
            "update audit_events",
            "alter table audit_events drop constraint audit_events_pkey; update audit_events",
        ),
    )
    .await;
    both_name(&app, &checkpoint, LEAF, &one, &Problem::Changed);
}

#[tokio::test]
async fn two_leaves_that_were_swapped_are_named() {
    let app = sealed_trail().await;
    let checkpoint = seal(&app);
    by_sql(
        &app,
        &format!(
            "update audit_leaves set leaf_index = -leaf_index - 100 where leaf_index in ({LEAF}, {LEAF} + 1);
            update audit_leaves set leaf_index = case leaf_index
                when -{LEAF} - 100 then {LEAF} + 1 else {LEAF} end where leaf_index < 0"
        )
        .replace(
            "update audit_leaves set leaf_index = -leaf_index",
            "alter table audit_leaves drop constraint audit_leaves_index_not_negative;
            update audit_leaves set leaf_index = -leaf_index",
        ),
    )
    .await;
    let there_now = event_at(&app, LEAF).await;
    both_name(&app, &checkpoint, LEAF, &there_now, &Problem::Changed);
}

#[tokio::test]
async fn a_row_that_was_inserted_is_named_when_it_is_sealed() {
    let app = sealed_trail().await;
    let checkpoint = seal(&app);
    let next = leaves(&app).await;
    let of = event_at(&app, LEAF).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(insertion(&of)))
        .execute(&app.pool)
        .await
        .unwrap();
    seal(&app);
    both_name(&app, &checkpoint, next, MADE_UP, &Problem::Forged);
}

#[tokio::test]
async fn a_row_that_was_inserted_without_a_mac_is_named_too() {
    let app = sealed_trail().await;
    let of = event_at(&app, LEAF).await;
    let insertion = insertion(&of).replace("}'", r#", "mac": null, "mac_key_id": null}'"#);
    sqlx::raw_sql(sqlx::AssertSqlSafe(insertion))
        .execute(&app.pool)
        .await
        .unwrap();
    let report = verify(&app, &[]);
    assert_eq!(first(&report.verdict.findings).problem, Problem::Forged);
}

#[tokio::test]
async fn a_row_that_was_inserted_past_the_triggers_is_named() {
    let app = sealed_trail().await;
    let checkpoint = seal(&app);
    let of = event_at(&app, LEAF).await;
    by_sql(&app, &insertion(&of)).await;
    let report = verify(&app, std::slice::from_ref(&checkpoint));
    let found = first(&report.verdict.findings);
    assert_eq!((&found.problem, found.leaf), (&Problem::Stray, None));
    assert_eq!(found.event_sid, Some(MADE_UP.to_owned()));
    let lines = export(&app, None, ExportFormat::Jsonl);
    let offline = verify_lines(&lines, &[checkpoint], &key_of(&app)).unwrap();
    assert_eq!(first(&offline.verdict.findings), found);
}

/// Takes everything away from this leaf on, as if it had never been.
fn truncation(from: i64) -> String {
    let hashes = pushvault::trail::hashes_before(from.try_into().unwrap());
    format!(
        "delete from audit_events using audit_leaves where audit_leaves.event_sid = audit_events.event_sid
            and leaf_index >= {from};
        delete from audit_leaves where leaf_index >= {from};
        delete from audit_hashes where position >= {hashes};
        delete from audit_checkpoints where tree_size > {from}"
    )
}

#[tokio::test]
async fn a_tail_that_was_cut_off_everywhere_is_named_by_a_checkpoint_that_was_kept() {
    let app = sealed_trail().await;
    let before = leaves(&app).await;
    record(&app, "b").await;
    let kept = seal(&app);
    by_sql(&app, &truncation(before)).await;

    // Without what was kept elsewhere it cannot be seen: that is what it is kept for.
    assert!(verify(&app, &[]).verdict.is_whole());
    let report = verify(&app, std::slice::from_ref(&kept));
    let (size, there) = (kept.size(), u64::try_from(before).unwrap());
    let found = first(&report.verdict.findings);
    assert_eq!(
        (found.leaf, &found.problem),
        (Some(there), &Problem::CutOff { size, there })
    );
    let lines = export(&app, None, ExportFormat::Jsonl);
    let offline = verify_lines(&lines, &[kept], &key_of(&app)).unwrap();
    assert_eq!(first(&offline.verdict.findings), found);
}

#[tokio::test]
async fn a_tail_of_events_alone_is_named_without_anything_kept() {
    let app = sealed_trail().await;
    let last = leaves(&app).await - 1;
    let victim = event_at(&app, last).await;
    by_sql(&app, &format!("delete from audit_events where event_sid = '{victim}'")).await;
    let report = verify(&app, &[]);
    let found = first(&report.verdict.findings);
    assert_eq!(
        (found.event_sid.as_ref(), &found.problem),
        (Some(&victim), &Problem::Removed)
    );
}

#[tokio::test]
async fn tables_restored_from_yesterday_are_named_and_the_service_that_runs_notices_itself() {
    let app = sealed_trail().await;
    let yesterday = leaves(&app).await;
    keep_tables(&app).await;
    record(&app, "a").await;
    record(&app, "b").await;
    let kept = seal(&app);
    restore_tables(&app).await;

    let there = u64::try_from(yesterday).unwrap();
    let report = verify(&app, std::slice::from_ref(&kept));
    let found = first(&report.verdict.findings);
    assert_eq!(
        found.problem,
        Problem::CutOff {
            size: kept.size(),
            there
        }
    );
    assert_eq!(found.leaf, Some(there));

    // The service that sealed more than is there does not go on as if nothing had been.
    record(&app, "a").await;
    let refusal = app
        .vault(|vault| async move { vault.seal().await })
        .err()
        .unwrap()
        .to_string();
    assert!(refusal.contains("shorter than it was"), "{refusal}");

    // One that has just begun knows of nothing, and seals on; the checkpoint from before does not fit what comes of it.
    for _ in 0..3 {
        record(&app, "b").await;
    }
    let report = verify(&app, std::slice::from_ref(&kept));
    assert!(report.unsealed.is_none(), "{:?}", report.unsealed);
    let found = first(&report.verdict.findings);
    assert_eq!(
        found.problem,
        Problem::Forked {
            fits: there,
            size: kept.size()
        }
    );
}
