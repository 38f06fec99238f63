//! Sealing: events become leaves of the tree, one sealer at a time. No audit event tells of it: the checkpoint does.

use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;

use super::audit_events::{StoredEvent, events};
use super::audit_trail::{self, parse_checkpoint, signed};
use super::database::Store;
use super::error::StoreError;
use crate::trail::{Checkpoint, Hash, Hashes, Leaf};

/// The turn to seal, until it is dropped or committed.
pub struct Sealing {
    transaction: Transaction<'static, Postgres>,
}

/// An event that waits to be sealed; none if it is gone.
#[derive(Debug)]
pub struct Waiting {
    /// Its account.
    pub account_sid: String,
    /// Its SID.
    pub event_sid: String,
    /// The event.
    pub event: Option<StoredEvent>,
}

/// What the leaves say of events without a MAC.
#[derive(Debug, Default, Clone, Copy)]
pub struct History {
    /// When the first event was recorded that was sealed as authentic.
    pub first: Option<OffsetDateTime>,
    /// Whether the first leaf of all is there and has no MAC: then the trail is older than MACs are. None while there is no
    /// leaf.
    pub begins_unsigned: Option<bool>,
    /// Whether an event was sealed that the present key authenticates.
    pub is_key_known: bool,
}

impl Store {
    /// Takes the turn to seal; none while somebody else has it.
    pub async fn begin_sealing(&self) -> Result<Option<Sealing>, StoreError> {
        let mut transaction = self.pool().begin().await?;
        let is_ours = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock(hashtextextended('audit_trail', 0)) as "is_ours!""#
        )
        .fetch_one(&mut *transaction)
        .await?;
        Ok(is_ours.then_some(Sealing { transaction }))
    }
}

impl Sealing {
    /// The id of the signing key in use, and the database's clock.
    pub async fn signing_key(&mut self) -> Result<(Option<String>, OffsetDateTime), StoreError> {
        let row = sqlx::query!(
            r#"select clock_timestamp() as "now!", (select key_id from signing_keys where state = 'primary') as key_id"#
        )
        .fetch_one(&mut *self.transaction)
        .await?;
        Ok((row.key_id, row.now))
    }

    /// The newest checkpoint.
    pub async fn head(&mut self) -> Result<Option<Checkpoint>, StoreError> {
        let note = sqlx::query_scalar!(
            r#"select coalesce(note, '') as "note!" from audit_checkpoints order by tree_size desc limit 1"#
        )
        .fetch_optional(&mut *self.transaction)
        .await?;
        note.map(|note| parse_checkpoint(&note)).transpose()
    }

    /// When the last event was recorded that was sealed as authentic.
    pub async fn newest_time(&mut self) -> Result<Option<OffsetDateTime>, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select least(greatest(occurred_at, '0001-01-01'), '9999-12-31') as "occurred_at!"
            from audit_leaves join audit_events using (account_sid, event_sid)
            where authenticity = 'authentic' order by leaf_index desc limit 1"#
        )
        .fetch_optional(&mut *self.transaction)
        .await?)
    }

    /// The hashes at these positions, those that are there.
    pub async fn hashes(&mut self, positions: &[u64]) -> Result<Hashes, StoreError> {
        audit_trail::hashes(&mut *self.transaction, positions).await
    }

    /// What the leaves say of events that have no MAC of this key.
    pub async fn history(&mut self, key_id: &str) -> Result<History, StoreError> {
        let row = sqlx::query!(
            r#"select
                (
                    select least(greatest(occurred_at, '0001-01-01'), '9999-12-31')
                    from audit_leaves join audit_events using (account_sid, event_sid)
                    where authenticity = 'authentic' order by leaf_index limit 1
                ) as first,
                (select authenticity = 'unsigned' from audit_leaves where leaf_index = 0) as begins_unsigned,
                exists (select from audit_leaves where leaf_index >= 0) as "is_begun!",
                exists (
                    select from audit_leaves join audit_events using (account_sid, event_sid)
                    where authenticity = 'authentic' and mac_key_id = $1
                ) as "is_key_known!""#,
            key_id,
        )
        .fetch_one(&mut *self.transaction)
        .await?;
        Ok(History {
            first: row.first,
            begins_unsigned: row.begins_unsigned.or(row.is_begun.then_some(false)),
            is_key_known: row.is_key_known,
        })
    }

    /// Takes events out of those that wait, the oldest first; those that are gone come first of all. One that is a leaf
    /// already, as after a restore of the data alone, waits no more. Says too how many were taken out.
    pub async fn take(&mut self, limit: i64) -> Result<(Vec<Waiting>, i64), StoreError> {
        let taken = sqlx::query!(
            r#"with taken as (
                delete from audit_unsealed where (account_sid, event_sid) in (
                    select account_sid, event_sid from audit_unsealed order by recorded_at limit $1
                ) returning account_sid, event_sid
            )
            select coalesce(account_sid, '') as "account_sid!", coalesce(event_sid, '') as "event_sid!", exists (
                select from audit_leaves
                where audit_leaves.account_sid = taken.account_sid and audit_leaves.event_sid = taken.event_sid
                    and leaf_index >= 0 and leaf_index < (select coalesce(max(tree_size), 0) from audit_checkpoints)
            ) as "is_leaf!" from taken"#,
            limit,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        let count = i64::try_from(taken.len()).unwrap_or(i64::MAX);
        let taken = taken.into_iter().filter(|row| !row.is_leaf);
        let keys: Vec<_> = taken.map(|row| (row.account_sid, row.event_sid)).collect();
        let mut events = events(&mut *self.transaction, keys.iter().cloned()).await?;
        let mut waiting: Vec<_> = keys
            .into_iter()
            .map(|key| {
                let event = events.remove(&key);
                let (account_sid, event_sid) = key;
                Waiting {
                    account_sid,
                    event_sid,
                    event,
                }
            })
            .collect();
        waiting.sort_by(|one, other| {
            let time = |waiting: &Waiting| waiting.event.as_ref().map(|event| event.occurred_at);
            (time(one), &one.event_sid).cmp(&(time(other), &other.event_sid))
        });
        Ok((waiting, count))
    }

    /// Stores leaves, beginning with this index, and hashes at their positions.
    pub async fn append(&mut self, first: u64, leaves: &[Leaf], hashes: &[(u64, Hash)]) -> Result<(), StoreError> {
        let accounts: Vec<_> = leaves.iter().map(|leaf| leaf.account_sid.clone()).collect();
        let events: Vec<_> = leaves.iter().map(|leaf| leaf.event_sid.clone()).collect();
        let authenticities: Vec<_> = leaves
            .iter()
            .map(|leaf| leaf.authenticity.as_str().to_owned())
            .collect();
        sqlx::query!(
            "insert into audit_leaves (leaf_index, account_sid, event_sid, authenticity)
            select $1 + place - 1, account_sid, event_sid, authenticity
            from unnest($2::text[], $3::text[], $4::text[]) with ordinality
                as leaf (account_sid, event_sid, authenticity, place)",
            signed(first)?,
            &accounts,
            &events,
            &authenticities,
        )
        .execute(&mut *self.transaction)
        .await?;
        let positions = hashes
            .iter()
            .map(|(position, _)| signed(*position))
            .collect::<Result<Vec<_>, _>>()?;
        let hashes: Vec<_> = hashes.iter().map(|(_, hash)| hash.0.to_vec()).collect();
        sqlx::query!(
            "insert into audit_hashes (position, hash) select * from unnest($1::bigint[], $2::bytea[])",
            &positions,
            &hashes,
        )
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Makes durable that what was taken out waits no more: it was sealed before.
    pub async fn end(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }

    /// Stores the checkpoint, and makes all of it durable. It covers as many leaves as there are.
    pub async fn commit(mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let root = checkpoint.root();
        sqlx::query!(
            "insert into audit_checkpoints (tree_size, root_hash, note) values ($1, $2, $3)",
            signed(checkpoint.size())?,
            root.0.as_slice(),
            checkpoint.note(),
        )
        .execute(&mut *self.transaction)
        .await?;
        self.transaction.commit().await?;
        Ok(())
    }
}
