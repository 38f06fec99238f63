//! Sealing the audit trail: every second what was recorded becomes leaves of the tree, and its head is signed. Writers wait
//! for none of it. Of all replicas one seals at a time; when it is gone the next one's turn comes within a second.

use std::convert::Infallible;
use std::sync::PoisonError;
use std::time::Duration;

use time::OffsetDateTime;

use super::error::VaultError;
use super::vault::Vault;
use crate::store::{History, Sealing, StoredEvent, Waiting};
use crate::telemetry::chain;
use crate::trail::{
    AuditKey, Authenticity, Checkpoint, LATE, Leaf, ROLLOUT, SKEW, TrailError, Tree, is_as_written, positions_of_edge,
};

/// How often there is a new checkpoint, at most.
const EVERY: Duration = Duration::from_secs(1);

/// Events of one checkpoint, at most.
const BATCH: i64 = 5000;

/// How long a command waits for its turn, and how long it rests between two looks.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// What came of a turn.
enum Turn {
    /// Another process has it.
    Busy,
    /// Nothing waits.
    Nothing,
    /// What waited was sealed.
    Sealed {
        /// Whether it was as much as is taken at a time: there may be more.
        is_full: bool,
    },
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
        let mut patience = PATIENCE;
        loop {
            // Before it has the turn, and with it a connection: nobody who has one waits for a second one.
            self.watch_head().await?;
            match self.seal_batch().await? {
                Turn::Sealed { is_full: true } => patience = PATIENCE,
                Turn::Sealed { is_full: false } | Turn::Nothing => return Ok(self.store.newest_checkpoint().await?),
                Turn::Busy if patience.is_zero() => {
                    return Err(VaultError::NotNow(
                        "another process seals the audit trail and does not end: look at its log, and try again"
                            .to_owned(),
                    ));
                }
                Turn::Busy => {
                    tokio::time::sleep(PAUSE).await;
                    patience = patience.saturating_sub(PAUSE);
                }
            }
        }
    }

    async fn seal_what_waits(&self) -> Result<(), VaultError> {
        let turn = async || {
            self.measure_backlog().await?;
            self.watch_head().await?;
            self.seal_batch().await
        };
        loop {
            match self.store.answer(turn()).await? {
                Turn::Sealed { is_full: true } => {}
                Turn::Sealed { is_full: false } => return self.store.answer(self.measure_backlog()).await,
                Turn::Nothing | Turn::Busy => return Ok(()),
            }
        }
    }

    async fn measure_backlog(&self) -> Result<(), VaultError> {
        let (backlog, metrics) = (self.store.audit_backlog().await?, &self.metrics);
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
        let (waiting, count) = sealing.take(BATCH).await?;
        let is_full = count == BATCH;
        if count == 0 {
            return Ok(Turn::Nothing);
        }
        if waiting.is_empty() {
            sealing.end().await?;
            return Ok(Turn::Sealed { is_full });
        }
        let (key_id, now) = sealing.signing_key().await?;
        if key_id.as_deref() != Some(&self.signer.id()) {
            return Err(VaultError::NotNow(
                "the signing key was replaced: restart this process, so that it takes the new one".to_owned(),
            ));
        }
        let head = sealing.head().await?;
        if !self.has_seen(head.as_ref()) {
            // Somebody else sealed since it was looked at.
            return Ok(Turn::Busy);
        }
        let mut tree = grown_to(&mut sealing, head.as_ref()).await?;
        let audit_key = self.signer.audit_key()?;
        let mut judge = self.judge(&mut sealing, &audit_key, now, &waiting).await?;
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
        Ok(Turn::Sealed { is_full })
    }

    async fn judge<'a>(
        &self,
        sealing: &mut Sealing,
        key: &'a AuditKey,
        now: OffsetDateTime,
        waiting: &[Waiting],
    ) -> Result<Judge<'a>, VaultError> {
        let is_ours = |waiting: &Waiting| {
            let event = waiting.event.as_ref();
            event.is_none_or(|event| event.mac_key_id.as_deref() == Some(key.id()))
        };
        // What only an event without our MAC is judged by is asked for only where there is one: it may be far to look.
        let history = if waiting.iter().all(is_ours) {
            History::default()
        } else {
            sealing.history(key.id()).await?
        };
        Ok(Judge {
            history,
            newest: sealing.newest_time().await?,
            now,
            key,
        })
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
        // Of a database that does not answer nothing is known.
        if !matches!(error, Some(VaultError::Unavailable(_))) {
            let is_broken = matches!(error, Some(VaultError::NotWhole(_)));
            self.metrics.audit_intact.of(["tree".into()]).set((!is_broken).into());
        }
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
    /// When the last event was recorded that was sealed as authentic.
    newest: Option<OffsetDateTime>,
    now: OffsetDateTime,
    /// What the leaves before say of events without a MAC of this key.
    history: History,
}

impl Judge<'_> {
    fn leaf(&mut self, waiting: Waiting) -> Result<Leaf, TrailError> {
        let authenticity = match &waiting.event {
            None => Authenticity::Missing,
            Some(event) => self.judge(event)?,
        };
        self.history
            .begins_unsigned
            .get_or_insert(authenticity == Authenticity::Unsigned);
        if let (Authenticity::Authentic, Some(event)) = (authenticity, &waiting.event) {
            self.history.first.get_or_insert(event.occurred_at);
            self.history.is_key_known = true;
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
            return Ok(if fits && self.is_timely(event) {
                Authenticity::Authentic
            } else {
                Authenticity::Forged
            });
        }
        // No MAC, or one of a key that is lost: before the first event of the present key, and while a release is rolled
        // out that is the first one with MACs.
        let History {
            first,
            begins_unsigned,
            is_key_known,
        } = self.history;
        let is_rolled_out =
            || begins_unsigned == Some(true) && first.is_some_and(|first| self.now < first.saturating_add(ROLLOUT));
        Ok(if !is_key_known || is_rolled_out() {
            Authenticity::Unsigned
        } else {
            Authenticity::Forged
        })
    }

    /// Whether the database's time of an event can be. The MAC does not cover it, but that of the process which wrote it.
    fn is_timely(&self, event: &StoredEvent) -> bool {
        event
            .written_at
            .is_some_and(|written_at| is_as_written(event.occurred_at, written_at))
            && event.occurred_at <= self.now.saturating_add(SKEW)
            && self
                .newest
                .is_none_or(|newest| event.occurred_at >= newest.saturating_sub(LATE))
    }
}

/// The tree as it is stored, held against its newest checkpoint.
async fn grown_to(sealing: &mut Sealing, head: Option<&Checkpoint>) -> Result<Tree, VaultError> {
    let Some(head) = head else {
        return Ok(Tree::empty());
    };
    let edge = sealing.hashes(&positions_of_edge(head.size())).await?;
    Tree::new(head.size(), edge)
        .ok()
        .filter(|tree| tree.root().is_ok_and(|root| root == head.root()))
        .ok_or(VaultError::NotWhole(
            "the stored tree does not fit its newest checkpoint",
        ))
}
