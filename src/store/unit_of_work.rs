//! A change: several writes and the audit event that tells of them, in one transaction.

use std::sync::Arc;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::error::StoreError;
use super::{audit, audit_log};
use crate::domain::audit::AuditEvent;
use crate::metrics::Metrics;
use crate::telemetry::Traced as _;

/// A change under way. Dropped without [`UnitOfWork::commit`], it leaves nothing behind.
pub struct UnitOfWork {
    transaction: Transaction<'static, Postgres>,
    metrics: Arc<Metrics>,
}

impl UnitOfWork {
    pub(super) async fn begin(pool: &PgPool, metrics: Arc<Metrics>) -> Result<Self, StoreError> {
        Ok(Self {
            transaction: pool.begin().statement("store.begin").await?,
            metrics,
        })
    }

    /// Records the event and makes the change durable, both or neither; then tells the log.
    pub async fn commit(mut self, event: AuditEvent) -> Result<(), StoreError> {
        audit::insert(self.connection(), &event)
            .statement("store.insert_audit_event")
            .await?;
        let committed = self.transaction.commit().statement("store.commit").await;
        committed.map_err(|error| match error {
            // The server answered: the transaction was rolled back.
            error @ sqlx::Error::Database(_) => StoreError::from(error),
            error => StoreError::CommitUnknown(error),
        })?;
        audit_log::tell(&event);
        let (action, outcome) = (event.action.as_str(), event.outcome.as_str());
        self.metrics.audit_events.of([action.into(), outcome.into()]).inc();
        Ok(())
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}
