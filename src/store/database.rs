//! The pool of connections, and the questions that belong to no table.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use pushvault_crypto::DeploymentId;
use sqlx::{Connection as _, PgConnection, PgPool};
use time::OffsetDateTime;
use tokio::time::timeout;

use super::connect::{self, Pool};
use super::error::{StoreError, pool_timeouts, within};
use super::list_replica::ListReplica;
use super::unit_of_work::UnitOfWork;
use crate::config::{ConfigError, DatabaseSettings};
use crate::domain::audit::AuditEvent;
use crate::metrics::Metrics;
use crate::trail::AuditKey;

/// How long to look for the reason why there was no connection in time.
const EXPLANATION: Duration = Duration::from_secs(1);

/// How long the connections may take to close, the silent ones too.
const FAREWELL: Duration = Duration::from_secs(3);

/// So many of the longest statements are waited for where nobody else gives up.
const STATEMENTS: u32 = 6;

/// The database.
#[derive(Clone)]
pub struct Store {
    pool: Arc<Pool>,
    /// How often connections are given up because one of them would not write.
    renewals: Arc<DefaultDirectRateLimiter>,
    list_replica: Option<Arc<ListReplica>>,
    /// What authenticates events; none before the root key is unlocked.
    audit_key: Arc<RwLock<Option<Arc<AuditKey>>>>,
    patience: Duration,
    metrics: Arc<Metrics>,
}

impl Store {
    /// Prepares the pool; the first query connects.
    pub fn new(settings: &DatabaseSettings, metrics: Arc<Metrics>) -> Result<Self, ConfigError> {
        let address = connect::address("database.url", &settings.url, settings)?;
        let options = connect::pool_options()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.acquire_timeout)
            .after_connect(|connection, _| Box::pin(connect::require_primary(connection)));
        metrics.db_connections_max.set(settings.max_connections.into());
        Ok(Self {
            pool: Arc::new(Pool::new(options, address)),
            renewals: Arc::new(RateLimiter::direct(Quota::per_second(NonZeroU32::MIN))),
            list_replica: ListReplica::new(settings, Arc::clone(&metrics))?.map(Arc::new),
            audit_key: Arc::default(),
            patience: STATEMENTS * settings.statement_timeout,
            metrics,
        })
    }

    /// The connections that are in use now.
    pub(super) fn pool(&self) -> PgPool {
        self.pool.get()
    }

    /// Gives up every connection, because the database was lost, or may be another one now.
    pub fn renew(&self) {
        self.pool.renew();
    }

    /// What comes of a few statements. Where the database is silent for longer than they may take, they are given up: work
    /// in the background has no caller who would.
    pub async fn answer<T, E: From<StoreError>>(&self, answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        within(self.patience, answer).await
    }

    /// Why there was no connection, where the pool says no more than that there was none in time.
    pub async fn explain(&self, error: StoreError) -> StoreError {
        let StoreError::Unavailable(sqlx::Error::PoolTimedOut) = error else {
            return error;
        };
        let options = self.pool().connect_options();
        let attempt = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            let refusal = connect::require_primary(&mut connection).await;
            // It was only asked for to see whether it can be had.
            drop(connection.close().await);
            refusal
        };
        match timeout(EXPLANATION, attempt).await {
            Ok(Ok(())) => StoreError::AllInUse,
            Ok(Err(reason)) => reason.into(),
            Err(_) => error,
        }
    }

    /// Brings what is measured of the connections up to date; asks nobody.
    pub fn measure(&self) {
        let count = |connections: usize| i64::try_from(connections).unwrap_or(i64::MAX);
        let pool = self.pool();
        let (all, idle) = (i64::from(pool.size()), count(pool.num_idle()));
        self.metrics.db_connections.of(["idle".into()]).set(idle);
        // Both change while they are read.
        self.metrics.db_connections.of(["used".into()]).set((all - idle).max(0));
        let timeouts = self.metrics.db_pool_timeouts.inner();
        timeouts.store(pool_timeouts(), Ordering::Relaxed);
    }

    /// The database's clock.
    pub async fn now(&self) -> Result<OffsetDateTime, StoreError> {
        Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#)
            .fetch_one(&self.pool())
            .await?)
    }

    /// The identity of this deployment, part of every encryption context.
    pub async fn deployment_id(&self) -> Result<DeploymentId, StoreError> {
        connect::deployment_id(&self.pool()).await
    }

    /// Why no audit event could be written now; none where one could.
    pub async fn obstacle_to_recording(&self) -> Result<Option<&'static str>, StoreError> {
        let row = sqlx::query!(
            r#"select pg_is_in_recovery() as "is_standby!",
                current_setting('transaction_read_only') <> 'off' as "is_read_only!",
                has_table_privilege('audit_events', 'insert') as "may_insert!""#
        )
        .fetch_one(&self.pool())
        .await?;
        Ok(match row {
            row if row.is_standby => Some("the database is a standby"),
            row if row.is_read_only => Some("transactions are read-only: default_transaction_read_only"),
            row if !row.may_insert => Some("permission denied for table audit_events"),
            _ => None,
        })
    }

    /// Reads a list: from a read replica, where there is one that can answer, and else from the database itself.
    pub(super) async fn read_list<T, F>(&self, read: impl Fn(PgPool) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if let Some(replica) = &self.list_replica
            && let Some(rows) = replica.read(self.deployment_id(), read(replica.pool())).await
        {
            return Ok(rows);
        }
        read(self.pool()).await
    }

    /// Authenticates events by this key from now on.
    pub fn set_audit_key(&self, key: Arc<AuditKey>) {
        *self.audit_key.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// What authenticates events; none before the root key is unlocked.
    fn audit_key(&self) -> Option<Arc<AuditKey>> {
        self.audit_key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins a change.
    pub async fn begin(&self) -> Result<UnitOfWork, StoreError> {
        UnitOfWork::begin(&self.pool(), self.audit_key(), Arc::clone(&self.metrics)).await
    }

    /// Records an attempt that changed nothing: denied or failed.
    pub async fn record(&self, event: AuditEvent) -> Result<(), StoreError> {
        let recorded = self.begin().await?.commit(event).await;
        // Every change that fails comes by here, also when it failed because the session may only read.
        if matches!(&recorded, Err(error) if error.is_read_only()) && self.renewals.check().is_ok() {
            self.renew();
        }
        recorded
    }

    /// Closes every connection. One whose other end is silent is left to itself.
    pub async fn close(&self) {
        let close = async {
            self.pool().close().await;
            if let Some(replica) = &self.list_replica {
                replica.pool().close().await;
            }
        };
        let _in_time = timeout(FAREWELL, close).await;
    }
}
