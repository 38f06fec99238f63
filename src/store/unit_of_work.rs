//! A change: several writes and the audit event that tells of them, in one transaction.

use std::sync::Arc;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::error::StoreError;
use super::{audit, audit_log};
use crate::domain::audit::AuditEvent;
use crate::metrics::Metrics;
use crate::telemetry::Traced as _;
use crate::trail::AuditKey;

/// A change under way. Dropped without [`UnitOfWork::commit`], it leaves nothing behind.
pub struct UnitOfWork {
    transaction: Transaction<'static, Postgres>,
    audit_key: Option<Arc<AuditKey>>,
    metrics: Arc<Metrics>,
}

impl UnitOfWork {
    pub(super) async fn begin(
        pool: &PgPool,
        audit_key: Option<Arc<AuditKey>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            transaction: pool.begin().statement("store.begin").await?,
            audit_key,
            metrics,
        })
    }

    /// Authenticates the event of this change by a key that is made in it.
    pub fn authenticate_by(&mut self, key: Arc<AuditKey>) {
        self.audit_key = Some(key);
    }

    /// Records the event and makes the change durable, both or neither; then tells the log.
    pub async fn commit(mut self, event: AuditEvent) -> Result<(), StoreError> {
        let key = self.audit_key.clone();
        audit::insert(self.connection(), &event, key.as_deref())
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
