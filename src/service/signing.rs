//! The signing key when the root key is rotated, and its public half.

use super::error::VaultError;
use super::signer::Signer;
use super::signing_key::signing_event;
use super::vault::Vault;
use crate::domain::audit::{Action, RequestContext};
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
