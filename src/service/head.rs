//! The newest checkpoint: whether it continues what this process has seen before, and whose signature it is.

use std::sync::PoisonError;

use serde_json::Value;

use super::error::VaultError;
use super::sealed::{Continuation, LostKey};
use super::vault::Vault;
use crate::store::StoreError;
use crate::trail::{Checkpoint, VerifierKey, consistency_positions, is_consistent};

impl Vault {
    /// Looks at the newest checkpoint, whoever made it: it continues what this process has seen before, or the trail is not
    /// what it was.
    pub(super) async fn watch_head(&self) -> Result<(), VaultError> {
        // In this order: what another task of this process seals in the meantime is in neither, or in the latter alone.
        let seen = self.seen();
        let head = match self.store.newest_checkpoint().await {
            Err(StoreError::Malformed(_)) => return Err(VaultError::NotWhole("the newest checkpoint is none")),
            head => head?,
        };
        match (&seen, &head) {
            (None, None) => return Ok(()),
            (Some(_), None) => return Err(VaultError::NotWhole("the audit trail is shorter than it was")),
            (Some(seen), Some(head)) if seen.size() == head.size() && seen.root() == head.root() => return Ok(()),
            (Some(seen), Some(head)) if seen.size() > head.size() => {
                return Err(VaultError::NotWhole("the audit trail is shorter than it was"));
            }
            (Some(seen), Some(head)) => {
                if self.continuation(seen, head).await? == Continuation::Contradicted {
                    return Err(VaultError::NotWhole("the audit trail is not the one that it was"));
                }
            }
            (None, Some(_)) => {}
        }
        if let Some(head) = head {
            // To look for lost keys is far: the key in use is the one that signs.
            if !head.is_signed_by(&self.verifier_key()) && !self.is_signed(&head, &self.lost_keys().await?) {
                return Err(VaultError::NotWhole(
                    "the newest checkpoint of the audit trail is not signed by the vault's key",
                ));
            }
            self.remember(head);
        }
        Ok(())
    }

    /// How the newer checkpoint comes after the older one.
    pub(super) async fn continuation(
        &self,
        older: &Checkpoint,
        newer: &Checkpoint,
    ) -> Result<Continuation, VaultError> {
        let Ok(positions) = consistency_positions(older, newer) else {
            return Ok(Continuation::Contradicted);
        };
        let hashes = self.store.hashes(&positions).await?;
        Ok(if is_consistent(older, newer, &hashes) {
            Continuation::Proven
        } else if self.is_pruned_between(older.size(), newer.size()).await? {
            Continuation::Pruned
        } else {
            Continuation::Contradicted
        })
    }

    /// Whether an event of the vault's tells that leaves were cut off, beyond those of one tree and within another.
    async fn is_pruned_between(&self, older: u64, newer: u64) -> Result<bool, VaultError> {
        let prunings = self.store.prunings(older, newer).await?;
        let (audit_key, lost) = (self.signer.audit_key()?, self.lost_keys().await?);
        for event in prunings {
            let size = event.record.after.as_ref().and_then(|after| after.get("tree_size"));
            let is_within = size
                .and_then(Value::as_u64)
                .is_some_and(|size| older < size && size <= newer);
            let mac = event.mac.as_deref().unwrap_or_default();
            let is_ours = match event.mac_key_id.as_deref() {
                Some(id) if id == audit_key.id() => audit_key.fits(&event.record, mac)?,
                Some(id) => lost.iter().any(|lost| lost.key.id() == id),
                None => false,
            };
            if is_within && is_ours {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the key in use has signed a checkpoint, or one that was lost after it had.
    pub(super) fn is_signed(&self, checkpoint: &Checkpoint, lost: &[LostKey]) -> bool {
        checkpoint.is_signed_by(&self.verifier_key())
            || lost.iter().any(|lost| {
                lost.until.is_none_or(|until| checkpoint.size() <= until) && checkpoint.is_signed_by(&lost.key)
            })
    }

    /// The largest signed checkpoint with no more leaves than this. Somebody may have put others there.
    pub(super) async fn signed_up_to(
        &self,
        mut leaves: u64,
        lost: &[LostKey],
    ) -> Result<Option<Checkpoint>, VaultError> {
        while let Some((size, note)) = self.store.checkpoint_up_to(leaves).await? {
            let checkpoint = Checkpoint::parse(&note).ok();
            if let Some(checkpoint) = checkpoint.filter(|read| read.size() == size && self.is_signed(read, lost)) {
                return Ok(Some(checkpoint));
            }
            let Some(fewer) = size.checked_sub(1) else {
                break;
            };
            leaves = fewer;
        }
        Ok(None)
    }

    /// The keys that were lost with root keys, the latest first. Each is named by the event of the restore that replaced it.
    /// That event is authenticated by the key that came after: by the one in use, or by one that is lost by now; then it was
    /// sealed before the restore that followed.
    pub(super) async fn lost_keys(&self) -> Result<Vec<LostKey>, VaultError> {
        let audit_key = self.signer.audit_key()?;
        let (mut lost, mut successor) = (Vec::<LostKey>::new(), audit_key.id().to_owned());
        for (event, until) in self.store.restorations().await? {
            if event.mac_key_id.as_deref() != Some(&successor) {
                continue;
            }
            let is_credible = match lost.last() {
                None => audit_key.fits(&event.record, event.mac.as_deref().unwrap_or_default())?,
                Some(later) => until.is_some_and(|until| later.until.is_none_or(|later| until < later)),
            };
            if !is_credible {
                continue;
            }
            let named = event
                .record
                .before
                .as_ref()
                .and_then(|before| before.get("signing_key"));
            let Some(key) = named
                .and_then(Value::as_str)
                .and_then(|key| VerifierKey::parse(key).ok())
            else {
                continue;
            };
            successor = key.id();
            lost.push(LostKey { key, until });
        }
        Ok(lost)
    }

    /// Whether this is the checkpoint that was last looked at.
    pub(super) fn has_seen(&self, head: Option<&Checkpoint>) -> bool {
        match (self.seen(), head) {
            (None, None) => true,
            (Some(seen), Some(head)) => seen.size() == head.size() && seen.root() == head.root(),
            _ => false,
        }
    }

    fn seen(&self) -> Option<Checkpoint> {
        let sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        sealed.newest.clone()
    }

    /// Remembers a checkpoint, unless another task of this process has seen a newer one since.
    pub(super) fn remember(&self, checkpoint: Checkpoint) {
        let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        if sealed
            .newest
            .as_ref()
            .is_none_or(|seen| seen.size() < checkpoint.size())
        {
            sealed.newest = Some(checkpoint);
        }
    }
}
