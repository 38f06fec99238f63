//! Pruning beside others: who writes, verifies or exports in the meantime; and a trail that is long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pushvault::domain::audit::{Action, Outcome};
use pushvault::trail::ExportFormat;
use sqlx::AssertSqlSafe;

use super::prune::prune;
use super::{key_of, now, record, seal, sealed_trail, verify, verify_lines};
use crate::harness::{Client, TestApp, operator};
use crate::process::{Database, Deployment, wait_until};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_verifies_or_exports_while_the_trail_is_pruned_accuses_nobody() {
    let app = sealed_trail().await;
    record_many(&app, 4, 750);
    seal(&app);
    let time = now(&app).await;
    let (is_over, exports) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let verifying = scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let report = verify(&app, &[]);
                assert!(report.verdict.is_whole(), "{:?}", report.verdict);
            }
        });
        let exporting = scope.spawn(|| {
            let key = key_of(&app);
            while !is_over.load(Ordering::SeqCst) {
                let Some(lines) = try_export(&app) else {
                    continue;
                };
                let found = verify_lines(&lines, &[], &key).unwrap().verdict;
                assert!(found.is_whole(), "{found:?}");
                exports.fetch_add(1, Ordering::SeqCst);
            }
        });
        let exported = || exports.load(Ordering::SeqCst);
        while exported() == 0 && !exporting.is_finished() {
            std::thread::yield_now();
        }
        prune(&app, time).unwrap();
        let before = exported();
        while exported() == before && !exporting.is_finished() {
            std::thread::yield_now();
        }
        is_over.store(true, Ordering::SeqCst);
        verifying.join().unwrap();
        exporting.join().unwrap();
    });
}

/// Has a table to itself, so that whoever reads it waits.
async fn lock(app: &TestApp, table: &str) -> Database {
    let owner = Database::connect(app.database.url()).await;
    owner.execute("begin").await;
    let statement = format!("lock table {table} in access exclusive mode");
    owner.execute(AssertSqlSafe(statement)).await;
    owner
}

#[tokio::test]
async fn a_pruning_cuts_where_it_verified_whatever_the_tables_say_by_then() {
    let app = &sealed_trail().await;
    let (verified, time) = (seal(app).size(), now(app).await);
    let waits = "select exists (select from pg_locks join pg_database on oid = database
        where datname = current_database() and not granted and locktype = 'relation')";
    let pruned = app.replica(|vault| async move {
        let before_the_leaves = lock(app, "audit_hashes").await;
        let meanwhile = async {
            before_the_leaves
                .wait_for("it is about to read the leaves", waits)
                .await;
            let after_the_leaves = lock(app, "audit_prunings").await;
            before_the_leaves.execute("commit").await;
            after_the_leaves.wait_for("it has read them", waits).await;
            record_many(app, 1, 3);
            assert_eq!(seal(app).size(), verified + 3);
            // Every event is as old now as those that may go.
            for statement in [
                "alter table audit_events disable trigger user",
                "update audit_events set occurred_at = occurred_at - interval '1 hour'",
                "alter table audit_events enable trigger user",
                "commit",
            ] {
                after_the_leaves.execute(statement).await;
            }
        };
        let context = operator();
        tokio::join!(vault.prune_trail(&context, time), meanwhile).0
    });
    assert_eq!(pruned.unwrap(), (verified, verified));
}

#[tokio::test]
async fn an_export_that_a_pruning_overtakes_says_that_it_is_to_be_made_again() {
    let app = sealed_trail().await;
    record_many(&app, 4, 750);
    seal(&app);
    let time = now(&app).await;
    let refusal = app.replica(|vault| {
        let app = &app;
        async move {
            let mut count = 0;
            let mut write = |_: &serde_json::Value| {
                count += 1;
                if count == 10 {
                    prune(app, time).unwrap();
                }
                Ok(())
            };
            let exported = vault.export_trail(None, ExportFormat::Jsonl, &mut write).await;
            exported.unwrap_err().to_string()
        }
    });
    assert!(refusal.contains("export it again"), "{refusal}");
}

/// An export; none where it says that it must be made again.
fn try_export(app: &TestApp) -> Option<Vec<String>> {
    app.replica(|vault| async move {
        let mut lines = Vec::new();
        let mut write = |line: &serde_json::Value| {
            lines.push(line.to_string());
            Ok(())
        };
        match vault.export_trail(None, ExportFormat::Jsonl, &mut write).await {
            Ok(_) => Some(lines),
            Err(error) => {
                assert!(error.to_string().contains("export it again"), "{error}");
                None
            }
        }
    })
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
