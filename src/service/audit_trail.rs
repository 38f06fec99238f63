//! What is done with the sealed audit trail: verify, prove, prune.

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
    Authenticity, Checkpoint, Entry, Grace, Hash, Hashes, Leaf, MOST_LEAVES, Problem, Proof, TrailError, Verdict,
    Verifier, hashes_before, positions_of_edge,
};

/// Leaves that are read at a time.
pub(super) const BATCH: u64 = 1000;

/// Events in no leaf that are told of, at most.
const MOST_STRAYS: i64 = 100;

/// Waiting events that are looked after, at most: when it is asked for them, what had piled up is sealed.
pub(super) const MOST_OVERDUE: i64 = 10_000;

/// How often a trail is verified of which something is cut off again and again.
const ATTEMPTS: usize = 5;

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

/// Leaves as they are found.
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    /// The hashes that are stored of them.
    pub(super) hashes: Hashes,
    /// Account and SID of events and leaves that are there twice: one of the two is none.
    pub(super) doubled: Vec<(String, String)>,
}

impl Vault {
    /// Seals what waits; then verifies every leaf, every hash and every checkpoint, and these checkpoints from elsewhere.
    pub async fn verify_trail(&self, checkpoints: &[Checkpoint]) -> Result<TrailReport, VaultError> {
        self.verify_whole(checkpoints, None).await
    }

    /// Verifies; where something is cut off in the meantime, once more from where the trail begins then.
    async fn verify_whole(
        &self,
        checkpoints: &[Checkpoint],
        before: Option<OffsetDateTime>,
    ) -> Result<TrailReport, VaultError> {
        let mut attempts = ATTEMPTS;
        loop {
            let unsealed = self.seal_if_it_fits().await?;
            let first = self.store.pruned().await?;
            let report = self.verify_from(first, unsealed, checkpoints, before).await?;
            attempts -= 1;
            if attempts == 0 || self.store.pruned().await? == first {
                return Ok(report);
            }
        }
    }

    async fn verify_from(
        &self,
        first: u64,
        unsealed: Option<String>,
        checkpoints: &[Checkpoint],
        before: Option<OffsetDateTime>,
    ) -> Result<TrailReport, VaultError> {
        let lost = self.lost_keys().await?;
        let overdue = self.store.waiting(MOST_OVERDUE).await?;
        let (end, covered) = self.store.extent().await?;
        let edge = self.store.hashes(&positions_of_edge(first)).await?;
        let verifier = edge
            .at(&positions_of_edge(first))
            .and_then(|edge| Verifier::new(first, &edge));
        let mut verifier = verifier.unwrap_or_else(|_| Verifier::without_edge(first));
        if let Some(before) = before {
            verifier.look_for_cut(before);
        }
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
            let Found {
                entries,
                hashes,
                doubled,
            } = self.entries(from, to, &lost).await?;
            let is_gap = entries.iter().all(|entry| entry.leaf.is_none() && entry.hash.is_none());
            if is_gap {
                // Leaves that are said to be far away: the next one finds that those between are gone.
                to = self.store.next_leaf(to).await?.map_or(end, |next| next.min(end));
            }
            self.hold_stored(&mut verifier, from, to, &lost).await?;
            if !is_gap {
                verify_leaves(&mut verifier, &entries, &hashes)?;
            }
            for (account_sid, event_sid) in doubled {
                verifier.find_stray(account_sid, event_sid);
            }
            from = to;
        }
        // What says that it covers more than there is.
        self.hold_stored(&mut verifier, end.max(first), covered, &lost).await?;
        let (unsealed, strays) = self.strays(unsealed, &overdue, None).await?;
        for (account_sid, event_sid) in strays {
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

    /// Events that are in no leaf, some of them. Those that waited before have had their turn by now, or somebody keeps them
    /// from it; where nothing can be sealed, nothing is said of them.
    pub(super) async fn strays(
        &self,
        unsealed: Option<String>,
        overdue: &[String],
        covered: Option<u64>,
    ) -> Result<(Option<String>, Vec<(String, String)>), VaultError> {
        let unsealed = match unsealed {
            None if !overdue.is_empty() => self.seal_if_it_fits().await?,
            unsealed => unsealed,
        };
        let overdue = if unsealed.is_none() { overdue } else { &[] };
        let strays = self.store.stray_events(MOST_STRAYS, overdue, covered).await?;
        Ok((unsealed, strays))
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

    /// Proves that an event is in the tree of the newest checkpoint.
    pub async fn prove_event(&self, event_sid: &EventSid) -> Result<Proof, VaultError> {
        self.seal().await?;
        let index = self.store.leaf_of(event_sid).await?.ok_or(VaultError::NotFound)?;
        let newest = self.store.newest_checkpoint().await?.ok_or_else(nothing)?;
        let lost = self.lost_keys().await?;
        let found = self.entries(index, index + 1, &lost).await?;
        let leaf = found.entries.into_iter().next().and_then(|entry| entry.leaf);
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
        let report = self.verify_whole(&[], Some(before)).await?;
        if !report.verdict.is_as_sealed() || report.unsealed.is_some() {
            return Err(VaultError::NotNow(
                "the audit trail is not whole, and pruning would remove what shows it: run `pushvault audit verify`"
                    .to_owned(),
            ));
        }
        let pruned = self.store.pruned().await?;
        // As it was verified, whatever the tables say by now.
        let cut = report.verdict.cut.filter(|(size, _)| *size > pruned);
        let (size, root) = cut.ok_or_else(|| {
            VaultError::NotNow(
                "no signed checkpoint covers only events from before that time: nothing to prune".to_owned(),
            )
        })?;
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
    pub(super) async fn seal_if_it_fits(&self) -> Result<Option<String>, VaultError> {
        match self.seal().await {
            Ok(_) => Ok(None),
            // A database that does not answer is none that was harmed.
            Err(error @ VaultError::Unavailable(_)) => Err(error),
            Err(error) => Ok(Some(chain(&error))),
        }
    }

    /// The leaves from one index up to another, as they are found, and the hashes that are stored of them.
    pub(super) async fn entries(&self, from: u64, to: u64, lost: &[LostKey]) -> Result<Found, VaultError> {
        let leaves = self.store.leaves(from, to).await?;
        let mut events = self.store.events(&leaves).await?;
        let hashes = self
            .store
            .hashes_between(hashes_before(from), hashes_before(to))
            .await?;
        let twice = events.iter().filter(|(_, event)| event.is_doubled);
        let mut doubled: Vec<_> = twice.map(|(key, _)| key.clone()).collect();
        let mut leaves = leaves.into_iter().peekable();
        let mut entries = Vec::new();
        for index in from..to {
            let leaf = leaves.next_if(|leaf| leaf.index == index);
            while let Some(other) = leaves.next_if(|other| other.index == index) {
                doubled.push((other.account_sid, other.event_sid));
            }
            let event = leaf
                .as_ref()
                .and_then(|leaf| events.remove(&(leaf.account_sid.clone(), leaf.event_sid.clone())));
            entries.push(self.entry(index, leaf, event, &hashes, lost)?);
        }
        Ok(Found {
            entries,
            hashes,
            doubled,
        })
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

pub(super) fn nothing() -> VaultError {
    VaultError::NotNow("nothing has been sealed yet: there is no checkpoint".to_owned())
}
