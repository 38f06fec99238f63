//! What can go wrong below: the database does not answer, or answers what it never should.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

/// How often this process waited for a connection in vain. Every error passes here, wherever it comes from, and nothing
/// but itself can be handed to it.
static POOL_TIMEOUTS: AtomicU64 = AtomicU64::new(0);

pub(super) fn pool_timeouts() -> u64 {
    POOL_TIMEOUTS.load(Ordering::Relaxed)
}

/// A failure of the store. `Display` is fit for a log line; the cause is in `source()`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot serve now; trying again later may help. Nothing was changed.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// The database lets a new connection in, and the pool has none to give.
    #[error(
        "all of the pool's connections are in use: statements are slow or wait for a lock, or database.max_connections is \
         too small"
    )]
    AllInUse,
    /// What was to be written was made with a key that is not the primary one any more. Nothing was changed.
    #[error("the key was rotated meanwhile")]
    StaleKey,
    /// The connection broke while a commit was under way: the change may or may not have been made.
    #[error("the database did not confirm a commit")]
    CommitUnknown(#[source] sqlx::Error),
    /// The database refused a statement that should be correct.
    #[error("the database refused a statement")]
    Refused(#[source] sqlx::Error),
    /// A row breaks a rule that the schema and this code keep.
    #[error("a stored row is malformed: {0}")]
    Malformed(&'static str),
}

/// SQLSTATE classes (`PostgreSQL` documentation, appendix A) of conditions that pass: connection exceptions, transaction
/// rollback, a role or password that is not let in, a database that is not there, insufficient resources (disk full, too
/// many connections), operator intervention, system errors.
const PASSING_CLASSES: [&str; 7] = ["08", "28", "3D", "40", "53", "57", "58"];

/// A session that may only read.
const READ_ONLY: &str = "25006";

/// What the schema says of a row under a key that is not the primary one.
const STALE_KEY: &str = "PV001";

/// Single conditions that pass or that an operator ends: a session that may only read, a transaction that rested for too
/// long, a privilege that was taken away, a lock not had in time.
const PASSING_STATES: [&str; 4] = [READ_ONLY, "25P03", "42501", "55P03"];

/// What the database answers within a limit: a connection whose other end is gone without a word has no end by itself.
pub(super) async fn within<T, E: From<StoreError>>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout(limit, answer)
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable(sqlx::Error::Io(io::ErrorKind::TimedOut.into())).into()))
}

impl StoreError {
    /// Whether a change failed because the session may only read.
    pub(super) fn is_read_only(&self) -> bool {
        let (Self::Unavailable(error) | Self::CommitUnknown(error) | Self::Refused(error)) = self else {
            return false;
        };
        let database = error.as_database_error();
        database.is_some_and(|error| error.code().is_some_and(|state| state == READ_ONLY))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            POOL_TIMEOUTS.fetch_add(1, Ordering::Relaxed);
        }
        if error
            .as_database_error()
            .is_some_and(|error| error.code().is_some_and(|state| state == STALE_KEY))
        {
            return Self::StaleKey;
        }
        let passing = match &error {
            sqlx::Error::Database(database) => database.code().is_none_or(|state| {
                PASSING_STATES.contains(&state.as_ref())
                    || state.get(..2).is_some_and(|class| PASSING_CLASSES.contains(&class))
            }),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            _ => false,
        };
        if passing {
            Self::Unavailable(error)
        } else {
            Self::Refused(error)
        }
    }
}
