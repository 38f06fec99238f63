//! A create that is sent again: answered as the first time, from what the first time made.

use super::error::VaultError;
use super::vault::Vault;
use crate::domain::credential::{Credential, NewCredential};
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::principal::AccountScope;

impl Vault {
    /// What an earlier create with this key answered. The key of another request is refused: whether the requests are the
    /// same is seen by opening the first version, which never changes, and comparing.
    pub(super) async fn first_answer(
        &self,
        scope: &AccountScope,
        key: &IdempotencyKey,
        new: &NewCredential,
    ) -> Result<Option<Credential>, VaultError> {
        let Some(first) = self.store.first_result(scope, key).await? else {
            return Ok(None);
        };
        let (version, secrets) = self.read_version(scope, &first.credential_sid, 1).await?;
        let is_same = first.friendly_name == new.friendly_name
            && version.push_service == new.push_service
            && version.sandbox == new.sandbox
            && secrets.same_as(&new.secrets);
        if !is_same {
            return Err(VaultError::IdempotencyKeyReused);
        }
        Ok(Some(Credential {
            account_sid: version.account_sid,
            credential_sid: version.credential_sid,
            friendly_name: first.friendly_name,
            push_service: version.push_service,
            sandbox: version.sandbox,
            current_version: version.version,
            date_created: first.date_created,
            date_updated: first.date_created,
        }))
    }
}
