//! Proof that what is stored can be opened: every envelope, by the key in use.

use super::error::VaultError;
use super::vault::Vault;
use crate::domain::principal::AccountScope;
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::store::{CredentialVersion, StoreError};
use crate::telemetry::chain;

/// Envelopes read from the database at a time.
const BATCH: i64 = 200;

/// What a verification found.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Credential versions that opened and match their digest.
    pub opened: u64,
    /// Those that did not.
    pub findings: Vec<Finding>,
}

/// A credential version that does not open, or is not the one that was stored.
#[derive(Debug)]
pub struct Finding {
    /// The account that the row stands under.
    pub account_sid: AccountSid,
    /// The credential that the row stands under.
    pub credential_sid: CredentialSid,
    /// Which version.
    pub version: i32,
    /// What is wrong.
    pub problem: String,
}

impl Vault {
    /// Opens every version of every credential of every account, and wipes what it saw at once.
    pub async fn verify(&self) -> Result<VerifyReport, VaultError> {
        let mut report = VerifyReport::default();
        let mut last: Option<CredentialVersion> = None;
        loop {
            let batch = self.store.credential_versions_after(last.as_ref(), BATCH).await?;
            for version in &batch {
                match self.problem_of(version).await? {
                    None => report.opened += 1,
                    Some(problem) => report.findings.push(Finding {
                        account_sid: version.account_sid.clone(),
                        credential_sid: version.credential_sid.clone(),
                        version: version.version,
                        problem,
                    }),
                }
            }
            match batch.into_iter().last() {
                Some(version) => last = Some(version),
                None => return Ok(report),
            }
        }
    }

    async fn problem_of(&self, version: &CredentialVersion) -> Result<Option<String>, VaultError> {
        if version.envelope.digest().as_slice() != version.envelope_digest {
            return Ok(Some("the ciphertexts do not match their digest".to_owned()));
        }
        let scope = AccountScope::for_operator(version.account_sid.clone());
        match self.open_version(&scope, version).await {
            Ok(_secrets) => Ok(None),
            Err(VaultError::StaleKeys) => Ok(Some(format!(
                "it is sealed under version {} of the account key, which is not there",
                version.envelope.account_key_version()?
            ))),
            Err(error @ VaultError::RootKey(_)) => Ok(Some(chain(&error))),
            Err(VaultError::Crypto(error)) => Ok(Some(error.to_string())),
            // One row that names what is not there must not hide what is wrong with the others.
            Err(VaultError::Store(error @ StoreError::Malformed(_))) => Ok(Some(error.to_string())),
            Err(other) => Err(other),
        }
    }
}
