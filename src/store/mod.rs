//! Postgres: the only place that names sqlx. It moves ciphertexts and metadata; it never sees a plaintext or a key.
//!
//! Reads are methods of [`Store`]. Writes are methods of [`UnitOfWork`], whose one way to become durable is
//! [`UnitOfWork::commit`] with an audit event: an unaudited write does not type-check.

mod accounts;
mod audit;
mod credentials;
mod error;
mod keys;
mod schema;
mod unit_of_work;

use std::time::Duration;

use pushvault_crypto::DeploymentId;
use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool};

use crate::config::{ConfigError, DatabaseSettings};

pub use accounts::{AuthenticationRecord, NewAccountRow, TokenHashes};
pub use credentials::{CredentialVersion, NewCredentialRow};
pub use error::StoreError;
pub use keys::WrappedAccountKey;
pub use schema::{SchemaError, SchemaState};
pub use unit_of_work::UnitOfWork;

/// A connection that rested for longer than this is asked whether it still lives before it is used. Under load none rests
/// so long, so that no query pays for a ping.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);

/// The database.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Prepares the pool; the first query connects.
    pub fn new(settings: &DatabaseSettings) -> Result<Self, ConfigError> {
        let options: PgConnectOptions =
            settings
                .url
                .expose_secret()
                .parse()
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
        Ok(Self { pool })
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query!("select 1 as one").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// The identity of this deployment, part of every encryption context.
    pub async fn deployment_id(&self) -> Result<DeploymentId, StoreError> {
        let row = sqlx::query!("select deployment_id from deployment")
            .fetch_one(&self.pool)
            .await?;
        Ok(DeploymentId::from_bytes(row.deployment_id.into_bytes()))
    }

    /// Begins a change.
    pub async fn begin(&self) -> Result<UnitOfWork, StoreError> {
        UnitOfWork::begin(&self.pool).await
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
