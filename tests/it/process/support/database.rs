//! The tables behind the program, for what only they can tell.

use sqlx::postgres::PgRow;
use sqlx::{Connection as _, FromRow, PgConnection, SqlSafeStr};
use tokio::sync::Mutex;

use super::program::wait_until;

/// A connection of the tests' own.
pub(crate) struct Database {
    connection: Mutex<PgConnection>,
}

/// What an audit event says about what happened.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Event {
    pub(crate) account_sid: String,
    pub(crate) actor_type: String,
    pub(crate) action: String,
    pub(crate) outcome: String,
    pub(crate) error_code: Option<i32>,
    pub(crate) target_sid: Option<String>,
}

impl Database {
    pub(crate) async fn connect(url: &str) -> Self {
        Self {
            connection: Mutex::new(PgConnection::connect(url).await.unwrap()),
        }
    }

    /// Runs a query and returns its rows.
    pub(crate) async fn rows<T>(&self, query: impl SqlSafeStr) -> Vec<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut connection = self.connection.lock().await;
        sqlx::query_as(query).fetch_all(&mut *connection).await.unwrap()
    }

    /// The only value that a query returns.
    pub(crate) async fn value<T>(&self, query: impl SqlSafeStr) -> T
    where
        (T,): for<'r> FromRow<'r, PgRow>,
        T: Send + Unpin,
    {
        let mut connection = self.connection.lock().await;
        let (value,) = sqlx::query_as(query).fetch_one(&mut *connection).await.unwrap();
        value
    }

    pub(crate) async fn execute(&self, statement: impl SqlSafeStr) {
        let mut connection = self.connection.lock().await;
        sqlx::query(statement).execute(&mut *connection).await.unwrap();
    }

    /// Asks again and again until a query says true.
    pub(crate) async fn wait_for(&self, what: &str, query: &'static str) {
        wait_until(what, async || self.value::<bool>(query).await).await;
    }

    /// Begins to read the database as it is now, and returns the name under which others may do the same, until `commit`.
    pub(crate) async fn begin_snapshot(&self) -> String {
        self.execute("begin isolation level repeatable read read only").await;
        self.value("select pg_export_snapshot()").await
    }

    /// The audit events after the first `known` ones, oldest first.
    pub(crate) async fn events_after(&self, known: usize) -> Vec<Event> {
        let events: Vec<Event> = self
            .rows(
                "select account_sid, actor_type, action, outcome, error_code, target_sid
                from audit_events order by occurred_at, event_sid",
            )
            .await;
        events[known..].to_vec()
    }
}
