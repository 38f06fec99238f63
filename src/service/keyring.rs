//! The keys in memory: the root keys, and the account keys that they unwrap; sealing and opening with them.

use std::collections::HashSet;
use std::sync::Arc;

use moka::sync::Cache;
use pushvault_crypto::{
    AccountKey, AccountKeyContext, CryptoError, DeploymentId, EncryptionContext, Envelope, KekId, MacKey,
    RecoveryRecipient,
};

use super::account_cache::AccountCache;
use super::error::{OpenError, VaultError};
use super::provider_probe::{Probes, probe, probes};
use super::roots::{fingerprints, unlock_roots};
use crate::config::Settings;
use crate::domain::audit::RequestContext;
use crate::domain::credential::SecretMaterial;
use crate::domain::principal::AccountScope;
use crate::domain::push_service::PushService;
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::kms::{KmsError, RootKey};
use crate::metrics::Metrics;
use crate::store::{
    CredentialVersion, KeyChanges, RecoveryCopy, Store, StoreError, StoredAccountKey, WrappedAccountKey,
};
use crate::telemetry::{Traced as _, step};

/// How often a change is tried with keys that turn out to be rotated meanwhile.
const TRIES: u32 = 5;

/// The keys in memory.
pub(super) struct Keyring {
    /// The configured root keys: that of `[kek]` first.
    roots: Vec<RootKey>,
    /// What the providers of the root keys answered when they were last asked whether they are there.
    probes: Probes,
    deployment_id: DeploymentId,
    /// The keys of each account lately used: bounded in number and in time.
    keys: AccountCache<AccountSid, Arc<AccountKeys>>,
    metrics: Arc<Metrics>,
}

/// The keys of an account: the one that new secrets are sealed under, and those that older ones still are.
pub(super) struct AccountKeys {
    primary: VersionedKey,
    previous: Vec<VersionedKey>,
}

/// An account key and which of the account's it is.
struct VersionedKey {
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

/// How often a change may still be tried again.
pub(super) struct Patience(u32);

impl Patience {
    pub(super) const fn new() -> Self {
        Self(TRIES)
    }
}

impl Keyring {
    /// Gets the root keys and holds them against the database; registers the first one where none is registered yet.
    pub(super) async fn unlock(
        store: &Store,
        settings: &Settings,
        context: &RequestContext,
        metrics: Arc<Metrics>,
    ) -> Result<Self, OpenError> {
        let roots = unlock_roots(store, settings, context).await?;
        Ok(Self {
            roots: roots.into_iter().map(|root| root.measured_by(&metrics)).collect(),
            probes: probes(),
            deployment_id: store.deployment_id().await?,
            keys: AccountCache::new(
                Cache::builder()
                    .max_capacity(settings.limits.account_key_entries)
                    .time_to_live(settings.limits.account_key_time),
            ),
            metrics,
        })
    }

    /// The identity of this deployment.
    pub(super) fn deployment_id(&self) -> &DeploymentId {
        &self.deployment_id
    }

    /// A MAC that whoever has no root key cannot make.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let key = self.roots.first().map(RootKey::page_token_key);
        key.map_or([0; 32], |key| key.digest(parts))
    }

    /// Whether a root key can be used here.
    pub(super) fn has(&self, kek_id: &KekId) -> bool {
        self.roots.iter().any(|root| root.id() == kek_id)
    }

    /// The fingerprints of the root keys that can be used here.
    pub(super) fn kek_ids(&self) -> String {
        fingerprints(&self.roots)
    }

    /// What is the matter with the provider of a root key, as of a few seconds ago at most; none where nothing is.
    pub(super) async fn provider_problem(&self) -> Option<Arc<str>> {
        self.probes.get_with((), Box::pin(probe(&self.roots))).await
    }

    /// The account keys in memory.
    pub(super) fn account_keys(&self) -> &AccountCache<AccountSid, Arc<AccountKeys>> {
        &self.keys
    }

    /// The keys that authenticate page tokens: any of them those that come, the first one those that go.
    pub(super) fn page_token_keys(&self) -> Vec<&MacKey> {
        self.roots.iter().map(RootKey::page_token_key).collect()
    }

    /// The root keys that can be used here.
    pub(super) fn roots(&self) -> &[RootKey] {
        &self.roots
    }

    /// Makes a key of an account, wrapped under the primary root key, and encrypted to the recovery recipient if
    /// there is one.
    pub(super) async fn new_account_key(
        &self,
        store: &Store,
        account_sid: &AccountSid,
        version: i32,
    ) -> Result<WrappedAccountKey, VaultError> {
        let context = self.account_key_context(account_sid, version)?;
        let primary = store.primary_root_key().await?;
        let primary = primary.ok_or(StoreError::Malformed("root_keys has no primary key"))?;
        let key = AccountKey::generate()?;
        Ok(WrappedAccountKey {
            version,
            is_primary: true,
            wrapped: self.root(&primary)?.wrap(&key, &context).await?,
            kek_id: primary,
            recovery: match store.primary_recovery_recipient().await? {
                Some(recipient) => Some(copy_for(&recipient, &key, &context)?),
                None => None,
            },
        })
    }

    /// Encrypts a stored account key to a recovery recipient.
    pub(super) async fn recovery_copy(
        &self,
        key: &StoredAccountKey,
        recipient: &str,
    ) -> Result<RecoveryCopy, VaultError> {
        let unwrapped = self.unwrap_stored(key).await?;
        let context = self.account_key_context(&key.account_sid, key.version)?;
        Ok(copy_for(recipient, &unwrapped, &context)?)
    }

    /// Unwraps an account key with the root key that it is wrapped under.
    pub(super) async fn unwrap_stored(&self, key: &StoredAccountKey) -> Result<AccountKey, VaultError> {
        let context = self.account_key_context(&key.account_sid, key.version)?;
        Ok(self.root(&key.kek_id)?.unwrap(&key.wrapped, &context).await?)
    }

    /// Seals the secrets of one version under the account's primary key.
    pub(super) fn seal(
        &self,
        keys: &AccountKeys,
        scope: &AccountScope,
        version: &VersionContext<'_>,
        secrets: &SecretMaterial,
    ) -> Result<Envelope, VaultError> {
        let (key_version, context) = (positive(keys.primary.version)?, self.context(scope, version)?);
        Ok(step("keyring.seal", || {
            pushvault_crypto::seal(&keys.primary.key, key_version, &context, secrets)
        })?)
    }

    /// Opens the secrets of a stored version. The context is rebuilt from the scope and the row: a row that stands where
    /// it was not sealed for does not open.
    pub(super) fn open(
        &self,
        keys: &AccountKeys,
        scope: &AccountScope,
        version: &CredentialVersion,
    ) -> Result<SecretMaterial, VaultError> {
        let key = keys.version(version.envelope.account_key_version()?)?;
        let context = VersionContext::of(version);
        let context = self.context(scope, &context)?;
        Ok(step("keyring.open", || {
            pushvault_crypto::open(key, &context, &version.envelope)
        })?)
    }

    /// Wraps a version's DEK under the account's primary key.
    pub(super) fn rewrap(
        &self,
        keys: &AccountKeys,
        scope: &AccountScope,
        version: &CredentialVersion,
    ) -> Result<Envelope, VaultError> {
        let old = keys.version(version.envelope.account_key_version()?)?;
        let context = VersionContext::of(version);
        let context = self.context(scope, &context)?;
        let new_version = positive(keys.primary.version)?;
        Ok(pushvault_crypto::rewrap(
            old,
            &keys.primary.key,
            new_version,
            &context,
            &version.envelope,
        )?)
    }

    /// The account's keys as they are in the database now.
    pub(super) async fn fresh_keys(&self, store: &Store, scope: &AccountScope) -> Result<Arc<AccountKeys>, VaultError> {
        self.forget(scope.account_sid());
        self.keys(store, scope).await
    }

    /// The account's keys, unwrapped. A change asks for them before it begins, so that nobody who holds a connection to
    /// the database waits for a second one.
    pub(super) async fn keys(&self, store: &Store, scope: &AccountScope) -> Result<Arc<AccountKeys>, VaultError> {
        let account_sid = scope.account_sid();
        let known = self.keys.get(account_sid);
        let result = if known.is_some() { "hit" } else { "miss" };
        self.metrics.account_key_cache.of([result.into()]).inc();
        if let Some(keys) = known {
            return Ok(keys);
        }
        let moment = self.keys.moment();
        let (mut primary, mut previous) = (None, Vec::new());
        for wrapped in store.account_keys(scope).await? {
            let key = VersionedKey {
                version: wrapped.version,
                key: self.unwrap(account_sid, &wrapped).step("keyring.unwrap").await?,
            };
            if wrapped.is_primary {
                primary = Some(key);
            } else {
                previous.push(key);
            }
        }
        let keys = Arc::new(AccountKeys {
            primary: primary.ok_or(StoreError::Malformed("account_keys has no primary key of the account"))?,
            previous,
        });
        self.keys
            .keep(&moment, account_sid.clone(), account_sid.clone(), Arc::clone(&keys));
        Ok(keys)
    }

    /// Forgets the account's keys, so that they are read anew; false when that was tried often enough.
    pub(super) fn try_again(&self, account_sid: &AccountSid, patience: &mut Patience) -> bool {
        self.forget(account_sid);
        patience.0 = patience.0.saturating_sub(1);
        patience.0 > 0
    }

    /// Brings the gauge of the keys in memory up to date.
    pub(super) fn measure(&self) {
        let entries = i64::try_from(self.keys.len()).unwrap_or(i64::MAX);
        self.metrics.account_key_cache_entries.set(entries);
    }

    fn forget(&self, account_sid: &AccountSid) {
        self.keys.forget(&KeyChanges::Of(HashSet::from([account_sid.clone()])));
    }

    /// The root key with that fingerprint, if it can be used here.
    pub(super) fn root(&self, kek_id: &KekId) -> Result<&RootKey, KmsError> {
        let root = self.roots.iter().find(|root| root.id() == kek_id);
        root.ok_or_else(|| KmsError::Unknown {
            needed: kek_id.to_string(),
            found: self.kek_ids(),
        })
    }

    async fn unwrap(&self, account_sid: &AccountSid, wrapped: &WrappedAccountKey) -> Result<AccountKey, VaultError> {
        let context = self.account_key_context(account_sid, wrapped.version)?;
        Ok(self.root(&wrapped.kek_id)?.unwrap(&wrapped.wrapped, &context).await?)
    }

    /// What an account key is bound to when it is wrapped.
    pub(super) fn account_key_context<'a>(
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

impl<'a> VersionContext<'a> {
    /// That of a stored version.
    fn of(version: &'a CredentialVersion) -> Self {
        Self {
            credential_sid: &version.credential_sid,
            push_service: version.push_service,
            sandbox: version.sandbox,
            version: version.version,
        }
    }
}

impl AccountKeys {
    /// The version of the primary key.
    pub(super) fn primary_version(&self) -> i32 {
        self.primary.version
    }

    /// Whether a version is the primary key or a previous one.
    pub(super) fn state_of(&self, version: u32) -> &'static str {
        if u32::try_from(self.primary.version) == Ok(version) {
            "primary"
        } else {
            "previous"
        }
    }

    /// The key of a version that an envelope names. One that is not there was not there when the keys were read, or is
    /// there no more.
    fn version(&self, version: u32) -> Result<&AccountKey, VaultError> {
        let mut all = self.previous.iter().chain([&self.primary]);
        let found = all.find(|key| u32::try_from(key.version) == Ok(version));
        found.map(|key| &key.key).ok_or(VaultError::StaleKeys)
    }
}

fn copy_for(recipient: &str, key: &AccountKey, context: &AccountKeyContext<'_>) -> Result<RecoveryCopy, CryptoError> {
    Ok(RecoveryCopy {
        copy: RecoveryRecipient::parse(recipient)?.wrap(key, context)?,
        recipient: recipient.to_owned(),
    })
}

/// Versions count from 1; the schema says so too.
fn positive(version: i32) -> Result<u32, CryptoError> {
    u32::try_from(version).map_err(|_| CryptoError::MalformedEnvelope)
}
