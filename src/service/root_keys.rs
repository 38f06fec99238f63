//! Root keys and their states: added, primary, previous, retired, destroyed.

use pushvault_crypto::KekId;
use serde::Serialize;
use serde_json::json;

use super::error::VaultError;
use super::presence::GONE_AFTER_SECONDS;
use super::progress::{Progress, busy};
use super::vault::Vault;
use crate::config::KekSettings;
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::root_key::{RootKeyRecord, RootKeyState};
use crate::domain::sid::AccountSid;
use crate::kms::{KmsError, RootKey};
use crate::store::{Rewrapped, StoreError, StoredAccountKey};

/// A root key as an operator sees it.
#[derive(Debug, Serialize)]
pub struct RootKeyReport {
    /// Its fingerprint.
    pub kek_id: String,
    /// Where it is.
    pub provider: &'static str,
    /// What it is for.
    pub state: &'static str,
    /// How many account keys are wrapped under it.
    pub account_keys: i64,
    /// Whether the settings of this command have it.
    pub is_configured: bool,
    /// The live replicas that can use it, of all that live.
    pub replicas: String,
}

impl Vault {
    /// Every root key that the database knows, the oldest first.
    pub async fn root_keys(&self) -> Result<Vec<RootKeyReport>, VaultError> {
        let counts = self.store.account_keys_by_root_key().await?;
        let live = self.store.live_replicas(GONE_AFTER_SECONDS).await?;
        let report = |record: RootKeyRecord| RootKeyReport {
            provider: record.origin.as_str(),
            state: record.state.as_str(),
            account_keys: counts
                .iter()
                .find(|(kek_id, _)| *kek_id == record.kek_id)
                .map_or(0, |(_, count)| *count),
            is_configured: self.keyring.has(&record.kek_id),
            replicas: format!(
                "{} of {}",
                live.iter().filter(|replica| replica.has(&record.kek_id)).count(),
                live.len()
            ),
            kek_id: record.kek_id.to_string(),
        };
        Ok(self.store.root_keys().await?.into_iter().map(report).collect())
    }

    /// Makes a root key known to the database. One that is known already stays as it is.
    pub async fn add_root_key(&self, context: &RequestContext, settings: &KekSettings) -> Result<KekId, VaultError> {
        let known = self.store.root_keys().await?;
        let added = match RootKey::unlock(settings, &known).await {
            Ok(root) => root,
            Err(_) => RootKey::new(settings).await?,
        };
        if let Some(record) = known.iter().find(|record| record.kek_id == *added.id()) {
            return match record.state {
                RootKeyState::Destroyed => Err(KmsError::Destroyed(added.id().to_string()).into()),
                _ => Ok(added.id().clone()),
            };
        }
        let mut change = self.store.begin().await?;
        if change.insert_root_key(&added.record(RootKeyState::Added)).await? {
            let event = event(context, Action::RootKeyAdd, added.id(), None, RootKeyState::Added)?;
            change.commit(event).await?;
        }
        Ok(added.id().clone())
    }

    /// Makes a root key the primary one: what is wrapped from now on is wrapped under it. Every replica that lives must be
    /// able to use it.
    pub async fn rotate_root_key(&self, context: &RequestContext, wanted: Option<&KekId>) -> Result<KekId, VaultError> {
        self.require_keeper().await?;
        let known = self.store.root_keys().await?;
        let next = match wanted {
            Some(kek_id) => known.iter().find(|record| record.kek_id == *kek_id),
            None => known.iter().find(|record| record.state == RootKeyState::Added),
        };
        let next = next.ok_or_else(|| {
            VaultError::NotNow(match wanted {
                Some(kek_id) => format!("the root key {kek_id} is not known: see `pushvault kek list`"),
                None => {
                    "no root key was added: configure the new one in [other_kek] and run `pushvault kek add`".to_owned()
                }
            })
        })?;
        self.require_here(&next.kek_id)?;
        self.require_everywhere(&next.kek_id).await?;
        let mut change = self.store.begin().await?;
        change.lock_root_keys().await?;
        let before = known.iter().find(|record| record.state == RootKeyState::Primary);
        if let Some(before) = before {
            if before.kek_id == next.kek_id {
                return Ok(next.kek_id.clone());
            }
            let from = [RootKeyState::Primary];
            if !change
                .move_root_key(&before.kek_id, &from, RootKeyState::Previous)
                .await?
            {
                return Err(VaultError::NotNow(
                    "another command has changed the primary root key meanwhile: see `pushvault kek list`".to_owned(),
                ));
            }
        }
        let from = [RootKeyState::Added, RootKeyState::Previous];
        if !change.move_root_key(&next.kek_id, &from, RootKeyState::Primary).await? {
            return Err(VaultError::NotNow(format!(
                "the root key {} is {}: only one that was added, or a previous one, becomes the primary key",
                next.kek_id,
                next.state.as_str()
            )));
        }
        let event = event(
            context,
            Action::RootKeyRotate,
            &next.kek_id,
            before.map(|record| &record.kek_id),
            RootKeyState::Primary,
        )?;
        change.commit(event).await?;
        Ok(next.kek_id.clone())
    }

    /// Wraps every account key under the primary root key. Can be ended at any moment and begun again. Returns how many
    /// keys it wrapped.
    pub async fn rewrap_account_keys(
        &self,
        context: &RequestContext,
        mut progress: Progress<'_>,
    ) -> Result<u64, VaultError> {
        self.require_keeper().await?;
        let _turn = self.store.rotation_turn().await?.ok_or_else(busy)?;
        let primary = self.store.primary_root_key().await?;
        let primary = primary.ok_or(StoreError::Malformed("root_keys has no primary key"))?;
        let root = self.keyring.root(&primary)?;
        let counts = self.store.account_keys_by_root_key().await?;
        let total = counts.iter().filter(|(kek_id, _)| *kek_id != primary);
        progress.expect(total.map(|(_, count)| *count).sum());
        let (mut last, mut broken) = (None::<StoredAccountKey>, Vec::new());
        loop {
            let batch = self
                .store
                .stored_account_keys_after(last.as_ref(), Some(&primary), progress.batch())
                .await?;
            if batch.is_empty() {
                self.rewrap_signing_key(context).await?;
                return all_unwrapped(&broken).map(|()| progress.done());
            }
            last = batch.last().cloned();
            let mut rewrapped = Vec::with_capacity(batch.len());
            for old in batch {
                let key = match self.keyring.unwrap_stored(&old).await {
                    // It stays as it is, and is told of when all others are done.
                    Err(VaultError::Crypto(_)) => {
                        broken.push(format!("version {} of account {}", old.version, old.account_sid));
                        continue;
                    }
                    key => key?,
                };
                let context = self.keyring.account_key_context(&old.account_sid, old.version)?;
                let new = root.wrap(&key, &context).await?;
                rewrapped.push(Rewrapped { old, new });
            }
            if rewrapped.is_empty() {
                continue;
            }
            let mut change = self.store.begin().await?;
            let count = change.rewrap_account_keys(&primary, &rewrapped).await?;
            let event = AuditEvent {
                target_sid: Some(primary.to_string()),
                after: Some(json!({ "account_keys": count })),
                ..AuditEvent::new(
                    context,
                    &AccountSid::deployment(),
                    Action::RootKeyRewrap,
                    Outcome::Success,
                )?
            };
            change.commit(event).await?;
            progress.add(count).await;
        }
    }

    /// Puts a root key out of use, under which nothing is wrapped any more.
    pub async fn retire_root_key(&self, context: &RequestContext, kek_id: &KekId) -> Result<(), VaultError> {
        self.end_root_key(
            context,
            kek_id,
            Action::RootKeyRetire,
            &[RootKeyState::Previous, RootKeyState::Added],
            RootKeyState::Retired,
        )
        .await
    }

    /// Declares a root key destroyed: it is never used again, although somebody may have a copy. No replica may have it.
    pub async fn destroy_root_key(&self, context: &RequestContext, kek_id: &KekId) -> Result<(), VaultError> {
        let live = self.store.live_replicas(GONE_AFTER_SECONDS).await?;
        let holders: Vec<_> = live
            .iter()
            .filter(|replica| replica.has(kek_id))
            .map(|replica| replica.replica_id.to_string())
            .collect();
        if !holders.is_empty() {
            return Err(VaultError::NotNow(format!(
                "{} replica(s) still have the root key {kek_id} in their settings ({}): take it out and restart them",
                holders.len(),
                holders.join(", ")
            )));
        }
        self.end_root_key(
            context,
            kek_id,
            Action::RootKeyDestroy,
            &[RootKeyState::Retired],
            RootKeyState::Destroyed,
        )
        .await
    }

    async fn end_root_key(
        &self,
        context: &RequestContext,
        kek_id: &KekId,
        action: Action,
        from: &[RootKeyState],
        to: RootKeyState,
    ) -> Result<(), VaultError> {
        self.require_keeper().await?;
        let known = self.store.root_keys().await?;
        let record = known.iter().find(|record| record.kek_id == *kek_id);
        let record = record.ok_or_else(|| {
            VaultError::NotNow(format!("the root key {kek_id} is not known: see `pushvault kek list`"))
        })?;
        let mut change = self.store.begin().await?;
        change.lock_root_keys().await?;
        let is_moved = change.move_root_key(kek_id, from, to).await?;
        // Counted after the state has changed: from then on nothing new is wrapped under it.
        let rows = change.count_keys_under(kek_id).await?;
        if rows > 0 {
            return Err(VaultError::NotNow(format!(
                "{rows} key(s) are wrapped under the root key {kek_id}: {}",
                match record.state {
                    RootKeyState::Primary => "make another one the primary key first (`pushvault kek rotate`)",
                    _ => "run `pushvault kek rewrap` first",
                }
            )));
        }
        if !is_moved {
            let needed: Vec<_> = from.iter().map(|state| state.as_str()).collect();
            return Err(VaultError::NotNow(format!(
                "the root key {kek_id} is {}, and has to be {} for that",
                record.state.as_str(),
                needed.join(" or ")
            )));
        }
        change.commit(event(context, action, kek_id, None, to)?).await?;
        Ok(())
    }

    fn require_here(&self, kek_id: &KekId) -> Result<(), VaultError> {
        self.keyring.root(kek_id)?;
        Ok(())
    }

    async fn require_everywhere(&self, kek_id: &KekId) -> Result<(), VaultError> {
        let live = self.store.live_replicas(GONE_AFTER_SECONDS).await?;
        let without: Vec<_> = live
            .iter()
            .filter(|replica| !replica.has(kek_id))
            .map(|replica| replica.replica_id.to_string())
            .collect();
        if without.is_empty() {
            return Ok(());
        }
        Err(VaultError::NotNow(format!(
            "{} of {} live replicas cannot use the root key {kek_id} ({}): configure it in [other_kek] and restart them; \
             a replica that was killed counts for {GONE_AFTER_SECONDS} seconds",
            without.len(),
            live.len(),
            without.join(", ")
        )))
    }
}

fn all_unwrapped(broken: &[String]) -> Result<(), VaultError> {
    if broken.is_empty() {
        return Ok(());
    }
    Err(VaultError::NotNow(format!(
        "{} account key(s) do not unwrap and stay under the old root key, all others are done: {}; restore them from a \
         backup and run the command again",
        broken.len(),
        broken.join(", ")
    )))
}

fn event(
    context: &RequestContext,
    action: Action,
    kek_id: &KekId,
    before: Option<&KekId>,
    state: RootKeyState,
) -> Result<AuditEvent, VaultError> {
    Ok(AuditEvent {
        target_sid: Some(kek_id.to_string()),
        before: before.map(|before| json!({ "primary": before.as_str() })),
        after: Some(json!({ "state": state.as_str() })),
        ..AuditEvent::new(context, &AccountSid::deployment(), action, Outcome::Success)?
    })
}
