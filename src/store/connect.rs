//! How a connection is made, and when one is trusted no longer.

use std::io;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use pushvault_crypto::DeploymentId;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};
use tokio::time::timeout;
use tracing::subscriber::{NoSubscriber, with_default};

use super::error::StoreError;
use crate::config::{ConfigError, DatabaseSettings};

/// A connection that rested for longer than this is asked whether it still lives before it is used. Under load none rests
/// so long, so that no query pays for a ping.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);

/// How long it may take to answer: the other end may be gone without a word.
const PING_LIMIT: Duration = Duration::from_secs(1);

/// No connection gets older: a name that leads to another server by and by leads every connection there.
const MAX_LIFETIME: Duration = Duration::from_mins(10);

/// Where a database is, and what its sessions are told.
pub(super) fn address(
    key: &'static str,
    url: &SecretString,
    settings: &DatabaseSettings,
) -> Result<PgConnectOptions, ConfigError> {
    // A parameter that sqlx does not know is passed over, and repeated in its log: `sslpassword`, for one.
    let options: PgConnectOptions =
        with_default(NoSubscriber::new(), || url.expose_secret().parse()).map_err(|_: sqlx::Error| {
            ConfigError::Invalid {
                key,
                remedy: "give postgres://user:password@host:port/database".to_owned(),
            }
        })?;
    let statement_timeout = format!("{}ms", settings.statement_timeout.as_millis());
    Ok(options
        .application_name("pushvault")
        .options([
            ("statement_timeout", &statement_timeout),
            // A replica whose machine dies says no farewell: what it had locked must not stay locked.
            ("idle_in_transaction_session_timeout", &statement_timeout),
        ])
        .disable_statement_logging())
}

/// A pool that can be given up for a new one to the same address.
pub(super) struct Pool(RwLock<PgPool>);

impl Pool {
    pub(super) fn new(options: PgPoolOptions, address: PgConnectOptions) -> Self {
        Self(RwLock::new(options.connect_lazy_with(address)))
    }

    /// The pool that is in use now.
    pub(super) fn get(&self) -> PgPool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives up every connection: those in use do what they are used for and nothing else. A server that fell silent
    /// keeps its connections busy for as long as the kernel hopes for an answer, and one that may only read keeps them
    /// too; a new connection goes to wherever the address leads now.
    pub(super) fn renew(&self) {
        let mut pool = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let address = (*pool.connect_options()).clone();
        *pool = pool.options().clone().connect_lazy_with(address);
    }
}

/// What every pool has in common.
pub(super) fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new()
        .max_lifetime(MAX_LIFETIME)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > PING_AFTER_IDLE {
                    timeout(PING_LIMIT, connection.ping())
                        .await
                        .map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))??;
                }
                Ok(true)
            })
        })
}

/// Refuses a standby. It takes no change, and it may not know yet of a key that was revoked.
pub(super) async fn require_primary(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let is_standby = sqlx::query_scalar!("select pg_is_in_recovery() as \"is_standby!\"")
        .fetch_one(connection)
        .await?;
    if is_standby {
        return Err(sqlx::Error::Configuration(
            "database.url leads to a standby, which takes no changes: let it lead to the primary".into(),
        ));
    }
    Ok(())
}

/// The identity of the deployment that a database belongs to.
pub(super) async fn deployment_id(pool: &PgPool) -> Result<DeploymentId, StoreError> {
    let row = sqlx::query!("select deployment_id from deployment")
        .fetch_one(pool)
        .await?;
    Ok(DeploymentId::from_bytes(row.deployment_id.into_bytes()))
}
