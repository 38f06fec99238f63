//! The signing key in use: made where there is none, wrapped anew when the root key is rotated.

use pushvault_crypto::CryptoError;

use super::error::{OpenError, VaultError};
use super::keyring::Keyring;
use super::signer::Signer;
use super::vault::Vault;
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::sid::AccountSid;
use crate::store::{Store, StoreError};
use crate::trail::VerifierKey;

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
        let wrapped = signer.wrap(self.keyring.root(&primary)?, deployment_id).await?;
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

/// The key in use, by which the store authenticates events from then on. Where there is none, as in a database of an
/// earlier release, it is made.
pub(super) async fn open_signer(
    store: &Store,
    keyring: &Keyring,
    context: &RequestContext,
) -> Result<Signer, OpenError> {
    let signer = match store.signing_key().await? {
        Some(stored) => Signer::unwrap(keyring.root(&stored.kek_id)?, keyring.deployment_id(), &stored).await?,
        None => make(store, keyring, context).await?,
    };
    store.set_audit_key(signer.audit_key()?);
    Ok(signer)
}

async fn make(store: &Store, keyring: &Keyring, context: &RequestContext) -> Result<Signer, OpenError> {
    let primary = store.primary_root_key().await?;
    let primary = primary.ok_or(StoreError::Malformed("root_keys has no primary key"))?;
    let (signer, wrapped) = Signer::draw(keyring.root(&primary)?, keyring.deployment_id()).await?;
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
    Signer::unwrap(keyring.root(&stored.kek_id)?, keyring.deployment_id(), &stored).await
}

fn signing_event(context: &RequestContext, action: Action, key_id: &str) -> Result<AuditEvent, CryptoError> {
    Ok(AuditEvent {
        target_sid: Some(key_id.to_owned()),
        ..AuditEvent::new(context, &AccountSid::deployment(), action, Outcome::Success)?
    })
}
