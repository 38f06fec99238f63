//! What is done with the sealed audit trail: verify, export, prove, prune.

use std::io;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::error::VaultError;
use super::sealed::LostKey;
use super::vault::Vault;
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::sid::{AccountSid, EventSid};
use crate::domain::text::rfc_3339_micros;
use crate::store::{StoredEvent, StoredLeaf};
use crate::telemetry::chain;
use crate::trail::{
    Authenticity, Checkpoint, Entry, ExportFormat, ExportHeader, Grace, Hash, Hashes, Leaf, MOST_LEAVES, Problem,
    Proof, TrailError, Verdict, Verifier, checkpoint_line, hashes_before, header_line, leaf_line, positions_of_edge,
    stray_line,
};

/// Leaves that are read at a time.
const BATCH: u64 = 1000;

/// Events in no leaf that are told of, at most.
const MOST_STRAYS: i64 = 100;

/// Waiting events that are looked after, at most: when it is asked for them, what had piled up is sealed.
const MOST_OVERDUE: i64 = 10_000;

/// What the trail was found to be.
pub struct TrailReport {
    /// What was found.
    pub verdict: Verdict,
    /// The newest checkpoint.
    pub newest: Option<Checkpoint>,
    /// Why what waits could not be sealed before.
    pub unsealed: Option<String>,
    /// Checkpoints that were given and cover only what was pruned: nothing is left to hold them against.
    pub too_old: usize,
}

/// Takes the lines of an export.
pub(super) type Write<'a> = &'a mut (dyn FnMut(&Value) -> io::Result<()> + Send);

impl Vault {
    /// Seals what waits; then verifies every leaf, every hash and every checkpoint, and these checkpoints from elsewhere.
    pub async fn verify_trail(&self, checkpoints: &[Checkpoint]) -> Result<TrailReport, VaultError> {
        let unsealed = self.seal_if_it_fits().await?;
        let lost = self.lost_keys().await?;
        // They have their turn before this ends, or somebody keeps them from it.
        let overdue = self.store.waiting(MOST_OVERDUE).await?;
        let first = self.store.pruned().await?;
        let (end, covered) = self.store.extent().await?;
        let edge = self.store.hashes(&positions_of_edge(first)).await?;
        let verifier = edge
            .at(&positions_of_edge(first))
            .and_then(|edge| Verifier::new(first, &edge));
        let mut verifier = verifier.unwrap_or_else(|_| Verifier::without_edge(first));
        let (old, checkpoints): (Vec<_>, Vec<_>) = checkpoints.iter().partition(|given| given.size() < first);
        for checkpoint in checkpoints {
            self.hold(&mut verifier, Some(checkpoint), checkpoint.size(), &lost)?;
        }
        if end > MOST_LEAVES {
            verifier.find_at(MOST_LEAVES, Problem::LeafGone);
        }
        let end = end.min(MOST_LEAVES);
        let mut from = first;
        while from < end {
            let mut to = end.min(from + BATCH);
            let (entries, hashes) = self.entries(from, to, &lost).await?;
            let is_gap = entries.iter().all(|entry| entry.leaf.is_none() && entry.hash.is_none());
            if is_gap {
                // Leaves that are said to be far away: the next one finds that those between are gone.
                to = self.store.next_leaf(to).await?.map_or(end, |next| next.min(end));
            }
            self.hold_stored(&mut verifier, from, to, &lost).await?;
            if !is_gap {
                verify_leaves(&mut verifier, &entries, &hashes)?;
            }
            from = to;
        }
        // What says that it covers more than there is.
        self.hold_stored(&mut verifier, end.max(first), covered, &lost).await?;
        let unsealed = match unsealed {
            None if !overdue.is_empty() => self.seal_if_it_fits().await?,
            unsealed => unsealed,
        };
        for (account_sid, event_sid) in self.store.stray_events(MOST_STRAYS, &overdue, None).await? {
            verifier.find_stray(account_sid, event_sid);
        }
        // While nothing can be sealed, there need be no leaf.
        let is_everything = end > 0 || unsealed.is_none();
        Ok(TrailReport {
            verdict: verifier.finish(is_everything),
            newest: self.store.newest_checkpoint().await.ok().flatten(),
            unsealed,
            too_old: old.len(),
        })
    }

    /// Holds the tree against the stored checkpoints with more leaves than `after`, and no more than `to`.
    async fn hold_stored(
        &self,
        verifier: &mut Verifier,
        after: u64,
        to: u64,
        lost: &[LostKey],
    ) -> Result<(), VaultError> {
        for (size, note) in self.store.checkpoints_between(after, to).await? {
            let checkpoint = Checkpoint::parse(&note)
                .ok()
                .filter(|checkpoint| checkpoint.size() == size);
            self.hold(verifier, checkpoint.as_ref(), size, lost)?;
        }
        Ok(())
    }

    /// Holds the tree against a checkpoint, if the key in use has signed it, or one that was lost after it.
    fn hold(
        &self,
        verifier: &mut Verifier,
        checkpoint: Option<&Checkpoint>,
        size: u64,
        lost: &[LostKey],
    ) -> Result<(), VaultError> {
        match checkpoint.filter(|checkpoint| self.is_signed(checkpoint, lost)) {
            Some(checkpoint) => verifier.expect(checkpoint)?,
            None => verifier.find_at(size.saturating_sub(1), Problem::Signature { size }),
        }
        Ok(())
    }

    /// Writes the trail as an export, from the first event that is not from before a time.
    pub async fn export_trail(
        &self,
        since: Option<OffsetDateTime>,
        format: ExportFormat,
        write: Write<'_>,
    ) -> Result<Option<String>, VaultError> {
        let unsealed = self.seal_if_it_fits().await?;
        let lost = self.lost_keys().await?;
        let (_, covered) = self.store.extent().await?;
        let newest = self.signed_up_to(MOST_LEAVES, &lost).await?.ok_or_else(nothing)?;
        let pruned = self.store.pruned().await?;
        // It begins where a checkpoint ends: who has that one can hold the export against it.
        let (first, before) = match since {
            Some(since) => {
                let leaf = self.store.first_leaf_since(since).await?.unwrap_or(newest.size());
                let before = self.signed_up_to(leaf, &lost).await?;
                (before.as_ref().map_or(0, Checkpoint::size).max(pruned), before)
            }
            None => (pruned, None),
        };
        let edge = self.store.hashes(&positions_of_edge(first)).await?;
        let left = edge.at(&positions_of_edge(first))?;
        let key = self.verifier_key();
        let mut header = ExportHeader::new(format, key.name(), key.to_string(), first, &left);
        header.is_everything = since.is_none();
        write(&header_line(&header)).map_err(|error| not_written(&error))?;
        let key = self.verifier_key();
        if let Some(before) = before.filter(|before| before.size() == first && before.is_signed_by(&key)) {
            write(&checkpoint_line(&before)).map_err(|error| not_written(&error))?;
        }
        let mut from = first;
        while from < newest.size() {
            let to = newest.size().min(from + BATCH);
            let (entries, _) = self.entries(from, to, &lost).await?;
            for entry in &entries {
                write(&leaf_line(format, entry)?).map_err(|error| not_written(&error))?;
            }
            from = to;
        }
        // Where nobody has signed what is said to be covered, nobody seals, and the tree does not grow.
        let covered = (covered > newest.size()).then_some(newest.size());
        for (account_sid, event_sid) in self.store.stray_events(MOST_STRAYS, &[], covered).await? {
            write(&stray_line(&account_sid, &event_sid)).map_err(|error| not_written(&error))?;
        }
        write(&checkpoint_line(&newest)).map_err(|error| not_written(&error))?;
        // One that nobody signed is in it too, so that it is named wherever the export is verified.
        let largest = self.store.checkpoint_up_to(MOST_LEAVES).await?;
        let largest = largest.and_then(|(_, note)| Checkpoint::parse(&note).ok());
        if let Some(forged) = largest.filter(|largest| !self.is_signed(largest, &lost)) {
            write(&checkpoint_line(&forged)).map_err(|error| not_written(&error))?;
        }
        Ok(unsealed)
    }

    /// Proves that an event is in the tree of the newest checkpoint.
    pub async fn prove_event(&self, event_sid: &EventSid) -> Result<Proof, VaultError> {
        self.seal().await?;
        let index = self.store.leaf_of(event_sid).await?.ok_or(VaultError::NotFound)?;
        let newest = self.store.newest_checkpoint().await?.ok_or_else(nothing)?;
        let lost = self.lost_keys().await?;
        let (entries, _) = self.entries(index, index + 1, &lost).await?;
        let leaf = entries.into_iter().next().and_then(|entry| entry.leaf);
        let leaf = leaf.ok_or(VaultError::NotFound)?.canonical()?;
        let hashes = self.store.hashes(&Proof::positions(index, &newest)?).await?;
        let proof = Proof::new(leaf, index, newest, &hashes)?;
        if proof.holds() {
            Ok(proof)
        } else {
            Err(VaultError::NotNow(format!(
                "event {event_sid} is not the one that was sealed: run `pushvault audit verify`"
            )))
        }
    }

    /// Cuts off everything below the largest checkpoint that covers only events from before a time. What is cut off must be
    /// whole until then. Answers how many leaves are gone by now, and how many events this cut off.
    pub async fn prune_trail(
        &self,
        context: &RequestContext,
        before: OffsetDateTime,
    ) -> Result<(u64, u64), VaultError> {
        self.require_keeper().await?;
        let report = self.verify_trail(&[]).await?;
        if !report.verdict.is_as_sealed() || report.unsealed.is_some() {
            return Err(VaultError::NotNow(
                "the audit trail is not whole, and pruning would remove what shows it: run `pushvault audit verify`"
                    .to_owned(),
            ));
        }
        let pruned = self.store.pruned().await?;
        let checkpoint = self.store.checkpoint_before(before).await?;
        let checkpoint = checkpoint
            .filter(|checkpoint| checkpoint.size() > pruned)
            .ok_or_else(|| {
                VaultError::NotNow(
                    "no signed checkpoint covers only events from before that time: nothing to prune".to_owned(),
                )
            })?;
        let (size, root) = (checkpoint.size(), checkpoint.root());
        let mut event = AuditEvent::new(context, &AccountSid::deployment(), Action::AuditPrune, Outcome::Success)?;
        let mut change = self.store.begin().await?;
        let below = hashes_before(size);
        let events = change
            .prune(size, &positions_of_edge(size), below, &event.event_sid)
            .await?;
        event.after = Some(json!({
            "tree_size": size,
            "root_hash": root.to_string(),
            "before": rfc_3339_micros(before),
            "events": events,
            "findings": report.verdict.count,
        }));
        if let (Some(Value::Object(after)), Some(grace)) = (&mut event.after, report.verdict.grace.to_json()) {
            after.insert(Grace::NAME.to_owned(), grace);
        }
        change.commit(event).await?;
        Ok((size, events))
    }

    /// Seals what waits. Where the trail is not what its checkpoint says, that is answered: it is to be looked at all the
    /// same.
    async fn seal_if_it_fits(&self) -> Result<Option<String>, VaultError> {
        match self.seal().await {
            Ok(_) => Ok(None),
            // A database that does not answer is none that was harmed.
            Err(error @ VaultError::Unavailable(_)) => Err(error),
            Err(error) => Ok(Some(chain(&error))),
        }
    }

    /// The leaves from one index up to another, as they are found, and the hashes that are stored of them.
    async fn entries(&self, from: u64, to: u64, lost: &[LostKey]) -> Result<(Vec<Entry>, Hashes), VaultError> {
        let leaves = self.store.leaves(from, to).await?;
        let mut events = self.store.events(&leaves).await?;
        let hashes = self
            .store
            .hashes_between(hashes_before(from), hashes_before(to))
            .await?;
        let mut leaves = leaves.into_iter().peekable();
        let mut entries = Vec::new();
        for index in from..to {
            let leaf = leaves.next_if(|leaf| leaf.index == index);
            let event = leaf
                .as_ref()
                .and_then(|leaf| events.remove(&(leaf.account_sid.clone(), leaf.event_sid.clone())));
            entries.push(self.entry(index, leaf, event, &hashes, lost)?);
        }
        Ok((entries, hashes))
    }

    fn entry(
        &self,
        index: u64,
        leaf: Option<StoredLeaf>,
        event: Option<StoredEvent>,
        hashes: &Hashes,
        lost: &[LostKey],
    ) -> Result<Entry, VaultError> {
        let mut is_altered = false;
        if let (Some(leaf), Some(event)) = (&leaf, &event)
            && leaf.authenticity == Authenticity::Authentic
        {
            let key = self.signer.audit_key()?;
            is_altered = match event.mac_key_id.as_deref() {
                // By a key that was lost later: nobody can check it any more.
                Some(id) if id != key.id() => !lost
                    .iter()
                    .any(|lost| lost.key.id() == id && lost.until.is_none_or(|until| index < until)),
                None => true,
                Some(_) => !key.fits(&event.record, event.mac.as_deref().unwrap_or_default())?,
            };
        }
        Ok(Entry {
            index,
            hash: hashes.of_leaf(index),
            leaf: leaf.map(|leaf| Leaf {
                authenticity: leaf.authenticity,
                account_sid: leaf.account_sid,
                event_sid: leaf.event_sid,
                event: event.map(|event| event.record),
            }),
            is_altered,
        })
    }
}

fn verify_leaves(verifier: &mut Verifier, entries: &[Entry], hashes: &Hashes) -> Result<(), TrailError> {
    for entry in entries {
        let stored = verifier.take(entry)?;
        let is_other = |(position, hash): &(u64, Hash)| hashes.get(*position) != Some(*hash);
        if entry.hash.is_some() && stored.iter().any(is_other) {
            verifier.find_at(entry.index, Problem::Hash);
        }
    }
    Ok(())
}

fn nothing() -> VaultError {
    VaultError::NotNow("nothing has been sealed yet: there is no checkpoint".to_owned())
}

fn not_written(error: &io::Error) -> VaultError {
    VaultError::NotNow(format!("the export could not be written: {error}"))
}
