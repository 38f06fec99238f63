//! Proof that what is stored can be opened: every account key, every envelope, by the keys in use; and what is under which.

use std::collections::BTreeMap;

use super::error::VaultError;
use super::vault::Vault;
use crate::domain::principal::AccountScope;
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::store::{CredentialVersion, StoreError, StoredAccountKey};
use crate::telemetry::chain;

/// What can be done about a row that is not what was stored.
const RESTORE: &str = "restore the row from a backup";

/// Rows read from the database at a time.
const BATCH: i64 = 200;

/// What a verification found.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Credential versions that opened and match their digest.
    pub opened: u64,
    /// Account keys that unwrapped, by the root key that they are wrapped under.
    pub account_keys: BTreeMap<String, u64>,
    /// Credential versions that opened, by whether the account's key is the primary one or a previous one.
    pub under: BTreeMap<&'static str, u64>,
    /// Account keys that did not unwrap.
    pub key_findings: Vec<KeyFinding>,
    /// Credential versions that did not open, or are not the ones that were stored.
    pub findings: Vec<Finding>,
}

/// An account key that does not unwrap.
#[derive(Debug)]
pub struct KeyFinding {
    /// The account that the row stands under.
    pub account_sid: AccountSid,
    /// Which of the account's keys.
    pub version: i32,
    /// What is wrong.
    pub problem: String,
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

impl VerifyReport {
    /// Whether everything is as it should be.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.key_findings.is_empty()
    }
}

impl Vault {
    /// Unwraps every account key and opens every version of every credential of every account, and wipes what it saw at
    /// once.
    pub async fn verify(&self) -> Result<VerifyReport, VaultError> {
        let mut report = VerifyReport::default();
        self.verify_account_keys(&mut report).await?;
        self.verify_versions(None, &mut report).await?;
        Ok(report)
    }

    /// Opens every version of an account's credentials.
    pub(super) async fn verify_account(&self, scope: &AccountScope) -> Result<VerifyReport, VaultError> {
        let mut report = VerifyReport::default();
        self.verify_versions(Some(scope), &mut report).await?;
        Ok(report)
    }

    async fn verify_account_keys(&self, report: &mut VerifyReport) -> Result<(), VaultError> {
        let mut last: Option<StoredAccountKey> = None;
        loop {
            let batch = self.store.stored_account_keys_after(last.as_ref(), None, BATCH).await?;
            if batch.is_empty() {
                return Ok(());
            }
            for placed in &batch {
                match self.keyring.unwrap_stored(placed).await {
                    Ok(_key) => *report.account_keys.entry(placed.kek_id.to_string()).or_default() += 1,
                    Err(error) => report.key_findings.push(KeyFinding {
                        account_sid: placed.account_sid.clone(),
                        version: placed.version,
                        problem: problem(error)?,
                    }),
                }
            }
            last = batch.into_iter().last();
        }
    }

    async fn verify_versions(&self, scope: Option<&AccountScope>, report: &mut VerifyReport) -> Result<(), VaultError> {
        let mut last: Option<CredentialVersion> = None;
        loop {
            let batch = self
                .store
                .credential_versions_after(scope, last.as_ref(), BATCH)
                .await?;
            if batch.is_empty() {
                return Ok(());
            }
            for version in &batch {
                match self.state_of(version).await? {
                    Ok(under) => {
                        report.opened += 1;
                        *report.under.entry(under).or_default() += 1;
                    }
                    Err(problem) => report.findings.push(Finding {
                        account_sid: version.account_sid.clone(),
                        credential_sid: version.credential_sid.clone(),
                        version: version.version,
                        problem,
                    }),
                }
            }
            last = batch.into_iter().last();
        }
    }

    /// Under which of the account's keys a version is, if it opens, or else what is wrong with it.
    async fn state_of(&self, version: &CredentialVersion) -> Result<Result<&'static str, String>, VaultError> {
        if version.envelope.digest().as_slice() != version.envelope_digest {
            return Ok(Err(format!("the ciphertexts do not match their digest: {RESTORE}")));
        }
        let scope = AccountScope::for_operator(version.account_sid.clone());
        let mut opened = self.open_version(&scope, version).await.map(|_secrets| None);
        if matches!(opened, Err(VaultError::StaleKeys)) {
            // Its key may have been rotated since the row was read.
            let again = self
                .read_version(&scope, &version.credential_sid, version.version)
                .await;
            opened = again.map(|(stored, _secrets)| Some(stored));
        }
        match opened {
            Ok(again) => {
                let header = again.as_ref().unwrap_or(version).envelope.account_key_version()?;
                let keys = self.keyring.keys(&self.store, &scope).await?;
                Ok(Ok(keys.state_of(header)))
            }
            Err(VaultError::StaleKeys) => Ok(Err(format!(
                "it is sealed under version {} of the account key, which is not there: {RESTORE}",
                version.envelope.account_key_version()?
            ))),
            Err(error) => Ok(Err(problem(error)?)),
        }
    }
}

/// What is wrong with a row. One row that is not as it should be must not hide what is wrong with the others; a database
/// that does not answer does.
fn problem(error: VaultError) -> Result<String, VaultError> {
    match error {
        VaultError::Crypto(error) => Ok(format!("{error}: {RESTORE}")),
        VaultError::RootKey(_) => Ok(chain(&error)),
        VaultError::Store(error @ StoreError::Malformed(_)) => Ok(error.to_string()),
        other => Err(other),
    }
}
