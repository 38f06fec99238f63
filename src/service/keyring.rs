//! The keys in memory: the root key, and the account keys that it unwraps; sealing and opening with them.

use std::sync::Arc;

use moka::sync::Cache;
use pushvault_crypto::{
    AccountKey, AccountKeyContext, CryptoError, DeploymentId, EncryptionContext, Envelope, KekId, KeyEncryptionKey,
    MacKey,
};

use super::account_cache::AccountCache;
use super::error::{OpenError, VaultError};
use crate::config::Settings;
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::credential::SecretMaterial;
use crate::domain::principal::AccountScope;
use crate::domain::push_service::PushService;
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::kms;
use crate::metrics::Metrics;
use crate::store::{CredentialVersion, Store, WrappedAccountKey};
use crate::telemetry::step;

/// The version of an account's first key.
const FIRST_VERSION: i32 = 1;

/// The keys in memory.
pub(super) struct Keyring {
    kek: KeyEncryptionKey,
    kek_id: KekId,
    deployment_id: DeploymentId,
    page_token_key: MacKey,
    /// The primary key of each account lately used: bounded in number and in time.
    primaries: AccountCache<AccountSid, Arc<VersionedKey>>,
    metrics: Arc<Metrics>,
}

/// An account key and which of the account's it is.
pub(super) struct VersionedKey {
    version: i32,
    key: AccountKey,
}

/// What a version's ciphertexts are bound to.
pub(super) struct VersionContext<'a> {
    pub(super) credential_sid: &'a CredentialSid,
    pub(super) push_service: PushService,
    pub(super) sandbox: bool,
    pub(super) version: i32,
}

impl Keyring {
    /// Gets the root key and holds it against the database; registers it where none is registered yet.
    pub(super) async fn unlock(
        store: &Store,
        settings: &Settings,
        context: &RequestContext,
        metrics: Arc<Metrics>,
    ) -> Result<Self, OpenError> {
        let registered = store.primary_root_key().await?;
        let mut unlocked = kms::unlock(&settings.kek, registered.as_ref())?;
        if registered.is_none() {
            let mut change = store.begin().await?;
            if change.insert_root_key(&unlocked.record).await? {
                let event = AuditEvent {
                    target_sid: Some(unlocked.record.kek_id.to_string()),
                    ..AuditEvent::new(
                        context,
                        &AccountSid::deployment(),
                        Action::RootKeyRegister,
                        Outcome::Success,
                    )?
                };
                change.commit(event).await?;
            } else {
                // Another replica was faster: its key must be ours.
                drop(change);
                unlocked = kms::unlock(&settings.kek, store.primary_root_key().await?.as_ref())?;
            }
        }
        Ok(Self {
            page_token_key: unlocked.key.page_token_key()?,
            kek: unlocked.key,
            kek_id: unlocked.record.kek_id,
            deployment_id: store.deployment_id().await?,
            primaries: AccountCache::new(
                Cache::builder()
                    .max_capacity(settings.limits.account_key_entries)
                    .time_to_live(settings.limits.account_key_time),
            ),
            metrics,
        })
    }

    /// The fingerprint of the root key in memory.
    pub(super) fn kek_id(&self) -> &KekId {
        &self.kek_id
    }

    /// The account keys in memory.
    pub(super) fn account_keys(&self) -> &AccountCache<AccountSid, Arc<VersionedKey>> {
        &self.primaries
    }

    /// The key that authenticates page tokens, the same on every replica.
    pub(super) fn page_token_key(&self) -> &MacKey {
        &self.page_token_key
    }

    /// Makes the first key of a new account, wrapped.
    pub(super) fn new_account_key(&self, account_sid: &AccountSid) -> Result<WrappedAccountKey, CryptoError> {
        let context = self.account_key_context(account_sid, FIRST_VERSION)?;
        Ok(WrappedAccountKey {
            version: FIRST_VERSION,
            kek_id: self.kek_id.clone(),
            wrapped: self.kek.wrap_account_key(&AccountKey::generate()?, &context)?,
        })
    }

    /// Seals the secrets of one version under the account's primary key.
    pub(super) fn seal(
        &self,
        primary: &VersionedKey,
        scope: &AccountScope,
        version: &VersionContext<'_>,
        secrets: &SecretMaterial,
    ) -> Result<Envelope, VaultError> {
        let (key_version, context) = (positive(primary.version)?, self.context(scope, version)?);
        Ok(step("keyring.seal", || {
            pushvault_crypto::seal(&primary.key, key_version, &context, secrets)
        })?)
    }

    /// Opens the secrets of a stored version. The context is rebuilt from the scope and the row: a row that stands where
    /// it was not sealed for does not open.
    pub(super) async fn open(
        &self,
        store: &Store,
        primary: &Arc<VersionedKey>,
        scope: &AccountScope,
        version: &CredentialVersion,
    ) -> Result<SecretMaterial, VaultError> {
        let key_version =
            i32::try_from(version.envelope.account_key_version()?).map_err(|_| CryptoError::MalformedEnvelope)?;
        let account_key = if primary.version == key_version {
            Arc::clone(primary)
        } else {
            self.unwrap(scope, &store.account_key(scope, key_version).await?)?
        };
        let context = VersionContext {
            credential_sid: &version.credential_sid,
            push_service: version.push_service,
            sandbox: version.sandbox,
            version: version.version,
        };
        let context = self.context(scope, &context)?;
        Ok(step("keyring.open", || {
            pushvault_crypto::open(&account_key.key, &context, &version.envelope)
        })?)
    }

    /// The account's primary key, unwrapped. A change asks for it before it begins, so that nobody who holds a connection
    /// to the database waits for a second one.
    pub(super) async fn primary(&self, store: &Store, scope: &AccountScope) -> Result<Arc<VersionedKey>, VaultError> {
        let account_sid = scope.account_sid();
        let known = self.primaries.get(account_sid);
        let result = if known.is_some() { "hit" } else { "miss" };
        self.metrics.account_key_cache.of([result.into()]).inc();
        if let Some(key) = known {
            return Ok(key);
        }
        let moment = self.primaries.moment();
        let key = self.unwrap(scope, &store.primary_account_key(scope).await?)?;
        self.primaries
            .keep(&moment, account_sid.clone(), account_sid.clone(), Arc::clone(&key));
        Ok(key)
    }

    /// Brings the gauge of the keys in memory up to date.
    pub(super) fn measure(&self) {
        let entries = i64::try_from(self.primaries.len()).unwrap_or(i64::MAX);
        self.metrics.account_key_cache_entries.set(entries);
    }

    fn unwrap(&self, scope: &AccountScope, wrapped: &WrappedAccountKey) -> Result<Arc<VersionedKey>, VaultError> {
        let context = self.account_key_context(scope.account_sid(), wrapped.version)?;
        Ok(Arc::new(VersionedKey {
            version: wrapped.version,
            key: step("keyring.unwrap", || {
                self.kek.unwrap_account_key(&wrapped.wrapped, &context)
            })?,
        }))
    }

    fn account_key_context<'a>(
        &'a self,
        account_sid: &'a AccountSid,
        version: i32,
    ) -> Result<AccountKeyContext<'a>, CryptoError> {
        Ok(AccountKeyContext {
            deployment_id: &self.deployment_id,
            account_sid: account_sid.as_str(),
            version: positive(version)?,
        })
    }

    fn context<'a>(
        &'a self,
        scope: &'a AccountScope,
        version: &'a VersionContext<'_>,
    ) -> Result<EncryptionContext<'a>, CryptoError> {
        Ok(EncryptionContext {
            deployment_id: &self.deployment_id,
            account_sid: scope.account_sid().as_str(),
            credential_sid: version.credential_sid.as_str(),
            push_service: version.push_service.as_str(),
            sandbox: version.sandbox,
            version: positive(version.version)?,
        })
    }
}

/// Versions count from 1; the schema says so too.
fn positive(version: i32) -> Result<u32, CryptoError> {
    u32::try_from(version).map_err(|_| CryptoError::MalformedEnvelope)
}
