//! Destroying an account by destroying its keys, in two steps, and the signed statement of what that is worth.

use serde_json::{Value, json};

use super::error::VaultError;
use super::vault::Vault;
use crate::domain::account::{Account, AccountStatus};
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::destruction::{DestructionError, DestructionRecord, Inventory};
use crate::domain::principal::AccountScope;
use crate::domain::sid::AccountSid;
use crate::domain::text::iso_8601;

/// The tag of a confirmation code.
const CODE_TAG: &[u8] = b"pushvault/v1/destroy-account";

/// How much of its MAC a confirmation code shows, in hexadecimal digits.
const CODE_LENGTH: usize = 12;

/// How many credentials are told by name.
const NAMES: i64 = 20;

/// What would be destroyed, and the code that confirms it.
#[derive(Debug)]
pub struct DestructionPreview {
    /// The account.
    pub account: Account,
    /// What there is of it.
    pub inventory: Inventory,
    /// The newest of its credentials, by SID, push service and name.
    pub credentials: Vec<String>,
    /// What is to be said to destroy exactly this.
    pub code: String,
}

/// A signed statement of destruction.
#[derive(Debug)]
pub struct Destruction {
    /// What it rests on.
    pub record: DestructionRecord,
    /// The statement: a signed note.
    pub note: String,
    /// The id of the key that signed it.
    pub key_id: String,
}

impl Vault {
    /// Says what there is of an account that is to be destroyed.
    pub async fn preview_destruction(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
    ) -> Result<DestructionPreview, VaultError> {
        let credentials = self.store.credential_names(scope, NAMES).await?;
        let mut change = self.store.begin().await?;
        let account = change.lock_account(scope).await?.ok_or(VaultError::NotFound)?;
        require_suspended(&account)?;
        let inventory = change.inventory(scope).await?;
        let event = AuditEvent {
            target_sid: Some(scope.account_sid().to_string()),
            before: Some(counts(&inventory)),
            ..AuditEvent::new(
                context,
                scope.account_sid(),
                Action::AccountDestroyPreview,
                Outcome::Success,
            )?
        };
        change.commit(event).await?;
        Ok(DestructionPreview {
            code: self.confirmation_code(&account, &inventory),
            account,
            inventory,
            credentials,
        })
    }

    /// Destroys the keys of a suspended account, if the code is that of what is there now. Every replica is told, and
    /// forgets the keys that it holds.
    pub async fn destroy_account(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        code: &str,
    ) -> Result<(), VaultError> {
        let mut change = self.store.begin().await?;
        let account = change.lock_account(scope).await?.ok_or(VaultError::NotFound)?;
        require_suspended(&account)?;
        change.lock_account_keys(scope).await?;
        let inventory = change.inventory(scope).await?;
        if self.confirmation_code(&account, &inventory) != code {
            return Err(DestructionError::WrongCode(scope.account_sid().clone()).into());
        }
        let event = AuditEvent {
            target_sid: Some(scope.account_sid().to_string()),
            changed_fields: vec!["status"],
            before: Some(counts(&inventory)),
            after: Some(json!({ "status": AccountStatus::Destroyed })),
            ..AuditEvent::new(context, scope.account_sid(), Action::AccountDestroy, Outcome::Success)?
        };
        change.destroy_account(scope, &event.event_sid, &inventory).await?;
        Ok(change.commit(event).await?)
    }

    /// States, signed, what was destroyed and which keys still open copies from before; none while the account is not
    /// destroyed.
    pub async fn destruction(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
    ) -> Result<Option<Destruction>, VaultError> {
        self.account(scope).await?;
        let Some(record) = self.store.destruction(scope).await? else {
            return Ok(None);
        };
        let signer = &self.signer;
        let issued = iso_8601(self.store.now().await?);
        let key = signer.public_key().spki();
        let note = signer.sign(&self.statement(scope.account_sid(), &record, &issued, &key))?;
        let event = AuditEvent {
            target_sid: Some(scope.account_sid().to_string()),
            after: Some(json!({ "final": record.is_final(), "signing_key": signer.id() })),
            ..AuditEvent::new(
                context,
                scope.account_sid(),
                Action::AccountDestroyStatement,
                Outcome::Success,
            )?
        };
        self.store.record(event).await?;
        Ok(Some(Destruction {
            record,
            note,
            key_id: signer.id(),
        }))
    }

    /// The text of a statement.
    fn statement(&self, account_sid: &AccountSid, record: &DestructionRecord, issued: &str, key: &str) -> String {
        let deployment = uuid::Uuid::from_bytes(*self.keyring.deployment_id().as_bytes());
        let mut lines = vec![
            "pushvault statement of destruction, version 1".to_owned(),
            format!("deployment: {deployment}"),
            format!("account: {account_sid}"),
            format!("destroyed: {}", iso_8601(record.destroyed_at)),
            format!("audit event: {}", record.event_sid),
            format!("account keys destroyed: {}", record.account_keys),
            format!("credentials made unreadable: {}", record.credentials),
            format!("credential versions made unreadable: {}", record.credential_versions),
        ];
        lines.extend(record.openers.iter().map(|opener| {
            let (kind, name, state) = (opener.kind, &opener.name, &opener.state);
            format!(
                "opens older copies: {kind} {name}, {state} since {}",
                iso_8601(opener.since)
            )
        }));
        lines.extend([
            format!("final: {}", if record.is_final() { "yes" } else { "no" }),
            format!("issued: {issued}"),
            format!("signing key: {key}"),
        ]);
        lines.join("\n") + "\n"
    }

    /// The code changes with whatever would be destroyed, and nobody makes one up who has no root key.
    fn confirmation_code(&self, account: &Account, inventory: &Inventory) -> String {
        let state = json!([
            account.account_sid.as_str(),
            account.date_updated.unix_timestamp_nanos().to_string(),
            inventory
                .newest_change
                .map(|newest| newest.unix_timestamp_nanos().to_string()),
            counts(inventory),
        ]);
        let mac = self.keyring.mac(&[CODE_TAG, state.to_string().as_bytes()]);
        let mut code = data_encoding::HEXLOWER.encode(&mac);
        code.truncate(CODE_LENGTH);
        code
    }
}

fn require_suspended(account: &Account) -> Result<(), DestructionError> {
    let account_sid = account.account_sid.clone();
    match account.status {
        AccountStatus::Suspended => Ok(()),
        AccountStatus::Active => Err(DestructionError::NotSuspended(account_sid)),
        AccountStatus::Destroyed => Err(DestructionError::Destroyed(account_sid)),
    }
}

fn counts(inventory: &Inventory) -> Value {
    json!({
        "credentials": inventory.credentials,
        "deleted_credentials": inventory.deleted_credentials,
        "credential_versions": inventory.credential_versions,
        "account_keys": inventory.account_keys,
        "api_keys": inventory.api_keys,
    })
}
