//! A read replica for lists. What it does not answer at once is read from the database itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use pushvault_crypto::DeploymentId;
use sqlx::PgPool;

use super::connect::{self, Pool};
use super::error::{StoreError, within};
use crate::config::{ConfigError, DatabaseSettings};
use crate::metrics::Metrics;
use crate::telemetry::chain;

/// Lists are short and quick, and there is the database besides.
const CONNECTIONS: u32 = 4;

/// How long a list waits for the replica before it goes to the database.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a replica that failed is left alone. Then one list tries it again.
const REST: Duration = Duration::from_secs(10);

/// The replica, and whether it can be relied upon.
pub(super) struct ListReplica {
    pool: Pool,
    /// Whether it answered last time. One that never did, or failed, has to show first whose it is.
    is_good: AtomicBool,
    /// Holds an entry while a replica that is not good is left alone.
    tried: Cache<(), ()>,
    metrics: Arc<Metrics>,
}

impl ListReplica {
    /// Prepares the pool, if there is a replica; the first list connects.
    pub(super) fn new(settings: &DatabaseSettings, metrics: Arc<Metrics>) -> Result<Option<Self>, ConfigError> {
        let Some(url) = &settings.list_url else {
            return Ok(None);
        };
        let address = connect::address("database.list_url", url, settings)?;
        let options = connect::pool_options()
            .max_connections(CONNECTIONS)
            .acquire_timeout(2 * PATIENCE);
        Ok(Some(Self {
            pool: Pool::new(options, address),
            is_good: AtomicBool::new(false),
            tried: Cache::builder().max_capacity(1).time_to_live(REST).build(),
            metrics,
        }))
    }

    pub(super) fn pool(&self) -> PgPool {
        self.pool.get()
    }

    /// Reads from the replica, or says that it must be done without it: whatever goes wrong here is no error of the list.
    pub(super) async fn read<T>(
        &self,
        deployment_id: impl Future<Output = Result<DeploymentId, StoreError>>,
        rows: impl Future<Output = Result<T, StoreError>>,
    ) -> Option<T> {
        let is_good = self.is_good.load(Ordering::Relaxed);
        if is_good || self.tried.entry(()).or_insert(()).is_fresh() {
            let answer = async {
                if !is_good {
                    self.belongs_to(deployment_id.await?).await?;
                }
                rows.await
            };
            match within(PATIENCE, answer).await {
                Ok(rows) => {
                    self.is_good.store(true, Ordering::Relaxed);
                    return Some(rows);
                }
                Err(error) => self.rest(&error),
            }
        }
        self.metrics.list_replica_fallbacks.inc();
        None
    }

    async fn belongs_to(&self, deployment_id: DeploymentId) -> Result<(), StoreError> {
        if connect::deployment_id(&self.pool()).await? == deployment_id {
            Ok(())
        } else {
            let reason = "database.list_url leads to another deployment's database";
            Err(StoreError::Unavailable(sqlx::Error::Configuration(reason.into())))
        }
    }

    fn rest(&self, error: &StoreError) {
        self.is_good.store(false, Ordering::Relaxed);
        self.tried.insert((), ());
        self.pool.renew();
        tracing::warn!(
            cause = chain(error),
            seconds = REST.as_secs(),
            "the read replica does not answer, or not rightly: lists are read from the database until it is tried again"
        );
    }
}
