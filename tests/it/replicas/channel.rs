//! Postgres tells every replica of a change at once, whoever made it.

use std::io::Write as _;
use std::time::{Duration, Instant};

use pushvault::domain::account::AccountStatus;
use pushvault::domain::sid::ApiKeySid;
use pushvault::service::TokenRotation;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{LIST, PATIENCE, SOON, listening, listens, remember, told, until};
use crate::harness::{Client, Replica, TestApp, block_on, operator};

/// A way in which an account changes: its name, and what is done, for the caller whose account it is.
type Change = (&'static str, fn(&TestApp, &Client));

const CHANGES: [Change; 9] = [
    ("the account is suspended", |app, _| {
        app.set_status("a", AccountStatus::Suspended);
    }),
    ("the account is let in again", |app, _| {
        app.set_status("a", AccountStatus::Active);
    }),
    ("a new auth token is made", |app, _| {
        let scope = app.account_named("a").scope();
        app.vault(|vault| async move { vault.rotate_token(&operator(), &scope, TokenRotation::Begin).await })
            .unwrap();
    }),
    ("the API key is revoked", |app, key| {
        let scope = app.account_named("a").scope();
        let sid = ApiKeySid::parse(&key.credentials.clone().unwrap().0).unwrap();
        app.vault(|vault| async move { vault.revoke_api_key(&operator(), &scope, &sid).await })
            .unwrap();
    }),
    ("the status is changed by hand", |app, _| {
        by_hand(app, "update accounts set status = 'suspended'");
    }),
    ("a token is taken away by hand", |app, _| {
        by_hand(app, "update accounts set secondary_token_hash = null");
    }),
    ("an account key is changed by hand", |app, _| {
        by_hand(app, "update account_keys set created_at = now()");
    }),
    ("an API key is removed by hand", |app, _| {
        by_hand(app, "delete from api_keys");
    }),
    ("all API keys are removed by hand", |app, _| {
        by_hand(app, "truncate api_keys");
    }),
];

/// SQL that an operator types, on a connection that is none of the service's.
fn by_hand(app: &TestApp, statement: &'static str) {
    block_on(|| async {
        let mut connection = PgConnection::connect(app.database.url()).await?;
        sqlx::raw_sql(statement).execute(&mut connection).await?;
        connection.close().await
    })
    .unwrap();
}

/// How long after a change was committed a replica has forgotten what it remembered of the account.
async fn forgotten_after(change: &Change, app: &TestApp, replica: &Replica) -> Duration {
    by_hand(app, "update accounts set status = 'active'");
    let key = app.api_key("a");
    let vault = replica.vault();
    remember(replica, &key).await;

    (change.1)(app, &key);
    until(change.0, PATIENCE, async || {
        vault.account_keys_in_memory() == 0 && vault.remembered_tokens() == 0
    })
    .await
}

#[tokio::test]
async fn whatever_changes_an_account_is_forgotten_by_every_replica_within_a_second() {
    let app = TestApp::spawn().await;
    app.account_named("a");
    let replica = listening(&app).await;
    for change in &CHANGES {
        // The machine may be busy with other tests: what is promised is seen in one of three attempts.
        let mut took = Duration::MAX;
        for _ in 0..3 {
            took = took.min(forgotten_after(change, &app, &replica).await);
            if took < SOON {
                break;
            }
        }
        assert!(took < SOON, "{}: {took:?}", change.0);
        // Not `eprintln!`, which libtest keeps to itself while a test passes.
        let _ = writeln!(std::io::stderr(), "forgotten after {took:?}: {}", change.0);
    }
}

#[tokio::test]
async fn a_change_that_is_rolled_back_is_told_to_nobody_and_other_accounts_keep_their_keys() {
    let app = TestApp::spawn().await;
    let (a, b) = (app.account("a"), app.account("b"));
    let replica = listening(&app).await;
    remember(&replica, &a).await;
    remember(&replica, &b).await;
    assert_eq!(replica.vault().account_keys_in_memory(), 2);

    let mut transaction = app.pool.begin().await.unwrap();
    sqlx::query("update accounts set status = 'suspended'")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    app.set_status("a", AccountStatus::Suspended);

    until("the account that changed is forgotten", PATIENCE, async || {
        replica.vault().account_keys_in_memory() == 1
    })
    .await;
    replica.client(&b).post(LIST, &[("Type", "gcm")]).await.json(201);
    assert_eq!(replica.vault().account_keys_in_memory(), 1);
}

#[tokio::test]
async fn a_key_that_was_replaced_in_the_database_is_used_by_no_replica_a_second_later() {
    let app = TestApp::spawn().await;
    let client = app.account("a");
    let replica = listening(&app).await;
    remember(&replica, &client).await;
    let form = [("Type", "gcm"), ("ApiKey", "k")];
    // A change that nobody is told of, such as one made before: the key in memory is the one that is used.
    let silently = "begin; set local session_replication_role = replica;
        update account_keys set wrapped_key = decode(repeat('00', 60), 'hex'); commit";
    by_hand(&app, silently);
    replica.client(&client).post(LIST, &form).await.json(201);

    by_hand(&app, "update account_keys set created_at = now()");
    let begin = Instant::now();
    loop {
        // What is stored now is no key, and so the replica that looks for it fails.
        if replica.client(&client).post(LIST, &form).await.status == 500 {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "the old key is still used");
    }
}

#[tokio::test]
async fn a_key_that_is_read_while_it_changes_is_not_kept() {
    let app = TestApp::spawn().await;
    let client = app.account("a");
    let replica = listening(&app).await;
    let vault = replica.vault();
    // The replica reads the key with a statement that waits for this lock, in the middle of which it is told of a change.
    let mut lock = app.pool.begin().await.unwrap();
    sqlx::query("lock table account_keys in access exclusive mode")
        .execute(&mut *lock)
        .await
        .unwrap();
    let before = told(vault);
    let create = {
        let client = replica.client(&client);
        tokio::spawn(async move { client.post(LIST, &[("Type", "gcm"), ("ApiKey", "k")]).await })
    };
    let waiting =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    while sqlx::query_scalar::<_, i64>(waiting)
        .fetch_one(&app.pool)
        .await
        .unwrap()
        == 0
    {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    by_hand(&app, "update accounts set updated_at = now()");
    until("the change is told", PATIENCE, async || told(vault) > before).await;
    lock.rollback().await.unwrap();

    create.await.unwrap().json(201);
    assert_eq!(vault.account_keys_in_memory(), 0, "the key was kept");
}

#[tokio::test]
async fn a_flood_of_notifications_harms_nobody() {
    let app = TestApp::spawn().await;
    let client = app.account("a");
    let replica = listening(&app).await;
    remember(&replica, &client).await;
    let before = told(replica.vault());

    // Accounts that nobody has, and what is no account at all.
    let accounts =
        "select pg_notify('pushvault_keys', 'AC' || md5(number::text)) from generate_series(1, $1) as number";
    let garbage =
        "select pg_notify('pushvault_keys', number || repeat('x', 7000)) from generate_series(1, $1) as number";
    for (statement, count) in [(accounts, 50_000), (garbage, 2_000)] {
        for _ in 0..3 {
            sqlx::query(AssertSqlSafe(statement))
                .bind(count)
                .execute(&app.pool)
                .await
                .unwrap();
            let answered = Instant::now();
            replica.client(&client).post(LIST, &[("Type", "gcm")]).await.json(201);
            assert!(answered.elapsed() < Duration::from_secs(15));
        }
    }

    until("the flood is told of", PATIENCE, async || {
        told(replica.vault()) > before
    })
    .await;
    assert!(listens(replica.vault()));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let gulps = told(replica.vault()) - before;
    assert!(gulps < 1_000, "a flood is taken in gulps: {gulps}");
    remember(&replica, &client).await;
    app.set_status("a", AccountStatus::Suspended);
    until("what matters is told too", PATIENCE, async || {
        replica.vault().account_keys_in_memory() == 0
    })
    .await;
}

#[tokio::test]
async fn the_key_of_an_account_that_is_destroyed_is_in_no_replica_a_second_later() {
    let app = TestApp::spawn().await;
    let replica = listening(&app).await;
    let vault = replica.vault();
    let mut took = Duration::MAX;
    for name in ["a", "b", "c"] {
        let client = app.account(name);
        let scope = app.account_named(name).scope();
        remember(&replica, &client).await;
        silently_suspend(&app);
        let code = app.vault(|vault| {
            let scope = scope.clone();
            async move { vault.preview_destruction(&operator(), &scope).await.unwrap().code }
        });
        assert_eq!(vault.account_keys_in_memory(), 1);

        app.vault(|vault| async move { vault.destroy_account(&operator(), &scope, &code).await })
            .unwrap();
        let forgotten = until("the account is forgotten", PATIENCE, async || {
            vault.account_keys_in_memory() == 0 && vault.remembered_tokens() == 0
        });
        took = took.min(forgotten.await);
        replica.client(&client).get(LIST).await.json(403);
        if took < SOON {
            return;
        }
    }
    panic!("forgotten after {took:?}");
}

/// Suspends all accounts without a word, so that only what comes next is told of.
fn silently_suspend(app: &TestApp) {
    by_hand(
        app,
        "begin; set local session_replication_role = replica;
        update accounts set status = 'suspended'; commit",
    );
}
