//! The operator's side of a mutation: who it is, and that a refused one is recorded too.

use super::output::Failure;
use crate::config::Settings;
use crate::domain::audit::{Action, RequestContext};
use crate::domain::sid::AccountSid;
use crate::http::audit_outcome;
use crate::service::{Vault, VaultError};
use crate::telemetry;

/// The operator at work on an open vault.
pub(super) struct Operator {
    pub(super) vault: Vault,
    pub(super) context: RequestContext,
}

impl Operator {
    /// Opens the vault for a command. The log, audit events too, goes to standard error.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Failure> {
        telemetry::init(&settings.log, &settings.audit, telemetry::stderr())?;
        let context = context();
        Ok(Self {
            vault: Vault::open(settings, &context).await?,
            context,
        })
    }

    /// Passes a mutation's result on; a refusal is recorded first.
    pub(super) async fn audited<T>(
        &self,
        action: Action,
        account_sid: Option<&AccountSid>,
        target_sid: Option<&str>,
        result: Result<T, VaultError>,
    ) -> Result<T, Failure> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                let target_sid = target_sid.map(str::to_owned);
                self.vault
                    .record_refusal(&self.context, account_sid, action, target_sid, audit_outcome(&error))
                    .await?;
                Err(explain(error, account_sid))
            }
        }
    }
}

/// Says what a command line can do about an error that the API tells in one word.
pub(super) fn explain(error: VaultError, account_sid: Option<&AccountSid>) -> Failure {
    match (error, account_sid) {
        (VaultError::NotFound, Some(account_sid)) => {
            format!("account {account_sid}, or what belongs to it, was not found; see `pushvault account list`").into()
        }
        (error, _) => error.into(),
    }
}

/// The operator as the audit trail names them: the operating system's user.
pub(super) fn context() -> RequestContext {
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|variable| std::env::var(variable).ok())
        .unwrap_or_else(|| "operator".to_owned());
    RequestContext::operator(name.chars().filter(|character| *character != '\0').take(64).collect())
}
