//! Events that are no leaf of the tree, hidden in rows that look as if they were; and a trail that grows while it is
//! verified, which looks as if it had been cut off.

use pushvault::trail::{ExportFormat, Finding, Problem};

use super::{
    MADE_UP, by_sql, event_at, export, first, insertion, keep_tables, key_of, now, record, restore_tables, seal,
    sealed_trail, verify, verify_lines,
};
use crate::harness::{TestApp, operator};

/// Cuts off everything, and records something new.
async fn pruned(app: &TestApp) {
    let time = now(app).await;
    app.vault(|vault| async move { vault.prune_trail(&operator(), time).await })
        .unwrap();
    record(app, "a").await;
    seal(app);
    assert!(verify(app, &[]).verdict.is_whole());
}

/// Adds a copy of an event with another SID, as this leaf.
async fn made_up_leaf(app: &TestApp, of: &str, index: i64) {
    let leaf = format!(
        "insert into audit_leaves select {index}, account_sid, event_sid, 'authentic' from audit_events
        where event_sid = '{MADE_UP}'"
    );
    by_sql(app, &format!("{}; {leaf}", insertion(of))).await;
}

fn assert_stray(app: &TestApp, sid: &str) {
    let report = verify(app, &[]);
    let found = first(&report.verdict.findings);
    assert_eq!(
        (&found.problem, found.event_sid.as_deref()),
        (&Problem::Stray, Some(sid)),
        "{:?}",
        report.verdict
    );
}

#[tokio::test]
async fn an_event_that_is_said_to_be_a_leaf_before_the_first_is_named() {
    let app = sealed_trail().await;
    by_sql(
        &app,
        "alter table audit_leaves drop constraint audit_leaves_index_not_negative",
    )
    .await;
    made_up_leaf(&app, &event_at(&app, 3).await, -1).await;
    assert_stray(&app, MADE_UP);
}

#[tokio::test]
async fn an_event_that_is_said_to_be_a_leaf_below_a_pruning_is_named() {
    let app = sealed_trail().await;
    let of = event_at(&app, 3).await;
    by_sql(
        &app,
        &format!("create table kept as select * from audit_events where event_sid = '{of}'"),
    )
    .await;
    pruned(&app).await;
    by_sql(
        &app,
        "insert into audit_events select * from kept;
        insert into audit_leaves select 2, account_sid, event_sid, 'authentic' from kept",
    )
    .await;
    assert_stray(&app, &of);
}

#[tokio::test]
async fn an_event_that_is_kept_waiting_for_ever_is_named() {
    let app = sealed_trail().await;
    let of = event_at(&app, 3).await;
    by_sql(
        &app,
        &format!(
            "create function keep_it() returns trigger language plpgsql as $$
            begin if old.event_sid = '{MADE_UP}' then return null; end if; return old; end $$;
            create trigger keep_it before delete on audit_unsealed for each row execute function keep_it()"
        ),
    )
    .await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(insertion(&of)))
        .execute(&app.pool)
        .await
        .unwrap();
    record(&app, "a").await;
    assert_stray(&app, MADE_UP);
}

/// Insists that an export names an event as one that is in no leaf.
fn assert_stray_in_export(app: &TestApp, sid: &str) {
    let lines = export(app, None, ExportFormat::Jsonl);
    let verdict = verify_lines(&lines, &[], &key_of(app)).unwrap().verdict;
    let is_named = |found: &Finding| found.problem == Problem::Stray && found.event_sid.as_deref() == Some(sid);
    assert!(verdict.findings.iter().any(is_named), "{verdict:?}");
}

#[tokio::test]
async fn an_event_that_is_kept_waiting_is_named_in_an_export_and_behind_any_number_of_others() {
    let app = sealed_trail().await;
    let of = event_at(&app, 3).await;
    by_sql(
        &app,
        "create function keep_it() returns trigger language plpgsql as $$ begin return null; end $$;
        create trigger keep_it before delete on audit_unsealed for each row execute function keep_it();
        insert into audit_unsealed select 'AC', 'AE' || number, '2200-01-01' from generate_series(1, 10000) as number",
    )
    .await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(insertion(&of)))
        .execute(&app.pool)
        .await
        .unwrap();
    sqlx::query("update audit_unsealed set recorded_at = '2201-01-01' where event_sid = $1")
        .bind(MADE_UP)
        .execute(&app.pool)
        .await
        .unwrap();
    let is_named = |found: &Finding| found.event_sid.as_deref() == Some(MADE_UP);
    let report = verify(&app, &[]);
    assert!(report.verdict.findings.iter().any(is_named), "{:?}", report.verdict);
    let lines = export(&app, None, ExportFormat::Jsonl);
    let verdict = verify_lines(&lines, &[], &key_of(&app)).unwrap().verdict;
    assert!(verdict.findings.iter().any(is_named), "{verdict:?}");
}

#[tokio::test]
async fn a_second_row_of_an_event_is_named() {
    let app = sealed_trail().await;
    let victim = event_at(&app, 3).await;
    by_sql(
        &app,
        &format!(
            "alter table audit_events drop constraint audit_events_pkey;
            create table kept as select * from audit_events where event_sid = '{victim}';
            update audit_events set action = 'account.destroy' where event_sid = '{victim}';
            insert into audit_events select * from kept"
        ),
    )
    .await;
    let report = verify(&app, &[]);
    let is_named = |found: &Finding| found.event_sid.as_ref() == Some(&victim);
    assert!(report.verdict.findings.iter().all(is_named), "{:?}", report.verdict);
    assert!(!report.verdict.is_whole());
    assert_stray_in_export(&app, &victim);
}

#[tokio::test]
async fn an_event_that_is_said_to_be_a_leaf_that_another_one_is_is_named() {
    for leaf in [3, 5] {
        let app = sealed_trail().await;
        by_sql(&app, "alter table audit_leaves drop constraint audit_leaves_pkey").await;
        made_up_leaf(&app, &event_at(&app, 3).await, leaf).await;
        let report = verify(&app, &[]);
        let is_named = |found: &Finding| found.event_sid.as_deref() == Some(MADE_UP);
        assert!(
            report.verdict.findings.iter().any(is_named),
            "{leaf}: {:?}",
            report.verdict
        );
        let lines = export(&app, None, ExportFormat::Jsonl);
        let verdict = verify_lines(&lines, &[], &key_of(&app)).unwrap().verdict;
        assert!(verdict.findings.iter().any(is_named), "{leaf}: {verdict:?}");
    }
}

#[tokio::test]
async fn the_first_bad_event_is_named_first_however_much_else_is_wrong() {
    let app = sealed_trail().await;
    let victim = event_at(&app, 2).await;
    by_sql(
        &app,
        &format!(
            "alter table audit_checkpoints drop constraint audit_checkpoints_pkey;
            insert into audit_checkpoints select 6, root_hash, 'none' from audit_checkpoints
                cross join generate_series(1, 150) limit 150;
            update audit_events set user_agent = 'edited' where event_sid = '{victim}'"
        ),
    )
    .await;
    let report = verify(&app, &[]);
    let found = first(&report.verdict.findings);
    assert_eq!((found.leaf, &found.problem), (Some(2), &Problem::Changed));
    assert_eq!((report.verdict.count, report.verdict.findings.len()), (151, 100));
}

#[tokio::test]
async fn a_pruning_that_no_event_of_the_vault_tells_of_makes_no_running_service_believe_another_trail() {
    let made_up = format!(
        "insert into audit_events (account_sid, event_sid, actor_type, action, outcome, after)
        values ('AC00000000000000000000000000000000', '{MADE_UP}', 'operator', 'audit.prune', 'success',
            '{{\"tree_size\": 10}}')"
    );
    for told in ["select", &made_up] {
        let app = sealed_trail().await;
        keep_tables(&app).await;
        for _ in 0..3 {
            record(&app, "a").await;
        }
        seal(&app);
        restore_tables(&app).await;
        let unfounded = format!(
            "insert into audit_prunings (tree_size, hashes_below, event_sid) values (10, 0, '{MADE_UP}'); {told}"
        );
        by_sql(&app, &unfounded).await;
        for _ in 0..5 {
            record(&app, "b").await;
        }
        app.replica(|vault| async move { vault.seal().await }).unwrap().unwrap();
        let refusal = app.vault(|vault| async move { vault.seal().await }).err().unwrap();
        let cause = pushvault::telemetry::chain(&refusal);
        assert!(cause.contains("is not the one that it was"), "{told}: {cause}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_trail_that_grows_while_it_is_verified_is_whole() {
    let app = sealed_trail().await;
    let client = app.account("a");
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                loop {
                    let form = [("Type", "fcm"), ("Secret", "a secret")];
                    client.post("/v2/Credentials", &form).await.json(201);
                }
            })
        })
        .collect();
    let before = seal(&app).size();
    for _ in 0..20 {
        let report = verify(&app, &[]);
        assert!(report.verdict.is_whole(), "{:?}", report.verdict);
    }
    assert!(seal(&app).size() > before, "nobody wrote");
    for writer in writers {
        writer.abort();
    }
}
