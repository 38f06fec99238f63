//! The facade: a database, the keys to it, and the door.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use moka::future::Cache;

use super::authn::Authenticator;
use super::error::{OpenError, VaultError};
use super::keyring::{Keyring, Patience};
use super::readiness::Readiness;
use super::sealed::Sealed;
use super::signer::Signer;
use super::signing_key::open_signer;
use crate::config::{Settings, ValidationMode};
use crate::domain::audit::RequestContext;
use crate::domain::credential::SecretMaterial;
use crate::domain::principal::{AccountScope, Login, Principal};
use crate::domain::sid::CredentialSid;
use crate::metrics::Metrics;
use crate::store::{CredentialVersion, SchemaState, Store};
use crate::telemetry::Traced as _;

/// The vault: a database, the keys to it, and the door.
pub struct Vault {
    pub(super) store: Store,
    pub(super) keyring: Keyring,
    /// Signs checkpoints and statements.
    pub(super) signer: Signer,
    /// What this process knows of the sealed trail.
    pub(super) sealed: Mutex<Sealed>,
    pub(super) authenticator: Authenticator,
    pub(super) validation: ValidationMode,
    /// The look at readiness that is under way, if one is.
    pub(super) looks: Cache<(), Readiness>,
    pub(super) metrics: Arc<Metrics>,
}

impl Vault {
    /// Opens the vault: checks the schema, then the root key. The first opening of a new database registers the root key.
    pub async fn open(settings: &Settings, context: &RequestContext) -> Result<Self, OpenError> {
        let metrics = Arc::new(Metrics::new());
        let store = Store::new(&settings.database, Arc::clone(&metrics))?;
        require_current_schema(&store).await?;
        let keyring = Keyring::unlock(&store, settings, context, Arc::clone(&metrics)).await?;
        Ok(Self {
            signer: open_signer(&store, &keyring, context).await?,
            sealed: Mutex::default(),
            keyring,
            authenticator: Authenticator::new(
                &settings.authentication,
                settings.rate_limit.as_ref(),
                Arc::clone(&metrics),
            )?,
            validation: settings.validation,
            looks: Cache::new(1),
            store,
            metrics,
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

    /// Reads a version and opens it. Between the two its key may be rotated, and the old one be destroyed: then it is read
    /// again.
    pub(super) async fn read_version(
        &self,
        scope: &AccountScope,
        credential_sid: &CredentialSid,
        version: i32,
    ) -> Result<(CredentialVersion, SecretMaterial), VaultError> {
        let read = || self.store.credential_version(scope, credential_sid, version);
        let mut stored = read().await?;
        let mut opened = self.open_version(scope, &stored).await;
        if matches!(opened, Err(VaultError::StaleKeys)) {
            stored = read().await?;
            opened = self.open_version(scope, &stored).await;
        }
        Ok((stored, opened?))
    }

    /// Opens a stored version, with the account's keys of the day.
    pub(super) async fn open_version(
        &self,
        scope: &AccountScope,
        version: &CredentialVersion,
    ) -> Result<SecretMaterial, VaultError> {
        let mut patience = Patience::new();
        loop {
            let keys = self.keyring.keys(&self.store, scope).await?;
            match self.keyring.open(&keys, scope, version) {
                Err(VaultError::StaleKeys) if self.keyring.try_again(scope.account_sid(), &mut patience) => {}
                opened => return opened,
            }
        }
    }

    /// What is counted and measured.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The metrics as text. What is looked at for it is in memory.
    pub fn measured(&self) -> String {
        self.store.measure();
        self.keyring.measure();
        self.metrics.text()
    }

    /// Closes the connections to the database.
    pub async fn close(&self) {
        self.store.close().await;
    }
}

/// Refuses a schema that this binary cannot work with.
pub(super) async fn require_current_schema(store: &Store) -> Result<(), OpenError> {
    match store.schema_state().await? {
        SchemaState::Current => Ok(()),
        SchemaState::Behind(count) => Err(OpenError::SchemaBehind(count)),
        SchemaState::Altered(version) => Err(OpenError::SchemaAltered(version)),
    }
}
