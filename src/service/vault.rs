//! The facade: a database, the keys to it, and the door.

use secrecy::SecretString;

use super::authn::Authenticator;
use super::error::{OpenError, VaultError};
use super::keyring::Keyring;
use crate::config::Settings;
use crate::domain::audit::RequestContext;
use crate::domain::principal::Principal;
use crate::store::{SchemaState, Store};

/// The vault: a database, the keys to it, and the door.
pub struct Vault {
    pub(super) store: Store,
    pub(super) keyring: Keyring,
    pub(super) authenticator: Authenticator,
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

    /// Lets a caller in, or not.
    pub async fn authenticate(&self, user_name: &str, secret: &SecretString) -> Result<Principal, VaultError> {
        self.authenticator.authenticate(&self.store, user_name, secret).await
    }

    /// Closes the connections to the database.
    pub async fn close(&self) {
        self.store.close().await;
    }
}
