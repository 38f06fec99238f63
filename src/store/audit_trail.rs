//! The audit trail as it is stored: which events are which leaves, the hashes and the checkpoints of the tree.

use std::collections::HashMap;

use sqlx::PgExecutor;
use time::OffsetDateTime;

use super::audit_events::{StoredEvent, events};
use super::database::Store;
use super::error::StoreError;
use crate::domain::sid::EventSid;
use crate::trail::{Authenticity, Checkpoint, Hash, Hashes};

/// Which event is which leaf.
#[derive(Debug, Clone)]
pub struct StoredLeaf {
    /// Where it is.
    pub index: u64,
    /// The event's account.
    pub account_sid: String,
    /// The event.
    pub event_sid: String,
    /// How it was found.
    pub authenticity: Authenticity,
}

/// What waits to be sealed.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// How many events.
    pub events: i64,
    /// For how many seconds the oldest of them has waited.
    pub seconds: f64,
    /// How many leaves the newest checkpoint covers.
    pub tree_size: i64,
    /// How many seconds ago it was made.
    pub checkpoint_age: Option<f64>,
}

impl Store {
    /// What waits to be sealed, and how old the newest checkpoint is.
    pub async fn audit_backlog(&self) -> Result<Backlog, StoreError> {
        let row = sqlx::query!(
            r#"select count(*) as "events!",
                coalesce(extract(epoch from clock_timestamp() - min(recorded_at)), 0)::float8 as "seconds!",
                coalesce((select max(tree_size) from audit_checkpoints), 0) as "tree_size!",
                (
                    select extract(epoch from clock_timestamp() - created_at)::float8
                    from audit_checkpoints order by tree_size desc limit 1
                ) as checkpoint_age
            from audit_unsealed"#
        )
        .fetch_one(&self.pool())
        .await?;
        Ok(Backlog {
            events: row.events,
            seconds: row.seconds,
            tree_size: row.tree_size,
            checkpoint_age: row.checkpoint_age,
        })
    }

    /// The newest checkpoint.
    pub async fn newest_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let note = sqlx::query_scalar!(
            r#"select coalesce(note, '') as "note!" from audit_checkpoints order by tree_size desc limit 1"#
        )
        .fetch_optional(&self.pool())
        .await?;
        note.map(|note| parse_checkpoint(&note)).transpose()
    }

    /// The largest checkpoint with no more leaves than this: how many it is said to have, and its text as it stands there.
    pub async fn checkpoint_up_to(&self, leaves: u64) -> Result<Option<(u64, String)>, StoreError> {
        let row = sqlx::query!(
            r#"select tree_size, coalesce(note, '') as "note!" from audit_checkpoints
            where tree_size <= $1 order by tree_size desc limit 1"#,
            signed(leaves)?,
        )
        .fetch_optional(&self.pool())
        .await?;
        row.map(|row| Ok((unsigned(row.tree_size)?, row.note))).transpose()
    }

    /// The checkpoints with more leaves than `after`, and no more than `to`: how many leaves each is said to have, and its
    /// text as it stands there.
    pub async fn checkpoints_between(&self, after: u64, to: u64) -> Result<Vec<(u64, String)>, StoreError> {
        let rows = sqlx::query!(
            r#"select tree_size, coalesce(note, '') as "note!" from audit_checkpoints
            where tree_size > $1 and tree_size <= $2 order by tree_size"#,
            signed(after)?,
            signed(to)?,
        )
        .fetch_all(&self.pool())
        .await?;
        rows.into_iter()
            .map(|row| Ok((unsigned(row.tree_size)?, row.note)))
            .collect()
    }

    /// The first leaf whose event is not from before that time; none if there is no such leaf.
    pub async fn first_leaf_since(&self, time: OffsetDateTime) -> Result<Option<u64>, StoreError> {
        let index = sqlx::query_scalar!(
            "select min(leaf_index) from audit_leaves join audit_events using (account_sid, event_sid)
            where leaf_index >= 0 and occurred_at >= $1",
            time,
        )
        .fetch_one(&self.pool())
        .await?;
        index.map(unsigned).transpose()
    }

    /// How many leaves were cut off on purpose.
    pub async fn pruned(&self) -> Result<u64, StoreError> {
        let size = sqlx::query_scalar!(
            r#"select coalesce(max(tree_size), 0) as "size!" from audit_prunings where tree_size > 0"#
        )
        .fetch_one(&self.pool())
        .await?;
        unsigned(size)
    }

    /// The events that tell of prunings which cut off more leaves than this, and no more than that.
    pub async fn prunings(&self, more_than: u64, up_to: u64) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = sqlx::query!(
            "select account_sid, audit_events.event_sid from audit_prunings join audit_events using (event_sid)
            where tree_size > $1 and tree_size <= $2 and action = 'audit.prune' and outcome = 'success'",
            signed(more_than)?,
            signed(up_to)?,
        )
        .fetch_all(&self.pool())
        .await?;
        let keys = rows.into_iter().map(|row| (row.account_sid, row.event_sid));
        Ok(events(&self.pool(), keys).await?.into_values().collect())
    }

    /// How many leaves there are, by the largest index, and how many the largest checkpoint says that there are: at one
    /// moment, since both grow.
    pub async fn extent(&self) -> Result<(u64, u64), StoreError> {
        let row = sqlx::query!(
            r#"select (select max(leaf_index) from audit_leaves where leaf_index >= 0) as last,
                (select coalesce(max(tree_size), 0) from audit_checkpoints) as "covered!""#
        )
        .fetch_one(&self.pool())
        .await?;
        let last = row.last.map(unsigned).transpose()?;
        Ok((last.map_or(0, |last| last + 1), unsigned(row.covered)?))
    }

    /// The index of the first leaf that is not before this one.
    pub async fn next_leaf(&self, from: u64) -> Result<Option<u64>, StoreError> {
        let index = sqlx::query_scalar!(
            "select min(leaf_index) from audit_leaves where leaf_index >= $1",
            signed(from)?
        )
        .fetch_one(&self.pool())
        .await?;
        index.map(unsigned).transpose()
    }

    /// The leaves from one index up to another, in order.
    pub async fn leaves(&self, from: u64, to: u64) -> Result<Vec<StoredLeaf>, StoreError> {
        let rows = sqlx::query!(
            r#"select leaf_index, coalesce(account_sid, '') as "account_sid!", coalesce(event_sid, '') as "event_sid!",
                coalesce(authenticity, '') as "authenticity!"
            from audit_leaves where leaf_index >= $1 and leaf_index < $2 order by leaf_index"#,
            signed(from)?,
            signed(to)?,
        )
        .fetch_all(&self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(StoredLeaf {
                    index: unsigned(row.leaf_index)?,
                    account_sid: row.account_sid,
                    event_sid: row.event_sid,
                    authenticity: parse_authenticity(&row.authenticity),
                })
            })
            .collect()
    }

    /// The leaf that an event is; none while it is none.
    pub async fn leaf_of(&self, event_sid: &EventSid) -> Result<Option<u64>, StoreError> {
        let index = sqlx::query_scalar!(
            "select leaf_index from audit_leaves where event_sid = $1 and leaf_index >= 0",
            event_sid.as_str()
        )
        .fetch_optional(&self.pool())
        .await?;
        index.map(unsigned).transpose()
    }

    /// Events by account and SID.
    pub async fn events(&self, leaves: &[StoredLeaf]) -> Result<HashMap<(String, String), StoredEvent>, StoreError> {
        let keys = leaves
            .iter()
            .map(|leaf| (leaf.account_sid.clone(), leaf.event_sid.clone()));
        events(&self.pool(), keys).await
    }

    /// The hashes at these positions, those that are there.
    pub async fn hashes(&self, positions: &[u64]) -> Result<Hashes, StoreError> {
        hashes(&self.pool(), positions).await
    }

    /// The hashes from one position up to another, those that are there.
    pub async fn hashes_between(&self, from: u64, to: u64) -> Result<Hashes, StoreError> {
        let rows = sqlx::query!(
            r#"select position, coalesce(hash, '') as "hash!" from audit_hashes where position >= $1 and position < $2"#,
            signed(from)?,
            signed(to)?,
        )
        .fetch_all(&self.pool())
        .await?;
        rows.into_iter()
            .filter_map(|row| parse_hash(row.hash).map(|hash| Ok((unsigned(row.position)?, hash))))
            .collect()
    }

    /// The events that tell of a root key that was lost and replaced, the newest first, with the leaf that each is.
    pub async fn restorations(&self) -> Result<Vec<(StoredEvent, Option<u64>)>, StoreError> {
        let rows = sqlx::query!(
            r#"select account_sid, event_sid, leaf_index as "leaf_index?"
            from audit_events left join (select * from audit_leaves where leaf_index >= 0) as leaves
                using (account_sid, event_sid)
            where action = 'recovery.restore' and outcome = 'success'
            order by leaf_index desc nulls first, occurred_at desc"#
        )
        .fetch_all(&self.pool())
        .await?;
        let keys = rows.iter().map(|row| (row.account_sid.clone(), row.event_sid.clone()));
        let mut events = events(&self.pool(), keys).await?;
        rows.into_iter()
            .filter_map(|row| {
                let event = events.remove(&(row.account_sid, row.event_sid))?;
                Some(row.leaf_index.map(unsigned).transpose().map(|leaf| (event, leaf)))
            })
            .collect()
    }

    /// The SIDs of events that wait to become a leaf and are there, some of them.
    pub async fn waiting(&self, limit: i64) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            "select event_sid from audit_events join audit_unsealed using (account_sid, event_sid) limit $1",
            limit,
        )
        .fetch_all(&self.pool())
        .await?)
    }

    /// Events that are no leaf of the tree and do not wait to become one: account and SID, some of them. That they wait is
    /// no excuse for those that should have been sealed. What is below a pruning, or past what is covered, is no leaf; where
    /// that is not given, the newest checkpoint says it.
    pub async fn stray_events(
        &self,
        limit: i64,
        overdue: &[String],
        covered: Option<u64>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sqlx::query!(
            "select account_sid, event_sid from audit_events
            where not exists (
                select from audit_leaves
                where audit_leaves.account_sid = audit_events.account_sid
                    and audit_leaves.event_sid = audit_events.event_sid
                    and leaf_index >= (select coalesce(max(tree_size), 0) from audit_prunings where tree_size > 0)
                    and leaf_index < coalesce($3, (select max(tree_size) from audit_checkpoints), 0)
            ) and (event_sid = any($2) or not exists (
                select from audit_unsealed
                where audit_unsealed.account_sid = audit_events.account_sid
                    and audit_unsealed.event_sid = audit_events.event_sid
            )) order by occurred_at, event_sid limit $1",
            limit,
            overdue,
            covered.map(signed).transpose()?,
        )
        .fetch_all(&self.pool())
        .await?;
        Ok(rows.into_iter().map(|row| (row.account_sid, row.event_sid)).collect())
    }
}

pub(super) async fn hashes(executor: impl PgExecutor<'_>, positions: &[u64]) -> Result<Hashes, StoreError> {
    let positions = positions
        .iter()
        .map(|&position| signed(position))
        .collect::<Result<Vec<_>, _>>()?;
    let rows = sqlx::query!(
        r#"select position, coalesce(hash, '') as "hash!" from audit_hashes where position = any($1)"#,
        &positions
    )
    .fetch_all(executor)
    .await?;
    rows.into_iter()
        .filter_map(|row| parse_hash(row.hash).map(|hash| Ok((unsigned(row.position)?, hash))))
        .collect()
}

// What the owner of the tables can put there, and no release ever did, is read as something that nobody sealed: whoever
// verifies says then which event it is.

/// What is no hash is not there.
fn parse_hash(bytes: Vec<u8>) -> Option<Hash> {
    bytes.try_into().ok().map(Hash)
}

pub(super) fn parse_checkpoint(note: &str) -> Result<Checkpoint, StoreError> {
    Checkpoint::parse(note).map_err(|_| StoreError::Malformed("audit_checkpoints.note"))
}

pub(super) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Malformed("a number of the audit trail"))
}

pub(super) fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Malformed("a number of the audit trail"))
}

/// A word that is none of ours is no authenticity.
fn parse_authenticity(text: &str) -> Authenticity {
    [
        Authenticity::Authentic,
        Authenticity::Unsigned,
        Authenticity::Forged,
        Authenticity::Missing,
    ]
    .into_iter()
    .find(|authenticity| authenticity.as_str() == text)
    .unwrap_or(Authenticity::Forged)
}
