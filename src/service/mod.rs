//! The use cases. [`Vault`] is the facade that they hang on: the HTTP layer and the operator's commands call it alone.

mod accounts;
mod audit;
mod authn;
mod credentials;
mod error;
mod health;
mod keyring;
mod verify;

use crate::config::{ConfigError, Settings};
use crate::domain::audit::RequestContext;
use crate::kms::KmsError;
use crate::store::{SchemaState, Store, StoreError};

pub use accounts::{NewAccount, NewApiKey, TokenRotation};
pub use credentials::CredentialPage;
pub use error::VaultError;
pub use health::Readiness;
pub use verify::{Finding, VerifyReport};

use authn::Authenticator;
use keyring::Keyring;

/// The vault: a database, the keys to it, and the door.
pub struct Vault {
    store: Store,
    keyring: Keyring,
    authenticator: Authenticator,
}

/// Why the vault does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The schema lacks migrations that this binary needs.
    #[error("the database schema is {0} migration(s) behind this binary: run `pushvault migrate` first")]
    SchemaBehind(usize),
    /// A migration was applied with another text, or in part.
    #[error(
        "migration {0} in the database is not the one that this binary has, or did not finish: restore a backup, or \
         use the binary that belongs to this database"
    )]
    SchemaAltered(i64),
    /// There is no root key, or not the right one.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// The database does not answer.
    #[error("cannot open the vault")]
    Store(#[from] StoreError),
    /// The operating system gave no randomness, or Argon2 no memory.
    #[error("cannot prepare the authentication")]
    Crypto(#[from] pushvault_crypto::CryptoError),
}

impl Vault {
    /// Opens the vault: checks the schema, then the root key. The first opening of a new database registers the root key.
    pub async fn open(settings: &Settings, context: &RequestContext) -> Result<Self, OpenError> {
        let store = Store::new(&settings.database)?;
        match store.schema_state().await? {
            SchemaState::Current => {}
            SchemaState::Behind(count) => return Err(OpenError::SchemaBehind(count)),
            SchemaState::Altered(version) => return Err(OpenError::SchemaAltered(version)),
        }
        Ok(Self {
            keyring: Keyring::unlock(&store, settings, context).await?,
            authenticator: Authenticator::new(&settings.authentication)?,
            store,
        })
    }

    /// Closes the connections to the database.
    pub async fn close(&self) {
        self.store.close().await;
    }
}
