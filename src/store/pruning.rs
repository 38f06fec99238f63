//! Pruning the audit trail.

use super::audit_trail::signed;
use super::error::StoreError;
use super::unit_of_work::UnitOfWork;
use crate::domain::sid::EventSid;

impl UnitOfWork {
    /// Cuts off the leaves below a checkpoint, their events, and the hashes that no proof of a later leaf needs.
    pub async fn prune(
        &mut self,
        checkpoint: u64,
        keep: &[u64],
        below: u64,
        event_sid: &EventSid,
    ) -> Result<u64, StoreError> {
        let (size, below) = (signed(checkpoint)?, signed(below)?);
        let keep = keep
            .iter()
            .map(|&position| signed(position))
            .collect::<Result<Vec<_>, _>>()?;
        sqlx::query!(
            "insert into audit_prunings (tree_size, hashes_below, event_sid) values ($1, $2, $3)",
            size,
            below,
            event_sid.as_str(),
        )
        .execute(self.connection())
        .await?;
        let events = sqlx::query!(
            "delete from audit_events using audit_leaves
            where audit_leaves.account_sid = audit_events.account_sid
                and audit_leaves.event_sid = audit_events.event_sid and leaf_index < $1",
            size,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("delete from audit_leaves where leaf_index < $1", size)
            .execute(self.connection())
            .await?;
        sqlx::query!(
            "delete from audit_hashes where position < $1 and position <> all($2)",
            below,
            &keep
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("delete from audit_checkpoints where tree_size < $1", size)
            .execute(self.connection())
            .await?;
        Ok(events.rows_affected())
    }
}
