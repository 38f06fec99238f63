//! Attempts that changed nothing leave an event too.

use super::error::VaultError;
use super::vault::Vault;
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::sid::AccountSid;

impl Vault {
    /// Records a mutation that was denied or failed. Where no account is known the deployment itself has the event.
    pub async fn record_refusal(
        &self,
        context: &RequestContext,
        account_sid: Option<&AccountSid>,
        action: Action,
        target_sid: Option<String>,
        outcome: Outcome,
    ) -> Result<(), VaultError> {
        let deployment = AccountSid::deployment();
        let event = AuditEvent {
            target_sid,
            ..AuditEvent::new(context, account_sid.unwrap_or(&deployment), action, outcome)?
        };
        Ok(self.store.record(event).await?)
    }
}
