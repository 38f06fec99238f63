//! `pushvault migrate` beside others: transactions that hold locks, and another `migrate`.

use std::time::{Duration, Instant};

use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::{Connection as _, PgConnection};

use super::support::{Deployment, Program};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Whether somebody waits for a lock in this database.
const IS_WAITING: &str = "select exists (select from pg_locks join pg_database on oid = database
    where datname = current_database() and not granted)";

/// How long the test waits to see that somebody waits: longer than a migration waits for a lock on a table.
const LONGER_THAN_FOR_A_TABLE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_migration_gives_up_on_a_lock_in_time_and_can_be_run_again() {
    let deployment = Deployment::empty();
    let mut holder = PgConnection::connect(deployment.setting("DATABASE__URL"))
        .await
        .unwrap();
    MIGRATOR.run_to(1, &mut holder).await.unwrap();
    let mut transaction = holder.begin().await.unwrap();
    sqlx::query("update accounts set friendly_name = friendly_name")
        .execute(&mut *transaction)
        .await
        .unwrap();

    // The second migration makes a table that refers to `accounts`, for which it wants the lock.
    let mut migrate = Program::start(deployment.command(&["migrate"]));
    let observer = deployment.database().await;
    observer.wait_for("a migration waits", IS_WAITING).await;
    let began = Instant::now();
    // Another statement on the same table stands behind it, and gets through.
    observer
        .execute("update accounts set friendly_name = friendly_name")
        .await;
    let waited = began.elapsed();
    migrate
        .ended()
        .refused(1, &["waited twenty times for a lock", "pg_stat_activity", "again"]);
    assert!(waited < Duration::from_secs(5), "a statement waited {waited:?}");

    transaction.rollback().await.unwrap();
    let applied = deployment.json(&["migrate"])["applied_migrations"].as_i64().unwrap();
    assert_eq!(applied, i64::try_from(MIGRATOR.iter().count() - 1).unwrap());
    assert_eq!(deployment.json(&["migrate"])["applied_migrations"], 0);
}

#[tokio::test]
async fn two_migrations_at_the_same_time_take_turns() {
    let deployment = Deployment::empty();
    let mut other = PgConnection::connect(deployment.setting("DATABASE__URL"))
        .await
        .unwrap();
    other.lock().await.unwrap();

    let mut migrate = Program::start(deployment.command(&["migrate"]));
    let observer = deployment.database().await;
    observer.wait_for("it waits for its turn", IS_WAITING).await;
    tokio::time::sleep(LONGER_THAN_FOR_A_TABLE).await;
    assert!(migrate.is_running(), "{}", migrate.stderr());
    other.unlock().await.unwrap();

    migrate.ended().succeeded();
    deployment.serve().stop();
}
