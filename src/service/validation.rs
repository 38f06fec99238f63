//! What is done with findings: a credential that cannot work is stored and told of, or refused.

use time::OffsetDateTime;

use super::error::VaultError;
use super::vault::Vault;
use crate::config::ValidationMode;
use crate::domain::credential::SecretMaterial;
use crate::domain::finding::{Finding, findings};
use crate::domain::push_service::PushService;
use crate::domain::sid::CredentialSid;

impl Vault {
    /// Looks at the secrets as they will stand. In strict mode the first finding refuses the request; otherwise they are
    /// given back, for [`log_findings`] once the credential is stored.
    pub(super) fn examine(
        &self,
        push_service: PushService,
        sandbox: bool,
        secrets: &SecretMaterial,
    ) -> Result<Vec<Finding>, VaultError> {
        let findings = findings(push_service, sandbox, secrets, OffsetDateTime::now_utc());
        match (self.validation, findings.first()) {
            (ValidationMode::Strict, Some(finding)) => Err(finding.refusal().into()),
            _ => Ok(findings),
        }
    }
}

/// Tells the log what will make pushes with a credential fail.
pub(super) fn log_findings(credential_sid: &CredentialSid, findings: &[Finding]) {
    for finding in findings {
        let refusal = finding.refusal();
        tracing::warn!(
            target: "finding",
            credential_sid = credential_sid.as_str(),
            finding = finding.code(),
            parameter = refusal.parameter,
            "the credential is stored, but pushes with it will fail"
        );
    }
}
