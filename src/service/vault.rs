//! The facade: a database, the keys to it, and the door.

use std::net::IpAddr;

use moka::future::Cache;

use super::authn::Authenticator;
use super::error::{OpenError, VaultError};
use super::keyring::Keyring;
use super::readiness::Readiness;
use crate::config::{Settings, ValidationMode};
use crate::domain::audit::RequestContext;
use crate::domain::principal::{Login, Principal};
use crate::store::{SchemaState, Store};
use crate::telemetry::Traced as _;

/// The vault: a database, the keys to it, and the door.
pub struct Vault {
    pub(super) store: Store,
    pub(super) keyring: Keyring,
    pub(super) authenticator: Authenticator,
    pub(super) validation: ValidationMode,
    /// The look at readiness that is under way, if one is.
    pub(super) looks: Cache<(), Readiness>,
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
            authenticator: Authenticator::new(&settings.authentication, settings.rate_limit.as_ref())?,
            validation: settings.validation,
            looks: Cache::new(1),
            store,
        })
    }

    /// Lets a caller in, or not.
    ///
    /// The limits on how often are held against the address, where one is known, and against the account.
    pub async fn authenticate(&self, address: Option<IpAddr>, login: Option<&Login>) -> Result<Principal, VaultError> {
        self.authenticator
            .authenticate(&self.store, address, login)
            .step("authenticate")
            .await
    }

    /// Closes the connections to the database.
    pub async fn close(&self) {
        self.store.close().await;
    }
}
