//! A key that signs, with the name that its notes bear. The events of the audit trail are authenticated by it too.

use std::sync::Arc;

use pushvault_crypto::{CryptoError, DeploymentId, SignaturePublicKey, SigningKey, SigningKeyContext};

use super::error::{OpenError, VaultError};
use crate::kms::{KmsError, RootKey};
use crate::store::WrappedSigningKey;
use crate::trail::{AuditKey, Checkpoint, TrailError, Tree, VerifierKey};

/// A signing key with the name that its notes bear.
pub(super) struct Signer {
    name: String,
    key: SigningKey,
}

impl Signer {
    /// Whose notes those of a deployment are.
    pub(super) fn name_of(deployment_id: &DeploymentId) -> String {
        let id = uuid::Uuid::from_bytes(*deployment_id.as_bytes());
        format!("pushvault-{id}")
    }

    /// Draws a key, and wraps it under a root key.
    pub(super) async fn draw(
        root: &RootKey,
        deployment_id: &DeploymentId,
    ) -> Result<(Self, WrappedSigningKey), KmsError> {
        let signer = Self {
            name: Self::name_of(deployment_id),
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
            name: Self::name_of(deployment_id),
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

    /// Wraps it anew, under another root key.
    pub(super) async fn wrap(&self, root: &RootKey, deployment_id: &DeploymentId) -> Result<Vec<u8>, KmsError> {
        let key_id = self.id();
        let context = SigningKeyContext {
            deployment_id,
            key_id: &key_id,
        };
        root.wrap_signing_key(&self.key, &context).await
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
