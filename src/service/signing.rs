//! The key that signs what the vault says to those outside, and authenticates the events of its audit trail.

use std::sync::Arc;

use pushvault_crypto::{CryptoError, DeploymentId, SignaturePublicKey, SigningKey, SigningKeyContext};

use super::error::{OpenError, VaultError};
use super::keyring::Keyring;
use super::vault::Vault;
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::sid::AccountSid;
use crate::kms::{KmsError, RootKey};
use crate::store::{Store, StoreError, WrappedSigningKey};
use crate::trail::{AuditKey, Checkpoint, TrailError, Tree, VerifierKey};

/// A signing key with the name that its notes bear.
pub(super) struct Signer {
    name: String,
    key: SigningKey,
}

impl Signer {
    /// Draws a key, and wraps it under a root key.
    pub(super) async fn draw(
        root: &RootKey,
        deployment_id: &DeploymentId,
    ) -> Result<(Self, WrappedSigningKey), KmsError> {
        let signer = Self {
            name: name_of(deployment_id),
            key: SigningKey::generate()?,
        };
        let key_id = signer.id();
        let context = SigningKeyContext {
            deployment_id,
            key_id: &key_id,
        };
        let wrapped = WrappedSigningKey {
            public_key: signer.public_key().as_bytes().to_vec(),
            wrapped: root.wrap_signing_key(&signer.key, &context).await?,
            kek_id: root.id().clone(),
            key_id,
        };
        Ok((signer, wrapped))
    }

    /// Unwraps a stored key.
    pub(super) async fn unwrap(
        root: &RootKey,
        deployment_id: &DeploymentId,
        stored: &WrappedSigningKey,
    ) -> Result<Self, OpenError> {
        let context = SigningKeyContext {
            deployment_id,
            key_id: &stored.key_id,
        };
        let signer = Self {
            name: name_of(deployment_id),
            key: root
                .unwrap_signing_key(&stored.wrapped, &context)
                .await
                .map_err(|error| match error {
                    KmsError::Crypto(_) => OpenError::SigningKey(stored.key_id.clone()),
                    error => error.into(),
                })?,
        };
        if signer.id() == stored.key_id {
            Ok(signer)
        } else {
            Err(OpenError::SigningKey(stored.key_id.clone()))
        }
    }

    /// The key in use, by which the store authenticates events from then on. Where there is none, as in a database of an
    /// earlier release, it is made.
    pub(super) async fn open(store: &Store, keyring: &Keyring, context: &RequestContext) -> Result<Self, OpenError> {
        let signer = match store.signing_key().await? {
            Some(stored) => Self::unwrap(keyring.root(&stored.kek_id)?, keyring.deployment_id(), &stored).await?,
            None => Self::make(store, keyring, context).await?,
        };
        store.set_audit_key(signer.audit_key()?);
        Ok(signer)
    }

    async fn make(store: &Store, keyring: &Keyring, context: &RequestContext) -> Result<Self, OpenError> {
        let primary = store.primary_root_key().await?;
        let primary = primary.ok_or(StoreError::Malformed("root_keys has no primary key"))?;
        let (signer, wrapped) = Self::draw(keyring.root(&primary)?, keyring.deployment_id()).await?;
        let mut change = store.begin().await?;
        if change.insert_signing_key(&wrapped).await? {
            change.authenticate_by(signer.audit_key()?);
            change
                .commit(signing_event(context, Action::SigningKeyCreate, &wrapped.key_id)?)
                .await?;
            return Ok(signer);
        }
        // Another process was faster, and its key is the one.
        drop(change);
        let stored = store.signing_key().await?.ok_or(StoreError::StaleKey)?;
        Self::unwrap(keyring.root(&stored.kek_id)?, keyring.deployment_id(), &stored).await
    }

    /// Signs a text as a note.
    pub(super) fn sign(&self, text: &str) -> Result<String, VaultError> {
        Ok(self.key.sign_note(&self.name, text)?)
    }

    /// Signs the head of a tree.
    pub(super) fn sign_head(&self, tree: &Tree) -> Result<Checkpoint, TrailError> {
        Checkpoint::sign(&self.name, &self.key, tree)
    }

    pub(super) fn public_key(&self) -> SignaturePublicKey {
        self.key.public_key()
    }

    /// The public half, as those take it who verify.
    pub(super) fn verifier_key(&self) -> VerifierKey {
        VerifierKey::new(&self.name, self.public_key())
    }

    /// The key that authenticates events.
    pub(super) fn audit_key(&self) -> Result<Arc<AuditKey>, CryptoError> {
        AuditKey::new(self.id(), &self.key).map(Arc::new)
    }

    /// The id of the key.
    pub(super) fn id(&self) -> String {
        self.public_key().id(&self.name)
    }
}

impl Vault {
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
        let deployment_id = self.keyring.deployment_id();
        let signer = Signer::unwrap(self.keyring.root(&stored.kek_id)?, deployment_id, &stored).await?;
        let wrap_context = SigningKeyContext {
            deployment_id,
            key_id: &stored.key_id,
        };
        let root = self.keyring.root(&primary)?;
        let wrapped = root.wrap_signing_key(&signer.key, &wrap_context).await?;
        let mut change = self.store.begin().await?;
        if !change.rewrap_signing_key(&stored, &primary, &wrapped).await? {
            return Err(VaultError::StaleKeys);
        }
        change
            .commit(signing_event(context, Action::SigningKeyRewrap, &stored.key_id)?)
            .await?;
        Ok(true)
    }

    /// The public half of the key that signs checkpoints and statements.
    pub fn verifier_key(&self) -> VerifierKey {
        self.signer.verifier_key()
    }
}

/// Whose notes these are.
fn name_of(deployment_id: &DeploymentId) -> String {
    let id = uuid::Uuid::from_bytes(*deployment_id.as_bytes());
    format!("pushvault-{id}")
}

fn signing_event(context: &RequestContext, action: Action, key_id: &str) -> Result<AuditEvent, CryptoError> {
    Ok(AuditEvent {
        target_sid: Some(key_id.to_owned()),
        ..AuditEvent::new(context, &AccountSid::deployment(), action, Outcome::Success)?
    })
}
