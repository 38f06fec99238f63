//! Events that are no leaf of the tree, hidden in rows that look as if they were; and a trail that grows while it is
//! verified, which looks as if it had been cut off.

use pushvault::trail::Problem;

use super::{MADE_UP, by_sql, event_at, first, insertion, now, record, seal, sealed_trail, verify};
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
