//! The pool of connections, and the questions that belong to no table.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pushvault_crypto::DeploymentId;
use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool};
use time::OffsetDateTime;
use tracing::subscriber::{NoSubscriber, with_default};

use super::error::{StoreError, pool_timeouts};
use super::unit_of_work::UnitOfWork;
use crate::config::{ConfigError, DatabaseSettings};
use crate::domain::audit::AuditEvent;
use crate::metrics::Metrics;

/// A connection that rested for longer than this is asked whether it still lives before it is used. Under load none rests
/// so long, so that no query pays for a ping.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);

/// The database.
#[derive(Clone)]
pub struct Store {
    pub(super) pool: PgPool,
    metrics: Arc<Metrics>,
}

impl Store {
    /// Prepares the pool; the first query connects.
    pub fn new(settings: &DatabaseSettings, metrics: Arc<Metrics>) -> Result<Self, ConfigError> {
        // A parameter that sqlx does not know is passed over, and repeated in its log: `sslpassword`, for one.
        let options: PgConnectOptions = with_default(NoSubscriber::new(), || settings.url.expose_secret().parse())
            .map_err(|_: sqlx::Error| ConfigError::Invalid {
                key: "database.url",
                remedy: "give postgres://user:password@host:port/database".to_owned(),
            })?;
        let options = options
            .application_name("pushvault")
            .options([(
                "statement_timeout",
                format!("{}ms", settings.statement_timeout.as_millis()),
            )])
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > PING_AFTER_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        metrics.db_connections_max.set(settings.max_connections.into());
        Ok(Self { pool, metrics })
    }

    /// Brings what is measured of the connections up to date; asks nobody.
    pub fn measure(&self) {
        let count = |connections: usize| i64::try_from(connections).unwrap_or(i64::MAX);
        let (all, idle) = (i64::from(self.pool.size()), count(self.pool.num_idle()));
        self.metrics.db_connections.of(["idle".into()]).set(idle);
        // Both change while they are read.
        self.metrics.db_connections.of(["used".into()]).set((all - idle).max(0));
        let timeouts = self.metrics.db_pool_timeouts.inner();
        timeouts.store(pool_timeouts(), Ordering::Relaxed);
    }

    /// The database's clock.
    pub async fn now(&self) -> Result<OffsetDateTime, StoreError> {
        Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#)
            .fetch_one(&self.pool)
            .await?)
    }

    /// The identity of this deployment, part of every encryption context.
    pub async fn deployment_id(&self) -> Result<DeploymentId, StoreError> {
        let row = sqlx::query!("select deployment_id from deployment")
            .fetch_one(&self.pool)
            .await?;
        Ok(DeploymentId::from_bytes(row.deployment_id.into_bytes()))
    }

    /// Why no audit event could be written now; none where one could.
    pub async fn obstacle_to_recording(&self) -> Result<Option<&'static str>, StoreError> {
        let row = sqlx::query!(
            r#"select pg_is_in_recovery() as "is_standby!",
                current_setting('transaction_read_only') <> 'off' as "is_read_only!",
                has_table_privilege('audit_events', 'insert') as "may_insert!""#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(match row {
            row if row.is_standby => Some("the database is a standby"),
            row if row.is_read_only => Some("transactions are read-only: default_transaction_read_only"),
            row if !row.may_insert => Some("permission denied for table audit_events"),
            _ => None,
        })
    }

    /// Begins a change.
    pub async fn begin(&self) -> Result<UnitOfWork, StoreError> {
        UnitOfWork::begin(&self.pool, Arc::clone(&self.metrics)).await
    }

    /// Records an attempt that changed nothing: denied or failed.
    pub async fn record(&self, event: AuditEvent) -> Result<(), StoreError> {
        self.begin().await?.commit(event).await
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
