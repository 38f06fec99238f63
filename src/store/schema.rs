//! The schema: bringing it up to date, and telling whether it is.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate as _, MigrateError, Migrator};

use super::database::Store;
use super::error::StoreError;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Where sqlx keeps the list of applied migrations.
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// The SQLSTATE of a statement that waited for a lock in vain.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// The SQLSTATE of a statement that waited for one who waited for it.
const DEADLOCK_DETECTED: &str = "40P01";

/// How often a migration is tried that did not get its locks, and how long requests have to themselves in between.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(200);

/// How the database's schema stands to this binary. A newer schema is fine: migrations expand before they contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// Every migration that this binary knows has been applied.
    Current,
    /// This many migrations are missing.
    Behind(usize),
    /// A migration was applied with another text than this binary has, or did not finish.
    Altered(i64),
}

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Postgres is too old.
    #[error("Postgres {0} is too old: use 14 or newer")]
    PostgresTooOld(i32),
    /// Another one brings the schema up to date, for longer than anybody waits.
    #[error("another `pushvault migrate` did not end within a minute; run it again when that one has ended")]
    Busy(#[source] MigrateError),
    /// A migration did not get a lock; the ones before it were applied.
    #[error(
        "a migration waited twenty times for a lock and gave up, so that requests need not wait with it; nothing of it was \
         applied: let the transaction that holds the lock end (look for an old xact_start in pg_stat_activity) and run \
         `pushvault migrate` again"
    )]
    Locked(#[source] MigrateError),
    /// A migration failed; the ones before it were applied.
    #[error("a migration failed; nothing of it was applied")]
    Migration(#[source] MigrateError),
}

impl Store {
    /// Applies the migrations that are missing and says how many they were. Two at a time take turns.
    pub async fn migrate(&self) -> Result<usize, SchemaError> {
        self.require_postgres_14().await?;
        let missing = match self.schema_state().await? {
            SchemaState::Behind(count) => count,
            SchemaState::Current | SchemaState::Altered(_) => 0,
        };
        let mut connection = self.pool().acquire().await.map_err(StoreError::from)?;
        // A migration may take longer than a request ever may.
        sqlx::query!("set statement_timeout = 0")
            .execute(&mut *connection)
            .await
            .map_err(StoreError::from)?;
        sqlx::query!("set lock_timeout = '60s'")
            .execute(&mut *connection)
            .await
            .map_err(StoreError::from)?;
        connection
            .lock()
            .await
            .map_err(|error| refused(error, SchemaError::Busy))?;
        // Whatever asks for the same table waits behind a migration that waits. A migration and a request take locks in
        // different orders and may wait for each other: Postgres ends the one that looks for that first, after a second
        // (`deadlock_timeout`), so a migration gives way earlier.
        sqlx::query!("set lock_timeout = '400ms'")
            .execute(&mut *connection)
            .await
            .map_err(StoreError::from)?;
        let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
        // A newer binary may have been here before, in the middle of a roll-out. The turn is taken above.
        migrator.set_ignore_missing(true).set_locking(false);
        let mut attempts = 1;
        while let Err(error) = migrator.run(&mut *connection).await {
            let error = refused(error, SchemaError::Locked);
            if attempts == ATTEMPTS || !matches!(error, SchemaError::Locked(_)) {
                return Err(error);
            }
            attempts += 1;
            tokio::time::sleep(PAUSE).await;
        }
        // The connection ends here, and its timeout with it.
        connection.close().await.map_err(StoreError::from)?;
        Ok(missing)
    }

    /// Compares the applied migrations with the ones compiled in.
    pub async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        let known = sqlx::query_scalar!("select to_regclass($1) is not null", MIGRATIONS_TABLE)
            .fetch_one(&self.pool())
            .await?;
        if known != Some(true) {
            return Ok(SchemaState::Behind(MIGRATOR.iter().count()));
        }
        let mut connection = self.pool().acquire().await?;
        if let Some(version) = connection.dirty_version(MIGRATIONS_TABLE).await.map_err(from_migrate)? {
            return Ok(SchemaState::Altered(version));
        }
        let applied: HashMap<_, _> = connection
            .list_applied_migrations(MIGRATIONS_TABLE)
            .await
            .map_err(from_migrate)?
            .into_iter()
            .map(|migration| (migration.version, migration.checksum))
            .collect();
        let mut missing = 0;
        for migration in MIGRATOR.iter() {
            match applied.get(&migration.version) {
                None => missing += 1,
                Some(checksum) if *checksum == migration.checksum => {}
                Some(_) => return Ok(SchemaState::Altered(migration.version)),
            }
        }
        Ok(match missing {
            0 => SchemaState::Current,
            missing => SchemaState::Behind(missing),
        })
    }

    async fn require_postgres_14(&self) -> Result<(), SchemaError> {
        let version = sqlx::query_scalar!("select current_setting('server_version_num')::integer")
            .fetch_one(&self.pool())
            .await
            .map_err(StoreError::from)?
            .unwrap_or_default();
        if version < 14_00_00 {
            return Err(SchemaError::PostgresTooOld(version / 10_000));
        }
        Ok(())
    }
}

/// The error of a migration, which is `locked` if it waited for a lock in vain.
fn refused(error: MigrateError, locked: fn(MigrateError) -> SchemaError) -> SchemaError {
    let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = &error else {
        return SchemaError::Migration(error);
    };
    let state = cause.as_database_error().and_then(DatabaseError::code);
    match state.as_deref() {
        Some(LOCK_NOT_AVAILABLE | DEADLOCK_DETECTED) => locked(error),
        _ => SchemaError::Migration(error),
    }
}

fn from_migrate(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => StoreError::from(error),
        other => StoreError::Refused(sqlx::Error::Migrate(Box::new(other))),
    }
}
