//! What the vault says to those outside, and signs: the key, and notes under its name.

use pushvault_crypto::{SignaturePublicKey, SigningKey, SigningKeyContext};

use super::error::VaultError;
use super::vault::Vault;
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::sid::AccountSid;
use crate::store::{StoreError, WrappedSigningKey};

/// A signing key with the name that its notes bear.
pub(super) struct Signer {
    name: String,
    key: SigningKey,
}

impl Signer {
    /// Signs a text as a note.
    pub(super) fn sign(&self, text: &str) -> Result<String, VaultError> {
        Ok(self.key.sign_note(&self.name, text)?)
    }

    pub(super) fn public_key(&self) -> SignaturePublicKey {
        self.key.public_key()
    }

    /// The id of the key.
    pub(super) fn id(&self) -> String {
        self.public_key().id(&self.name)
    }
}

impl Vault {
    /// The signing key in use. The first time that one is needed it is made.
    pub(super) async fn signer(&self, context: &RequestContext) -> Result<Signer, VaultError> {
        let stored = match self.store.signing_key().await? {
            Some(stored) => stored,
            None => self.make_signing_key(context).await?,
        };
        let key = self.unwrap_signing_key(&stored).await?;
        let name = self.note_name();
        if key.public_key().id(&name) != stored.key_id {
            return Err(StoreError::Malformed("signing_keys.key_id").into());
        }
        Ok(Signer { name, key })
    }

    /// Wraps the signing key under the primary root key, where it is wrapped under another one; says whether it was. To be
    /// done with the account keys when the root key is rotated.
    pub async fn rewrap_signing_key(&self, context: &RequestContext) -> Result<bool, VaultError> {
        let (stored, primary) = (self.store.signing_key().await?, self.store.primary_root_key().await?);
        let (Some(stored), Some(primary)) = (stored, primary) else {
            return Ok(false);
        };
        if stored.kek_id == primary {
            return Ok(false);
        }
        let key = self.unwrap_signing_key(&stored).await?;
        let wrap_context = SigningKeyContext {
            deployment_id: self.keyring.deployment_id(),
            key_id: &stored.key_id,
        };
        let wrapped = self
            .keyring
            .root(&primary)?
            .wrap_signing_key(&key, &wrap_context)
            .await?;
        let mut change = self.store.begin().await?;
        if !change.rewrap_signing_key(&stored, &primary, &wrapped).await? {
            return Err(VaultError::StaleKeys);
        }
        change
            .commit(signing_event(context, Action::SigningKeyRewrap, &stored.key_id)?)
            .await?;
        Ok(true)
    }

    async fn make_signing_key(&self, context: &RequestContext) -> Result<WrappedSigningKey, VaultError> {
        let key = SigningKey::generate()?;
        let key_id = key.public_key().id(&self.note_name());
        let primary = self.store.primary_root_key().await?;
        let primary = primary.ok_or(StoreError::Malformed("root_keys has no primary key"))?;
        let wrap_context = SigningKeyContext {
            deployment_id: self.keyring.deployment_id(),
            key_id: &key_id,
        };
        let stored = WrappedSigningKey {
            public_key: key.public_key().as_bytes().to_vec(),
            wrapped: self
                .keyring
                .root(&primary)?
                .wrap_signing_key(&key, &wrap_context)
                .await?,
            kek_id: primary,
            key_id,
        };
        let mut change = self.store.begin().await?;
        if change.insert_signing_key(&stored).await? {
            change
                .commit(signing_event(context, Action::SigningKeyCreate, &stored.key_id)?)
                .await?;
            return Ok(stored);
        }
        // Another command was faster, and its key is the one.
        drop(change);
        self.store.signing_key().await?.ok_or(VaultError::StaleKeys)
    }

    async fn unwrap_signing_key(&self, stored: &WrappedSigningKey) -> Result<SigningKey, VaultError> {
        let context = SigningKeyContext {
            deployment_id: self.keyring.deployment_id(),
            key_id: &stored.key_id,
        };
        Ok(self
            .keyring
            .root(&stored.kek_id)?
            .unwrap_signing_key(&stored.wrapped, &context)
            .await?)
    }

    /// Whose notes these are.
    fn note_name(&self) -> String {
        let id = uuid::Uuid::from_bytes(*self.keyring.deployment_id().as_bytes());
        format!("pushvault-{id}")
    }
}

fn signing_event(context: &RequestContext, action: Action, key_id: &str) -> Result<AuditEvent, VaultError> {
    Ok(AuditEvent {
        target_sid: Some(key_id.to_owned()),
        ..AuditEvent::new(context, &AccountSid::deployment(), action, Outcome::Success)?
    })
}
