//! Keys of accounts that are rotated: a new one, and every credential version wrapped under it.

use data_encoding::HEXLOWER;
use serde_json::json;
use time::OffsetDateTime;

use super::error::VaultError;
use super::keyring::Patience;
use super::progress::{Progress, busy};
use super::vault::Vault;
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::principal::AccountScope;
use crate::store::{CredentialVersion, Rewrapped};

/// What the rotation of an account's key came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AccountKeyRotation {
    /// The version of the key that is the primary one now.
    pub version: i32,
    /// Credential versions that were wrapped anew.
    pub rewrapped: u64,
    /// Versions of the account's key that were destroyed.
    pub destroyed: Vec<i32>,
    /// Why none was, if something does not open, which a previous key may still be needed for.
    pub obstacle: Option<String>,
}

impl Vault {
    /// Gives an account a new key, wraps every credential version under it, proves that each opens, and destroys the old
    /// key. Can be ended at any moment: a key that was made since `made_before` is not replaced again, and what was begun
    /// with it is brought to its end.
    pub async fn rotate_account_key(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        made_before: Option<OffsetDateTime>,
        progress: &mut Progress<'_>,
    ) -> Result<AccountKeyRotation, VaultError> {
        self.require_keeper().await?;
        let _turn = self.store.rotation_turn().await?.ok_or_else(busy)?;
        let made = self.store.primary_account_key_made(scope).await?;
        let made = made.ok_or(VaultError::NotFound)?;
        if made_before.is_none_or(|limit| made < limit) {
            self.new_primary_account_key(context, scope).await?;
        }
        let done_before = progress.done();
        let version = self.rewrap_credentials(context, scope, progress).await?;
        let obstacle = self.obstacle(scope).await?;
        let destroyed = match obstacle {
            None => self.destroy_idle_account_keys(context, scope).await?,
            Some(_) => Vec::new(),
        };
        Ok(AccountKeyRotation {
            version,
            rewrapped: progress.done() - done_before,
            destroyed,
            obstacle,
        })
    }

    async fn new_primary_account_key(&self, context: &RequestContext, scope: &AccountScope) -> Result<(), VaultError> {
        let mut patience = Patience::new();
        loop {
            let keys = self.store.account_keys(scope).await?;
            let version = keys.iter().map(|key| key.version).max().unwrap_or(0) + 1;
            let key = self
                .keyring
                .new_account_key(&self.store, scope.account_sid(), version)
                .await?;
            let mut change = self.store.begin().await?;
            let before = change.demote_account_key(scope).await?;
            let inserted = change.insert_account_key(scope.account_sid(), &key).await;
            match inserted.map_err(VaultError::from) {
                Err(VaultError::StaleKeys) if self.keyring.try_again(scope.account_sid(), &mut patience) => {}
                inserted => {
                    inserted?;
                    let event = AuditEvent {
                        target_sid: Some(scope.account_sid().to_string()),
                        before: Some(json!({ "account_key": before })),
                        after: Some(json!({ "account_key": version })),
                        ..AuditEvent::new(context, scope.account_sid(), Action::AccountRotateKey, Outcome::Success)?
                    };
                    change.commit(event).await?;
                    return Ok(());
                }
            }
        }
    }

    /// Wraps what is sealed under previous keys of the account under its primary key. Returns which that is.
    async fn rewrap_credentials(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        progress: &mut Progress<'_>,
    ) -> Result<i32, VaultError> {
        let keys = self.keyring.fresh_keys(&self.store, scope).await?;
        let primary = keys.primary_version();
        progress.expect(self.store.count_versions_not_under(scope, primary).await?);
        let mut last: Option<CredentialVersion> = None;
        loop {
            let batch = self
                .store
                .versions_not_under(scope, primary, last.as_ref(), progress.batch())
                .await?;
            if batch.is_empty() {
                return Ok(primary);
            }
            let (mut rewrapped, mut digests) = (Vec::new(), Vec::new());
            last = batch.last().cloned();
            for old in batch {
                // A row that is not what was stored must not get a digest that says that it is. It stays as it is, and
                // the proof finds it.
                if old.envelope.digest().as_slice() != old.envelope_digest {
                    continue;
                }
                let envelope = match self.keyring.rewrap(&keys, scope, &old) {
                    Err(VaultError::Crypto(_) | VaultError::StaleKeys) => continue,
                    envelope => envelope?,
                };
                digests.push(envelope.digest().to_vec());
                let new = envelope.dek_envelope;
                rewrapped.push(Rewrapped { old, new });
            }
            if rewrapped.is_empty() {
                continue;
            }
            let mut change = self.store.begin().await?;
            let done = change.rewrap_versions(scope, &rewrapped, &digests).await?;
            let count = done.len();
            let versions: Vec<_> = done
                .into_iter()
                .map(|(credential_sid, version, digest)| {
                    json!({
                        "credential_sid": credential_sid,
                        "version": version,
                        "envelope_digest": HEXLOWER.encode(&digest),
                    })
                })
                .collect();
            let event = AuditEvent {
                target_sid: Some(scope.account_sid().to_string()),
                after: Some(json!({ "account_key": primary, "credential_versions": versions })),
                ..AuditEvent::new(context, scope.account_sid(), Action::AccountRewrap, Outcome::Success)?
            };
            change.commit(event).await?;
            progress.add(u64::try_from(count).unwrap_or(u64::MAX)).await;
        }
    }

    /// Opens every version of the account's credentials, and says what is wrong if one does not open.
    async fn obstacle(&self, scope: &AccountScope) -> Result<Option<String>, VaultError> {
        let report = self.verify_account(scope).await?;
        Ok(report.findings.first().map(|finding| {
            format!(
                "{} credential version(s) of account {} do not open, so that no key of it is destroyed; the first is {} \
                 version {}: {}; `pushvault kek verify` names all",
                report.findings.len(),
                finding.account_sid,
                finding.credential_sid,
                finding.version,
                finding.problem
            )
        }))
    }

    async fn destroy_idle_account_keys(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
    ) -> Result<Vec<i32>, VaultError> {
        let mut change = self.store.begin().await?;
        let destroyed = change.destroy_idle_account_keys(scope).await?;
        if !destroyed.is_empty() {
            let event = AuditEvent {
                target_sid: Some(scope.account_sid().to_string()),
                after: Some(json!({ "destroyed": destroyed })),
                ..AuditEvent::new(
                    context,
                    scope.account_sid(),
                    Action::AccountDestroyKey,
                    Outcome::Success,
                )?
            };
            change.commit(event).await?;
        }
        Ok(destroyed)
    }
}
