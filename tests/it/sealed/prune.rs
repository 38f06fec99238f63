//! Pruning: what is old goes, below a signed checkpoint, and what stays is still proven.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pushvault::domain::audit::{Action, Outcome};
use pushvault::domain::sid::EventSid;
use pushvault::trail::{ExportFormat, Problem};
use time::OffsetDateTime;

use super::sealing::{authenticities, record_without_mac};
use super::{by_sql, event_at, export, first, key_of, leaves, now, record, seal, sealed_trail, verify, verify_lines};
use crate::harness::{Client, TestApp, operator};
use crate::process::{Deployment, wait_until};

fn prune(app: &TestApp, before: OffsetDateTime) -> Result<(u64, u64), String> {
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

/// Writers beside something else, and how many of their changes were acknowledged.
#[derive(Default)]
struct Beside {
    acknowledged: AtomicUsize,
    is_over: AtomicBool,
}

impl Beside {
    fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Creates credentials and changes each, until it is over. Answers which ones.
    async fn write(self: Arc<Self>, client: Client) -> Vec<String> {
        let mut made = Vec::new();
        while !self.is_over.load(Ordering::SeqCst) {
            let created = client
                .post("/v2/Credentials", &[("Type", "gcm"), ("ApiKey", "one")])
                .await;
            let sid = created.json(201)["sid"].as_str().unwrap().to_owned();
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
            let path = format!("/v2/Credentials/{sid}");
            client.post(&path, &[("ApiKey", "other")]).await.json(200);
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
            made.push(sid);
        }
        made
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_while_the_trail_is_pruned_is_not_lost_and_proven() {
    let app = sealed_trail().await;
    let (others, beside) = (app.audit_count().await, Arc::new(Beside::default()));
    let writer = |name| tokio::spawn(Arc::clone(&beside).write(app.account(name)));
    let writers = ["a", "b", "a", "b"].map(writer);
    let (mut kept, mut meanwhile) = (Vec::new(), 0);
    for round in 1..=5 {
        wait_until("something is written", async || beside.acknowledged() > round * 10).await;
        let checkpoint = seal(&app);
        let (time, before) = (now(&app).await, beside.acknowledged());
        let (size, _) = prune(&app, time).unwrap();
        meanwhile += beside.acknowledged() - before;
        assert!(size >= checkpoint.size(), "{round}: {size} leaves were cut off");
        kept.push((size, seal(&app)));
    }
    beside.is_over.store(true, Ordering::SeqCst);
    let mut made = Vec::new();
    for writer in writers {
        made.extend(writer.await.unwrap());
    }

    assert!(meanwhile > 0, "nothing was written beside");
    made.sort_unstable();
    let there: Vec<String> =
        sqlx::query_scalar("select credential_sid from credentials where current_version = 2 order by credential_sid")
            .fetch_all(&app.pool)
            .await
            .unwrap();
    assert_eq!(there, made);
    // Each event that there ever was is a leaf, and those that were not cut off are there.
    let events = others + i64::try_from(beside.acknowledged() + kept.len()).unwrap();
    let newest = seal(&app);
    assert_eq!(i64::try_from(newest.size()).unwrap(), events);
    let cut = kept.last().unwrap().0;
    assert_eq!(app.audit_count().await, events - i64::try_from(cut).unwrap());
    let checkpoints: Vec<_> = kept
        .into_iter()
        .map(|(_, checkpoint)| checkpoint)
        .filter(|checkpoint| checkpoint.size() >= cut)
        .chain([newest])
        .collect();
    let report = verify(&app, &checkpoints);
    assert!(report.verdict.is_whole(), "{:?}", report.verdict);
    assert_eq!(report.too_old, 0);
}

/// Records many events, quicker than any caller could make them.
fn record_many(app: &TestApp, recorders: usize, each: usize) {
    app.vault(|vault| async move {
        let recorders = (0..recorders).map(|_| {
            let vault = Arc::clone(&vault);
            tokio::spawn(async move {
                for _ in 0..each {
                    let (action, outcome) = (Action::AccountCreate, Outcome::Failed(20001));
                    vault
                        .record_refusal(&operator(), None, action, None, outcome)
                        .await
                        .unwrap();
                }
            })
        });
        for recorder in recorders.collect::<Vec<_>>() {
            recorder.await.unwrap();
        }
    });
}

#[tokio::test]
async fn a_long_trail_is_pruned_by_the_command_with_the_settings_that_everybody_has() {
    let app = sealed_trail().await;
    let deployment = Deployment::on(app.database.url()).with("DATABASE__URL", app.database.url());
    deployment.write("root.key", app.root_key, 0o600);
    record_many(&app, 8, 750);
    let old = seal(&app).size();
    assert!(old > 6000, "{old}");
    let time: String =
        sqlx::query_scalar(r#"select to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#)
            .fetch_one(&app.pool)
            .await
            .unwrap();
    record(&app, "a").await;

    let pruned = deployment.json(&["audit", "prune", "--before", &time]);

    assert_eq!((&pruned["pruned"], &pruned["first_leaf"]), (&old.into(), &old.into()));
    // The create, and the event of the pruning.
    let report = deployment.json(&["audit", "verify"]);
    assert_eq!(
        (&report["verified"], &report["events"], &report["tree_size"]),
        (&true.into(), &2.into(), &(old + 2).into())
    );
    assert_eq!(app.audit_count().await, 2);
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
