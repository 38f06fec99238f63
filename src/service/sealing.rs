//! Sealing the audit trail: every second what was recorded becomes leaves of the tree, and its head is signed. Writers wait
//! for none of it. Of all replicas one seals at a time; when it is gone the next one's turn comes within a second.

use std::convert::Infallible;
use std::sync::PoisonError;
use std::time::Duration;

use time::OffsetDateTime;

use super::error::VaultError;
use super::vault::Vault;
use crate::store::{Sealing, StoredEvent, Waiting};
use crate::telemetry::chain;
use crate::trail::{AuditKey, Authenticity, Checkpoint, Leaf, TrailError, Tree, positions_of_edge};

/// How often there is a new checkpoint, at most.
const EVERY: Duration = Duration::from_secs(1);

/// Events of one checkpoint, at most.
const BATCH: i64 = 5000;

/// How long a command waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long after the first authenticated event of an upgraded database events may come without a MAC: until then replicas
/// of the earlier release may live.
const ROLLOUT: time::Duration = time::Duration::days(1);

/// How long before the newest checkpoint an event may have been recorded that it does not cover: longer than any
/// transaction lives.
const LATE: time::Duration = time::Duration::hours(1);

/// What came of a turn.
enum Turn {
    /// Another process has it.
    Busy,
    /// Nothing waits.
    Nothing,
    /// Leaves were added.
    Added,
}

impl Vault {
    /// Seals what was recorded, for as long as it is polled.
    pub async fn keep_sealing(&self) -> Infallible {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let sealed = self.seal_what_waits().await;
            self.tell_of_sealing(sealed.err());
        }
    }

    /// Seals everything that is recorded now, and answers the newest checkpoint.
    pub async fn seal(&self) -> Result<Option<Checkpoint>, VaultError> {
        let all = async {
            loop {
                match self.seal_batch().await? {
                    Turn::Busy => tokio::time::sleep(Duration::from_millis(50)).await,
                    Turn::Nothing => return Ok(()),
                    Turn::Added => {}
                }
            }
        };
        let result = tokio::time::timeout(PATIENCE, all).await;
        result.unwrap_or_else(|_| {
            Err(VaultError::NotNow(
                "another process seals the audit trail and does not end: look at its log, and try again".to_owned(),
            ))
        })?;
        Ok(self.store.newest_checkpoint().await?)
    }

    async fn seal_what_waits(&self) -> Result<(), VaultError> {
        let mut backlog = self.store.audit_backlog().await?;
        while backlog.events > 0 && matches!(self.seal_batch().await?, Turn::Added) {
            backlog = self.store.audit_backlog().await?;
        }
        let metrics = &self.metrics;
        metrics.audit_unsealed.set(backlog.events);
        metrics.audit_seal_lag.set(backlog.seconds);
        metrics.audit_tree_size.set(backlog.tree_size);
        metrics
            .audit_checkpoint_age
            .set(backlog.checkpoint_age.unwrap_or_default());
        Ok(())
    }

    async fn seal_batch(&self) -> Result<Turn, VaultError> {
        let Some(mut sealing) = self.store.begin_sealing().await? else {
            return Ok(Turn::Busy);
        };
        let waiting = sealing.take(BATCH).await?;
        if waiting.is_empty() {
            return Ok(Turn::Nothing);
        }
        let (key_id, now) = sealing.signing_key().await?;
        if key_id.as_deref() != Some(&self.signer.id()) {
            return Err(VaultError::NotNow(
                "the signing key was replaced: restart this process, so that it takes the new one".to_owned(),
            ));
        }
        let head = sealing.head().await?;
        let mut tree = self
            .grown_to(&mut sealing, head.as_ref().map(|(checkpoint, _)| checkpoint))
            .await?;
        let audit_key = self.signer.audit_key()?;
        let mut judge = self.judge(&mut sealing, &audit_key, head, now).await?;
        let (first, mut leaves, mut hashes) = (tree.size(), Vec::with_capacity(waiting.len()), Vec::new());
        for event in waiting {
            let leaf = judge.leaf(event)?;
            hashes.extend(tree.push(leaf.hash()?)?);
            leaves.push(leaf);
        }
        sealing.append(first, &leaves, &hashes).await?;
        let checkpoint = self.signer.sign_head(&tree)?;
        sealing.commit(&checkpoint).await?;
        self.tell_of_checkpoint(&checkpoint, &leaves);
        self.remember(checkpoint);
        Ok(Turn::Added)
    }

    async fn judge<'a>(
        &self,
        sealing: &mut Sealing,
        key: &'a AuditKey,
        head: Option<(Checkpoint, OffsetDateTime)>,
        now: OffsetDateTime,
    ) -> Result<Judge<'a>, VaultError> {
        let key_of_trail = self.verifier_key();
        Ok(Judge {
            first: sealing.first_authenticated_by(key.id()).await?,
            begins_unsigned: sealing.begins_unsigned().await?,
            is_new_key: head.as_ref().is_none_or(|(head, _)| !head.is_signed_by(&key_of_trail)),
            head: head.map(|(_, made)| made),
            now,
            key,
        })
    }

    /// The tree as it is stored, held against its newest checkpoint, and that against what this process has seen.
    async fn grown_to(&self, sealing: &mut Sealing, head: Option<&Checkpoint>) -> Result<Tree, VaultError> {
        let newest = self
            .sealed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .newest
            .clone();
        let size = head.map_or(0, Checkpoint::size);
        if newest.as_ref().is_some_and(|newest| newest.size() > size) {
            return Err(broken("the audit trail is shorter than it was"));
        }
        let Some(head) = head else {
            return Ok(Tree::empty());
        };
        if newest.is_some_and(|newest| newest.size() == size && newest.root() != head.root()) {
            return Err(broken("the audit trail is not the one that it was"));
        }
        let edge = sealing.hashes(&positions_of_edge(size)).await?;
        let tree = Tree::new(size, edge);
        tree.ok()
            .filter(|tree| tree.root().is_ok_and(|root| root == head.root()))
            .ok_or_else(|| broken("the stored tree does not fit its newest checkpoint"))
    }

    fn remember(&self, checkpoint: Checkpoint) {
        let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        sealed.newest = Some(checkpoint);
    }

    fn tell_of_checkpoint(&self, checkpoint: &Checkpoint, leaves: &[Leaf]) {
        tracing::info!(
            target: "checkpoint",
            tree_size = checkpoint.size(),
            root_hash = %checkpoint.root(),
            note = checkpoint.note(),
            "checkpoint"
        );
        for leaf in leaves {
            let count = |verdict: &'static str| self.metrics.audit_sealed.of([verdict.into()]).inc();
            count(leaf.authenticity.as_str());
            if matches!(leaf.authenticity, Authenticity::Forged | Authenticity::Missing) {
                tracing::error!(
                    account_sid = leaf.account_sid,
                    event_sid = leaf.event_sid,
                    authenticity = leaf.authenticity.as_str(),
                    "an audit event was forged, changed or removed before it was sealed"
                );
            }
        }
    }

    fn tell_of_sealing(&self, error: Option<VaultError>) {
        let is_broken = matches!(error, Some(VaultError::NotNow(_) | VaultError::Store(_)));
        self.metrics.audit_intact.of(["tree".into()]).set((!is_broken).into());
        let cause = error.map(|error| chain(&error));
        let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cause) = &cause {
            self.metrics.audit_seal_failures.inc();
            if sealed.told.as_ref() != Some(cause) {
                tracing::error!(cause, "the audit trail could not be sealed: events wait");
            }
        }
        sealed.told = cause;
    }
}

/// Says of each event how it was found.
struct Judge<'a> {
    key: &'a AuditKey,
    /// When the newest checkpoint was made.
    head: Option<OffsetDateTime>,
    now: OffsetDateTime,
    /// When the first event was recorded that is authenticated by this key.
    first: Option<OffsetDateTime>,
    /// Whether the trail began before there were MACs.
    begins_unsigned: bool,
    /// Whether the present key has signed nothing yet.
    is_new_key: bool,
}

impl Judge<'_> {
    fn leaf(&mut self, waiting: Waiting) -> Result<Leaf, TrailError> {
        let authenticity = match &waiting.event {
            None => Authenticity::Missing,
            Some(event) => self.judge(event)?,
        };
        if let (Authenticity::Authentic, Some(event)) = (authenticity, &waiting.event) {
            self.first.get_or_insert(event.occurred_at);
        }
        Ok(Leaf {
            authenticity,
            account_sid: waiting.account_sid,
            event_sid: waiting.event_sid,
            event: waiting.event.map(|event| event.record),
        })
    }

    fn judge(&self, event: &StoredEvent) -> Result<Authenticity, TrailError> {
        if event.mac_key_id.as_deref() == Some(self.key.id()) {
            let fits = self.key.fits(&event.record, event.mac.as_deref().unwrap_or_default())?;
            // The MAC covers all but the time.
            let is_timely =
                event.occurred_at <= self.now && self.head.is_none_or(|head| event.occurred_at >= head - LATE);
            return Ok(if fits && is_timely {
                Authenticity::Authentic
            } else {
                Authenticity::Forged
            });
        }
        // No MAC, or one of a key that is lost: before the first event of the present key, and while a release is rolled
        // out that is the first one with MACs.
        let is_expected = match self.first {
            None => self.is_new_key || self.begins_unsigned,
            Some(first) => self.begins_unsigned && self.now < first + ROLLOUT,
        };
        Ok(if is_expected {
            Authenticity::Unsigned
        } else {
            Authenticity::Forged
        })
    }
}

fn broken(what: &str) -> VaultError {
    VaultError::NotNow(format!(
        "{what}: run `pushvault audit verify`, and read docs/runbooks.md, \"The audit trail is not whole\""
    ))
}
