//! Pruning: what is old goes, below a signed checkpoint, and what stays is still proven.

use pushvault::domain::sid::EventSid;
use pushvault::trail::{ExportFormat, Problem};
use time::OffsetDateTime;

use super::sealing::{authenticities, keep_from_sealing, let_seal, record_without_mac};
use super::{by_sql, event_at, export, first, key_of, leaves, now, record, seal, sealed_trail, verify, verify_lines};
use crate::harness::{TestApp, operator};

pub(super) fn prune(app: &TestApp, before: OffsetDateTime) -> Result<(u64, u64), String> {
    app.vault(|vault| async move { vault.prune_trail(&operator(), before).await })
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_is_pruned_is_gone_and_what_stays_is_proven_and_says_so() {
    let app = sealed_trail().await;
    let old = seal(&app);
    let time = now(&app).await;
    for _ in 0..3 {
        record(&app, "b").await;
    }
    let kept = seal(&app);

    let (size, events) = prune(&app, time).unwrap();

    assert_eq!((size, events), (old.size(), old.size()));
    // Three creates, and the event of the pruning.
    assert_eq!(app.audit_count().await, 4);
    let newest = seal(&app);
    let report = verify(&app, &[kept.clone(), newest]);
    assert!(report.verdict.is_whole(), "{:?}", report.verdict);
    assert_eq!(report.verdict.checked, 4);
    assert_eq!(
        verify(&app, std::slice::from_ref(&old)).too_old,
        0,
        "a checkpoint at the cut still fits"
    );
    let lines = export(&app, None, ExportFormat::Jsonl);
    let found = verify_lines(&lines, &[kept], &key_of(&app)).unwrap();
    assert!(found.verdict.is_whole(), "{:?}", found.verdict);
    for leaf in 6..leaves(&app).await + 6 {
        let sid = EventSid::parse(&event_at(&app, leaf).await).unwrap();
        assert!(
            app.vault(|vault| async move { vault.prove_event(&sid).await })
                .unwrap()
                .holds()
        );
    }
    let event = app.audit_trail().await.pop().unwrap();
    assert_eq!(
        (event.action.as_str(), event.outcome.as_str()),
        ("audit.prune", "success")
    );
    assert_eq!(event.after.unwrap()["tree_size"], old.size());
}

#[tokio::test]
async fn it_can_be_pruned_again_and_again_and_sealing_goes_on() {
    let app = sealed_trail().await;
    for round in 0..4 {
        record(&app, "a").await;
        let kept = seal(&app);
        let (size, _) = prune(&app, now(&app).await).unwrap();
        assert_eq!(size, kept.size(), "{round}");
        let report = verify(&app, &[kept]);
        assert!(report.verdict.is_whole(), "{round}: {:?}", report.verdict);
    }
}

#[tokio::test]
async fn a_trail_whose_first_event_was_forged_or_removed_can_be_pruned() {
    for harm in [
        "update audit_events set user_agent = 'edited' where action = 'root_key.register'",
        "delete from audit_events where action = 'root_key.register'",
    ] {
        let app = TestApp::spawn().await;
        let turn = keep_from_sealing(&app).await;
        // As if nothing had been sealed yet.
        by_sql(
            &app,
            &format!(
                "delete from audit_leaves; delete from audit_hashes; delete from audit_checkpoints;
                insert into audit_unsealed (account_sid, event_sid) select account_sid, event_sid from audit_events
                    on conflict do nothing; {harm}"
            ),
        )
        .await;
        let_seal(turn).await;
        app.replica(|vault| async move { vault.seal().await }).unwrap();
        assert!(!verify(&app, &[]).verdict.is_whole());
        let time = now(&app).await;
        app.replica(|vault| async move { vault.prune_trail(&operator(), time).await })
            .unwrap();
        let report = verify(&app, &[]);
        assert!(report.verdict.is_whole(), "{harm}: {:?}", report.verdict);
    }
}

#[tokio::test]
async fn nothing_is_pruned_where_no_checkpoint_is_old_enough_or_the_trail_is_not_whole() {
    let app = sealed_trail().await;
    let refusal = prune(&app, OffsetDateTime::UNIX_EPOCH).unwrap_err();
    assert!(refusal.contains("nothing to prune"), "{refusal}");
    let victim = event_at(&app, 2).await;
    by_sql(
        &app,
        &format!("update audit_events set actor_sid = 'x' where event_sid = '{victim}'"),
    )
    .await;
    let before = app.audit_count().await;
    let refusal = prune(&app, now(&app).await).unwrap_err();
    assert!(refusal.contains("not whole"), "{refusal}");
    assert_eq!(app.audit_count().await, before);
}

#[tokio::test]
async fn what_was_sealed_as_forged_can_be_pruned_and_the_pruning_says_so() {
    let app = sealed_trail().await;
    sqlx::query(
        "insert into audit_events (account_sid, event_sid, actor_type, action, outcome)
        values ('AC00000000000000000000000000000000', 'AE00000000000000000000000000000001', 'anonymous', 'x', 'success')",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    seal(&app);
    assert_eq!(verify(&app, &[]).verdict.count, 1);

    prune(&app, now(&app).await).unwrap();

    assert_eq!(app.audit_trail().await.pop().unwrap().after.unwrap()["findings"], 1);
    assert!(verify(&app, &[]).verdict.is_whole());
}

/// Makes the sealer believe for a second that no event is of the key in use, and gives it one without a MAC.
async fn mislead(app: &TestApp) {
    let hidden = "update audit_events set mac_key_id = 'x' where mac_key_id is not null";
    by_sql(app, hidden).await;
    record_without_mac(app, 1).await;
    seal(app);
    let key = key_of(app).id();
    let undone = format!("update audit_events set mac_key_id = '{key}' where mac_key_id is not null");
    by_sql(app, &undone).await;
    assert_eq!(authenticities(app).await.last().unwrap(), "unsigned");
}

#[tokio::test]
async fn a_pruned_trail_remembers_whether_it_is_older_than_macs() {
    let app = sealed_trail().await;
    prune(&app, now(&app).await).unwrap();
    assert_eq!(
        app.audit_trail().await.pop().unwrap().after.unwrap()["without_mac_until"],
        serde_json::Value::Null
    );
    record(&app, "a").await;
    seal(&app);
    mislead(&app).await;
    let report = verify(&app, &[]);
    assert_eq!(first(&report.verdict.findings).problem, Problem::Unsigned);
    assert_eq!(report.verdict.count, 1);
    let lines = export(&app, None, ExportFormat::Jsonl);
    let found = verify_lines(&lines, &[], &key_of(&app)).unwrap();
    assert_eq!(first(&found.verdict.findings).problem, Problem::Unsigned);
}

#[tokio::test]
async fn what_was_sealed_where_it_cannot_have_come_to_be_can_be_pruned_too() {
    let app = sealed_trail().await;
    mislead(&app).await;
    assert_eq!(first(&verify(&app, &[]).verdict.findings).problem, Problem::Unsigned);
    record(&app, "a").await;
    seal(&app);

    prune(&app, now(&app).await).unwrap();

    assert_eq!(app.audit_trail().await.pop().unwrap().after.unwrap()["findings"], 1);
    assert!(verify(&app, &[]).verdict.is_whole());
}

#[tokio::test]
async fn a_pruning_by_hand_that_no_event_tells_of_is_named() {
    let app = sealed_trail().await;
    let size = seal(&app).size();
    record(&app, "a").await;
    seal(&app);
    let edge = pushvault::trail::positions_of_edge(size);
    let edge = edge.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    by_sql(
        &app,
        &format!(
            "insert into audit_prunings (tree_size, hashes_below, event_sid) values ({size}, {below}, 'AE');
            delete from audit_events using audit_leaves where audit_leaves.event_sid = audit_events.event_sid
                and leaf_index < {size};
            delete from audit_leaves where leaf_index < {size};
            delete from audit_hashes where position < {below} and position not in ({edge})",
            below = pushvault::trail::hashes_before(size)
        ),
    )
    .await;
    let report = verify(&app, &[]);
    assert_eq!(first(&report.verdict.findings).problem, Problem::Unpruned);
    let lines = export(&app, None, ExportFormat::Jsonl);
    let found = verify_lines(&lines, &[], &key_of(&app)).unwrap();
    assert_eq!(first(&found.verdict.findings).problem, Problem::Unpruned);
}

#[tokio::test]
async fn not_even_the_owner_removes_what_is_not_below_a_pruning() {
    let app = sealed_trail().await;
    for table in ["audit_events", "audit_leaves", "audit_hashes", "audit_checkpoints"] {
        for statement in [format!("delete from {table}"), format!("truncate {table} cascade")] {
            let refusal = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.clone()))
                .execute(&app.pool)
                .await
                .unwrap_err();
            assert!(refusal.to_string().contains("append-only"), "{statement}: {refusal}");
        }
    }
    for statement in [
        "update audit_leaves set authenticity = 'authentic'",
        "update audit_hashes set hash = hash",
        "update audit_checkpoints set note = note",
    ] {
        let refusal = sqlx::query(statement).execute(&app.pool).await.unwrap_err();
        assert!(refusal.to_string().contains("append-only"), "{statement}: {refusal}");
    }
}
