//! Recovery: every account key is encrypted to an offline recipient too, so that the loss of the root key is not the loss
//! of the data.

use pushvault_crypto::{RecoveryKey, RecoveryRecipient};
use serde_json::json;

use super::error::VaultError;
use super::vault::Vault;
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::recovery::{RecoveryError, RecoveryRecipientRecord, RecoveryRecipientState};
use crate::domain::sid::AccountSid;
use crate::store::{Store, StoredAccountKey};

/// Account keys that are encrypted, or looked at, in one go.
pub(super) const BATCH: i64 = 200;

/// How recovery stands.
#[derive(Debug)]
pub struct RecoveryStatus {
    /// Every recipient that there ever was, the oldest first.
    pub recipients: Vec<RecoveryRecipientRecord>,
    /// How many account keys are not encrypted to the primary one.
    pub account_keys_without_copy: i64,
}

/// What a recovery key opened.
#[derive(Debug, Default)]
pub struct RecoveryVerification {
    /// Account keys that it gives back as the root key does.
    pub opened: u64,
    /// Those that it does not.
    pub problems: Vec<RecoveryProblem>,
}

/// An account key that a recovery key does not give back.
#[derive(Debug)]
pub struct RecoveryProblem {
    /// The account.
    pub account_sid: AccountSid,
    /// The version of its key.
    pub version: i32,
    /// What is wrong.
    pub problem: String,
}

impl RecoveryStatus {
    /// To whom account keys are encrypted now.
    pub fn primary(&self) -> Option<&RecoveryRecipientRecord> {
        let mut recipients = self.recipients.iter();
        recipients.find(|recipient| recipient.state == RecoveryRecipientState::Primary)
    }

    /// Refuses a recovery key to whose recipient no account key is encrypted.
    pub(super) fn require(&self, recipient: &RecoveryRecipient) -> Result<(), VaultError> {
        let found = recipient.encode()?;
        let in_use: Vec<_> = self
            .recipients
            .iter()
            .filter(|recipient| recipient.state == RecoveryRecipientState::Primary || recipient.account_keys > 0)
            .map(|recipient| recipient.recipient.as_str())
            .collect();
        if in_use.is_empty() {
            return Err(RecoveryError::NotSetUp.into());
        }
        if !in_use.contains(&found.as_str()) {
            let expected = in_use.join(" or ");
            return Err(RecoveryError::WrongKey { expected, found }.into());
        }
        Ok(())
    }
}

pub(super) async fn status(store: &Store) -> Result<RecoveryStatus, VaultError> {
    let recipients = store.recovery_recipients().await?;
    let mut status = RecoveryStatus {
        recipients,
        account_keys_without_copy: 0,
    };
    let primary = status.primary().map(|primary| primary.recipient.as_str());
    status.account_keys_without_copy = store.account_keys_without_copy(primary).await?;
    Ok(status)
}

/// What is wrong with the copy of an account key, before it is opened.
pub(super) fn missing_copy(key: &StoredAccountKey, recipient: &str) -> Option<String> {
    match &key.recovery {
        None => Some("there is no copy of it".to_owned()),
        Some(recovery) if recovery.recipient != recipient => {
            Some(format!("its copy is encrypted to {}", recovery.recipient))
        }
        Some(_) => None,
    }
}

impl Vault {
    /// How recovery stands.
    pub async fn recovery_status(&self) -> Result<RecoveryStatus, VaultError> {
        status(&self.store).await
    }

    /// Makes a recipient the one that account keys are encrypted to from now on, also those that are made meanwhile.
    pub async fn set_recovery_recipient(
        &self,
        context: &RequestContext,
        recipient: &RecoveryRecipient,
        replace: bool,
    ) -> Result<(), VaultError> {
        let (recipient, before) = (recipient.encode()?, self.store.primary_recovery_recipient().await?);
        let action = if before.is_some() {
            Action::RecoveryReplace
        } else {
            Action::RecoveryInit
        };
        let mut change = self.store.begin().await?;
        if !change.insert_recovery_recipient(&recipient, replace).await? {
            return Err(RecoveryError::AlreadySetUp(before.unwrap_or_default()).into());
        }
        let event = AuditEvent {
            target_sid: Some(recipient),
            before: before.map(|recipient| json!({ "recipient": recipient })),
            ..AuditEvent::new(context, &AccountSid::deployment(), action, Outcome::Success)?
        };
        Ok(change.commit(event).await?)
    }

    /// Encrypts every account key to the primary recipient that is not yet, and retires those whom nothing is encrypted to
    /// any more; says how many keys were left to be done. What was done stays done, however this ends.
    pub async fn copy_account_keys(&self, context: &RequestContext) -> Result<usize, VaultError> {
        let recipient = self.store.primary_recovery_recipient().await?;
        let recipient = recipient.ok_or(RecoveryError::NotSetUp)?;
        let mut done = 0;
        loop {
            let mut change = self.store.begin().await?;
            let batch = change.lock_account_keys_without_copy(&recipient, BATCH).await?;
            if batch.is_empty() {
                break;
            }
            for key in &batch {
                let recovery = self.keyring.recovery_copy(key, &recipient).await?;
                change.set_recovery_copy(key, &recovery).await?;
            }
            done += batch.len();
            change
                .commit(batch_event(context, Action::RecoveryCopy, &recipient, batch.len())?)
                .await?;
        }
        let mut change = self.store.begin().await?;
        let retired = change.retire_recovery_recipients().await?;
        if !retired.is_empty() {
            let event = AuditEvent {
                target_sid: Some(recipient),
                after: Some(json!({ "retired": retired })),
                ..AuditEvent::new(
                    context,
                    &AccountSid::deployment(),
                    Action::RecoveryRetire,
                    Outcome::Success,
                )?
            };
            change.commit(event).await?;
        }
        Ok(done)
    }

    /// Takes the operator's word that the private half of a retired recipient is destroyed.
    pub async fn destroy_recovery_recipient(
        &self,
        context: &RequestContext,
        recipient: &str,
    ) -> Result<(), VaultError> {
        let mut change = self.store.begin().await?;
        if !change.destroy_recovery_recipient(recipient).await? {
            return Err(RecoveryError::NotRetired(recipient.to_owned()).into());
        }
        let event = AuditEvent {
            target_sid: Some(recipient.to_owned()),
            ..AuditEvent::new(
                context,
                &AccountSid::deployment(),
                Action::RecoveryDestroy,
                Outcome::Success,
            )?
        };
        Ok(change.commit(event).await?)
    }

    /// Opens every copy with the private half, and compares what comes out with what the root key unwraps.
    pub async fn verify_recovery(&self, key: &RecoveryKey) -> Result<RecoveryVerification, VaultError> {
        self.recovery_status().await?.require(&key.recipient())?;
        let recipient = key.recipient().encode()?;
        let mut verification = RecoveryVerification::default();
        let mut last: Option<StoredAccountKey> = None;
        loop {
            let batch = self.store.stored_account_keys_after(last.as_ref(), None, BATCH).await?;
            for stored in &batch {
                match self.problem_of_copy(key, &recipient, stored).await? {
                    None => verification.opened += 1,
                    Some(problem) => verification.problems.push(RecoveryProblem {
                        account_sid: stored.account_sid.clone(),
                        version: stored.version,
                        problem,
                    }),
                }
            }
            match batch.into_iter().last() {
                Some(stored) => last = Some(stored),
                None => return Ok(verification),
            }
        }
    }

    async fn problem_of_copy(
        &self,
        key: &RecoveryKey,
        recipient: &str,
        stored: &StoredAccountKey,
    ) -> Result<Option<String>, VaultError> {
        if let Some(problem) = missing_copy(stored, recipient) {
            return Ok(Some(problem));
        }
        let context = self.keyring.account_key_context(&stored.account_sid, stored.version)?;
        let copy = stored.recovery.as_ref().map(|recovery| recovery.copy.as_slice());
        let copied = match key.unwrap(copy.unwrap_or_default(), &context) {
            Ok(copied) => copied,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let unwrapped = self.keyring.unwrap_stored(stored).await?;
        Ok((!unwrapped.is_same(&copied)).then(|| "its copy holds another key".to_owned()))
    }
}

/// The event of a batch of account keys.
pub(super) fn batch_event(
    context: &RequestContext,
    action: Action,
    target: &str,
    account_keys: usize,
) -> Result<AuditEvent, VaultError> {
    Ok(AuditEvent {
        target_sid: Some(target.to_owned()),
        after: Some(json!({ "account_keys": account_keys })),
        ..AuditEvent::new(context, &AccountSid::deployment(), action, Outcome::Success)?
    })
}
