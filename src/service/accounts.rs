//! Accounts and API keys: the operator's use cases.

use secrecy::SecretString;
use serde_json::json;

use super::error::VaultError;
use super::keyring::Patience;
use super::vault::Vault;
use crate::domain::account::{Account, AccountStatus, ApiKey};
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::destruction::DestructionError;
use crate::domain::principal::AccountScope;
use crate::domain::right::Rights;
use crate::domain::sid::{AccountSid, ApiKeySid};
use crate::domain::text::FriendlyName;
use crate::store::NewAccountRow;

/// A new account, with its auth token: the one time that the token is told.
pub struct NewAccount {
    /// Its SID.
    pub account_sid: AccountSid,
    /// Its first auth token.
    pub auth_token: SecretString,
}

/// A new API key, with its secret: the one time that the secret is told.
pub struct NewApiKey {
    /// Its SID.
    pub api_key_sid: ApiKeySid,
    /// Its secret.
    pub secret: SecretString,
}

/// What to do with an account's auth tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRotation {
    /// Make a new token; the present one stays valid beside it until the roll-over is finished.
    Begin,
    /// Make a new token; every older one is invalid at once.
    Replace,
    /// End the roll-over: only the newest token stays valid.
    Finish,
}

impl Vault {
    /// Makes an account with its first auth token and its first account key.
    pub async fn create_account(
        &self,
        context: &RequestContext,
        friendly_name: Option<&str>,
    ) -> Result<NewAccount, VaultError> {
        let friendly_name = friendly_name.map_or(Ok(None), FriendlyName::parse)?;
        let account_sid = AccountSid::generate()?;
        let (auth_token, hash) = self.authenticator.new_token().await?;
        let mut patience = Patience::new();
        loop {
            match self
                .try_create_account(context, &account_sid, friendly_name.as_ref(), &hash)
                .await
            {
                Err(VaultError::StaleKeys) if self.keyring.try_again(&account_sid, &mut patience) => {}
                created => {
                    created?;
                    return Ok(NewAccount {
                        account_sid,
                        auth_token,
                    });
                }
            }
        }
    }

    async fn try_create_account(
        &self,
        context: &RequestContext,
        account_sid: &AccountSid,
        friendly_name: Option<&FriendlyName>,
        token_hash: &str,
    ) -> Result<(), VaultError> {
        let account_key = self.keyring.new_account_key(&self.store, account_sid, 1).await?;
        let event = AuditEvent {
            target_sid: Some(account_sid.to_string()),
            after: Some(json!({ "friendly_name": friendly_name, "status": AccountStatus::Active })),
            ..AuditEvent::new(context, account_sid, Action::AccountCreate, Outcome::Success)?
        };

        let mut change = self.store.begin().await?;
        change
            .insert_account(&NewAccountRow {
                account_sid,
                friendly_name,
                primary_token_hash: token_hash,
            })
            .await?;
        change.insert_account_key(account_sid, &account_key).await?;
        Ok(change.commit(event).await?)
    }

    /// All accounts, oldest first.
    pub async fn accounts(&self) -> Result<Vec<Account>, VaultError> {
        Ok(self.store.accounts().await?)
    }

    /// One account.
    pub async fn account(&self, scope: &AccountScope) -> Result<Account, VaultError> {
        self.store.account(scope).await?.ok_or(VaultError::NotFound)
    }

    /// Lets an account's callers in, or keeps them out. Doing it twice is no error.
    pub async fn set_account_status(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        status: AccountStatus,
    ) -> Result<Account, VaultError> {
        let action = match status {
            AccountStatus::Active => Action::AccountActivate,
            AccountStatus::Suspended => Action::AccountSuspend,
            AccountStatus::Destroyed => return Err(DestructionError::Destroyed(scope.account_sid().clone()).into()),
        };
        let mut change = self.store.begin().await?;
        let before = change.lock_account(scope).await?.ok_or(VaultError::NotFound)?;
        require_not_destroyed(&before)?;
        let after = change.update_account_status(scope, status).await?;
        let event = AuditEvent {
            target_sid: Some(scope.account_sid().to_string()),
            changed_fields: if before.status == status {
                vec![]
            } else {
                vec!["status"]
            },
            before: Some(json!({ "status": before.status })),
            after: Some(json!({ "status": after.status })),
            ..AuditEvent::new(context, scope.account_sid(), action, Outcome::Success)?
        };
        change.commit(event).await?;
        Ok(after)
    }

    /// Moves an account's auth tokens along; the new token, where one is made, is told this one time.
    pub async fn rotate_token(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        rotation: TokenRotation,
    ) -> Result<Option<SecretString>, VaultError> {
        let token = match rotation {
            TokenRotation::Begin | TokenRotation::Replace => Some(self.authenticator.new_token().await?),
            TokenRotation::Finish => None,
        };
        let mut change = self.store.begin().await?;
        require_not_destroyed(&change.lock_account(scope).await?.ok_or(VaultError::NotFound)?)?;
        if let Some((_, hash)) = &token {
            change.push_token_hash(scope, hash).await?;
        }
        if rotation != TokenRotation::Begin {
            change.drop_secondary_token_hash(scope).await?;
        }
        let event = AuditEvent {
            target_sid: Some(scope.account_sid().to_string()),
            changed_fields: match rotation {
                TokenRotation::Begin | TokenRotation::Replace => vec!["primary_token", "secondary_token"],
                TokenRotation::Finish => vec!["secondary_token"],
            },
            ..AuditEvent::new(
                context,
                scope.account_sid(),
                Action::AccountRotateToken,
                Outcome::Success,
            )?
        };
        change.commit(event).await?;
        Ok(token.map(|(token, _)| token))
    }

    /// Makes an API key of an account. What it may do stays as it is for the key's whole life.
    pub async fn create_api_key(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        friendly_name: Option<&str>,
        rights: Rights,
    ) -> Result<NewApiKey, VaultError> {
        let friendly_name = friendly_name.map_or(Ok(None), FriendlyName::parse)?;
        let api_key_sid = ApiKeySid::generate()?;
        let (secret, hash) = self.authenticator.new_token().await?;
        let event = AuditEvent {
            target_sid: Some(api_key_sid.to_string()),
            after: Some(json!({ "friendly_name": friendly_name, "rights": rights })),
            ..AuditEvent::new(context, scope.account_sid(), Action::ApiKeyCreate, Outcome::Success)?
        };

        let mut change = self.store.begin().await?;
        require_not_destroyed(&change.lock_account(scope).await?.ok_or(VaultError::NotFound)?)?;
        change
            .insert_api_key(scope, &api_key_sid, friendly_name.as_ref(), rights, &hash)
            .await?;
        change.commit(event).await?;
        Ok(NewApiKey { api_key_sid, secret })
    }

    /// The API keys of an account, oldest first, the revoked ones too.
    pub async fn api_keys(&self, scope: &AccountScope) -> Result<Vec<ApiKey>, VaultError> {
        self.account(scope).await?;
        Ok(self.store.api_keys(scope).await?)
    }

    /// Revokes an API key: it is refused from the next request on, on every replica.
    pub async fn revoke_api_key(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        api_key_sid: &ApiKeySid,
    ) -> Result<(), VaultError> {
        let mut change = self.store.begin().await?;
        if !change.revoke_api_key(scope, api_key_sid).await? {
            return Err(VaultError::NotFound);
        }
        let event = AuditEvent {
            target_sid: Some(api_key_sid.to_string()),
            ..AuditEvent::new(context, scope.account_sid(), Action::ApiKeyRevoke, Outcome::Success)?
        };
        Ok(change.commit(event).await?)
    }
}

/// Refuses what would be of no use to an account that is destroyed.
fn require_not_destroyed(account: &Account) -> Result<(), DestructionError> {
    match account.status {
        AccountStatus::Active | AccountStatus::Suspended => Ok(()),
        AccountStatus::Destroyed => Err(DestructionError::Destroyed(account.account_sid.clone())),
    }
}
