//! Restoring a vault whose root key is lost, with the recovery key, under a new root key.

use std::sync::Arc;

use pushvault_crypto::{AccountKey, AccountKeyContext, CryptoError, DeploymentId, RecoveryKey};
use serde_json::json;

use super::error::{OpenError, VaultError};
use super::recovery::{BATCH, RecoveryProblem, batch_event, missing_copy, status};
use super::signer::Signer;
use super::vault::{Vault, require_current_schema};
use super::verify::VerifyReport;
use crate::config::{KekSettings, Settings};
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::recovery::RecoveryError;
use crate::domain::root_key::{RootKeyRecord, RootKeyState};
use crate::domain::sid::AccountSid;
use crate::kms::{KmsError, RootKey};
use crate::metrics::Metrics;
use crate::store::{Store, StoredAccountKey};
use crate::trail::VerifierKey;

/// A database whose root key is lost, and the root key that it is to have.
pub struct Restoration {
    store: Store,
    root: RootKey,
    deployment_id: DeploymentId,
}

/// What was brought back.
#[derive(Debug)]
pub struct RestoreReport {
    /// The root key that everything is wrapped under now.
    pub kek_id: String,
    /// Account keys that were wrapped anew.
    pub account_keys: usize,
    /// Account keys that were left behind.
    pub left_behind: Vec<RecoveryProblem>,
    /// What the new root key opens.
    pub verified: VerifyReport,
}

impl Restoration {
    /// Prepares to restore: looks at the schema, and gets the new root key. Changes nothing.
    pub async fn open(settings: &Settings) -> Result<Self, OpenError> {
        let store = Store::new(&settings.database, Arc::new(Metrics::new()))?;
        require_current_schema(&store).await?;
        let known = store.root_keys().await?;
        let root = new_root_key(&settings.kek, &known).await?;
        let deployment_id = store.deployment_id().await?;
        // Where an earlier try took over, there is a key again that authenticates events.
        if let Some(stored) = store.signing_key().await?.filter(|stored| stored.kek_id == *root.id()) {
            let signer = Signer::unwrap(&root, &deployment_id, &stored).await?;
            store.set_audit_key(signer.audit_key()?);
        }
        Ok(Self {
            store,
            root,
            deployment_id,
        })
    }

    /// Brings the vault back. What was done stays done, however this ends: another try goes on from there.
    pub async fn run(
        &self,
        settings: &Settings,
        context: &RequestContext,
        key: &RecoveryKey,
        incomplete: bool,
    ) -> Result<RestoreReport, VaultError> {
        status(&self.store).await?.require(&key.recipient())?;
        let left_behind = self.survey(key).await?;
        if let Some(first) = left_behind.first().filter(|_| !incomplete) {
            return Err(RecoveryError::Incomplete {
                count: left_behind.len(),
                account_sid: first.account_sid.clone(),
                version: first.version,
                problem: first.problem.clone(),
            }
            .into());
        }
        self.take_over(context).await?;
        let account_keys = self.rewrap(context, key).await?;
        let vault = Vault::open(settings, context).await?;
        let verified = vault.verify().await?;
        self.finish(context, account_keys, &verified).await?;
        Ok(RestoreReport {
            kek_id: self.root.id().to_string(),
            account_keys,
            left_behind,
            verified,
        })
    }

    /// Records an attempt that failed.
    pub async fn record_refusal(&self, context: &RequestContext, outcome: Outcome) -> Result<(), VaultError> {
        let event = AuditEvent {
            target_sid: Some(self.root.id().to_string()),
            ..AuditEvent::new(context, &AccountSid::deployment(), Action::RecoveryRestore, outcome)?
        };
        Ok(self.store.record(event).await?)
    }

    /// The account keys that the recovery key does not give back.
    async fn survey(&self, key: &RecoveryKey) -> Result<Vec<RecoveryProblem>, VaultError> {
        let recipient = key.recipient().encode()?;
        let (mut problems, mut last) = (Vec::new(), None::<StoredAccountKey>);
        loop {
            let batch = self.store.stored_account_keys_after(last.as_ref(), None, BATCH).await?;
            for stored in batch.iter().filter(|stored| stored.kek_id != *self.root.id()) {
                let problem = missing_copy(stored, &recipient)
                    .or_else(|| self.unwrap_copy(key, stored).err().map(|error| error.to_string()));
                problems.extend(problem.map(|problem| RecoveryProblem {
                    account_sid: stored.account_sid.clone(),
                    version: stored.version,
                    problem,
                }));
            }
            match batch.into_iter().last() {
                Some(stored) => last = Some(stored),
                None => return Ok(problems),
            }
        }
    }

    /// Makes the new root key the primary one.
    async fn take_over(&self, context: &RequestContext) -> Result<(), VaultError> {
        let known = self.store.root_keys().await?;
        let present = known.iter().find(|record| record.kek_id == *self.root.id());
        let lost = known.iter().find(|record| record.state == RootKeyState::Primary);
        match present.map(|record| record.state) {
            Some(RootKeyState::Primary) => return Ok(()),
            None | Some(RootKeyState::Added) => {}
            Some(state) => {
                return Err(RecoveryError::UsedRootKey {
                    kek_id: self.root.id().to_string(),
                    state: state.as_str(),
                }
                .into());
            }
        }
        let name = Signer::name_of(&self.deployment_id);
        let lost_key = self.store.signing_key().await?.and_then(|stored| {
            let key = stored.public_key.try_into().ok()?;
            Some(VerifierKey::of(&name, key).to_string())
        });
        let (signer, signing_key) = Signer::draw(&self.root, &self.deployment_id).await?;
        let audit_key = signer.audit_key()?;
        let mut change = self.store.begin().await?;
        change.lock_root_keys().await?;
        change.give_up_primary_root_key().await?;
        if present.is_some() {
            change.promote_root_key(self.root.id()).await?;
        } else {
            change.insert_root_key(&self.root.record(RootKeyState::Primary)).await?;
        }
        change.insert_signing_key(&signing_key).await?;
        change.authenticate_by(Arc::clone(&audit_key));
        let event = AuditEvent {
            target_sid: Some(self.root.id().to_string()),
            before: lost.map(|lost| json!({ "root_key": lost.kek_id.as_str(), "signing_key": lost_key })),
            after: Some(json!({ "root_key": self.root.id().as_str(), "signing_key": signing_key.key_id })),
            ..AuditEvent::new(
                context,
                &AccountSid::deployment(),
                Action::RecoveryRestore,
                Outcome::Success,
            )?
        };
        change.commit(event).await?;
        self.store.set_audit_key(audit_key);
        Ok(())
    }

    async fn rewrap(&self, context: &RequestContext, key: &RecoveryKey) -> Result<usize, VaultError> {
        let (mut done, mut last) = (0, None::<StoredAccountKey>);
        loop {
            let mut change = self.store.begin().await?;
            let batch = change
                .lock_account_keys_under_others(self.root.id(), last.as_ref(), BATCH)
                .await?;
            let mut wrapped = 0;
            for stored in &batch {
                // What does not open was left behind knowingly, or the survey would have stopped this.
                let Ok(account_key) = self.unwrap_copy(key, stored) else {
                    continue;
                };
                let place = self.place_of(stored)?;
                let anew = self.root.wrap(&account_key, &place).await?;
                change.set_wrapped_key(stored, self.root.id(), &anew).await?;
                wrapped += 1;
            }
            done += wrapped;
            if wrapped > 0 {
                let event = batch_event(context, Action::RecoveryRewrap, self.root.id().as_str(), wrapped)?;
                change.commit(event).await?;
            }
            match batch.into_iter().last() {
                Some(stored) => last = Some(stored),
                None => return Ok(done),
            }
        }
    }

    /// Retires the root keys that are no longer needed, and records what the proof found.
    async fn finish(
        &self,
        context: &RequestContext,
        account_keys: usize,
        verified: &VerifyReport,
    ) -> Result<(), VaultError> {
        let mut change = self.store.begin().await?;
        change.lock_root_keys().await?;
        let retired = change.retire_root_keys().await?;
        let event = AuditEvent {
            target_sid: Some(self.root.id().to_string()),
            after: Some(json!({
                "account_keys": account_keys,
                "opened": verified.opened,
                "findings": verified.findings.len() + verified.key_findings.len(),
                "retired": retired,
            })),
            ..AuditEvent::new(
                context,
                &AccountSid::deployment(),
                Action::RecoveryFinish,
                Outcome::Success,
            )?
        };
        Ok(change.commit(event).await?)
    }

    fn unwrap_copy(&self, key: &RecoveryKey, stored: &StoredAccountKey) -> Result<AccountKey, CryptoError> {
        let copy = stored.recovery.as_ref().map(|recovery| recovery.copy.as_slice());
        key.unwrap(copy.unwrap_or_default(), &self.place_of(stored)?)
    }

    fn place_of<'a>(&'a self, stored: &'a StoredAccountKey) -> Result<AccountKeyContext<'a>, CryptoError> {
        Ok(AccountKeyContext {
            deployment_id: &self.deployment_id,
            account_sid: stored.account_sid.as_str(),
            version: u32::try_from(stored.version).map_err(|_| CryptoError::MalformedContext)?,
        })
    }
}

/// The configured root key: one that an earlier try registered, or one that the database has never seen.
async fn new_root_key(settings: &KekSettings, known: &[RootKeyRecord]) -> Result<RootKey, KmsError> {
    match RootKey::unlock(settings, known).await {
        Ok(root) if known.iter().any(|record| record.kek_id == *root.id()) => Ok(root),
        Err(error @ (KmsError::NotConfigured | KmsError::Unreadable { .. })) => Err(error),
        _ => RootKey::new(settings).await,
    }
}
