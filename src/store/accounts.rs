//! Accounts, their token hashes, and API keys.

use sqlx::types::time::OffsetDateTime;

use super::database::Store;
use super::error::StoreError;
use super::unit_of_work::UnitOfWork;
use crate::domain::account::{Account, AccountStatus, ApiKey};
use crate::domain::principal::AccountScope;
use crate::domain::right::Rights;
use crate::domain::sid::{AccountSid, ApiKeySid};
use crate::domain::text::FriendlyName;
use crate::telemetry::Traced as _;

/// The Argon2id hashes (PHC strings) that a caller's secret may match.
pub struct TokenHashes {
    /// The auth token, or the API key's secret.
    pub primary: String,
    /// The auth token of a roll-over.
    pub secondary: Option<String>,
}

/// What authentication needs to know of a user name.
pub struct AuthenticationRecord {
    /// The account that the caller would act for.
    pub account_sid: AccountSid,
    /// Whether that account lets anyone in.
    pub status: AccountStatus,
    /// What the secret may match.
    pub hashes: TokenHashes,
    /// What the caller may do.
    pub rights: Rights,
}

/// A new account's row.
pub struct NewAccountRow<'a> {
    /// Its SID.
    pub account_sid: &'a AccountSid,
    /// What a person calls it.
    pub friendly_name: Option<&'a FriendlyName>,
    /// The hash of its first auth token.
    pub primary_token_hash: &'a str,
}

impl Store {
    /// Looks an account up by its SID, for authentication.
    pub async fn account_for_authentication(
        &self,
        account_sid: &AccountSid,
    ) -> Result<Option<AuthenticationRecord>, StoreError> {
        let row = sqlx::query!(
            "select status, primary_token_hash, secondary_token_hash from accounts where account_sid = $1",
            account_sid.as_str(),
        )
        .fetch_optional(&self.pool())
        .statement("store.account_for_authentication")
        .await?;
        row.map(|row| {
            Ok(AuthenticationRecord {
                account_sid: account_sid.clone(),
                status: parse_status(&row.status)?,
                hashes: TokenHashes {
                    primary: row.primary_token_hash,
                    secondary: row.secondary_token_hash,
                },
                rights: Rights::all(),
            })
        })
        .transpose()
    }

    /// Looks an API key up by its SID, for authentication; a revoked one is not found.
    pub async fn api_key_for_authentication(
        &self,
        api_key_sid: &ApiKeySid,
    ) -> Result<Option<AuthenticationRecord>, StoreError> {
        let row = sqlx::query!(
            "select account_sid, status, secret_hash, rights from api_keys join accounts using (account_sid)
            where api_key_sid = $1 and revoked_at is null",
            api_key_sid.as_str(),
        )
        .fetch_optional(&self.pool())
        .statement("store.api_key_for_authentication")
        .await?;
        row.map(|row| {
            Ok(AuthenticationRecord {
                account_sid: parse_account_sid(&row.account_sid)?,
                status: parse_status(&row.status)?,
                hashes: TokenHashes {
                    primary: row.secret_hash,
                    secondary: None,
                },
                rights: Rights::from_stored(&row.rights),
            })
        })
        .transpose()
    }

    /// All accounts, oldest first.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        sqlx::query_as!(
            AccountRow,
            "select account_sid, friendly_name, status, secondary_token_hash is not null as \"has_secondary_token!\",
                created_at, updated_at
            from accounts order by created_at, account_sid"
        )
        .fetch_all(&self.pool())
        .await?
        .into_iter()
        .map(Account::try_from)
        .collect()
    }

    /// One account.
    pub async fn account(&self, scope: &AccountScope) -> Result<Option<Account>, StoreError> {
        sqlx::query_as!(
            AccountRow,
            "select account_sid, friendly_name, status, secondary_token_hash is not null as \"has_secondary_token!\",
                created_at, updated_at
            from accounts where account_sid = $1",
            scope.account_sid().as_str(),
        )
        .fetch_optional(&self.pool())
        .await?
        .map(Account::try_from)
        .transpose()
    }

    /// The API keys of an account, oldest first, the revoked ones too.
    pub async fn api_keys(&self, scope: &AccountScope) -> Result<Vec<ApiKey>, StoreError> {
        sqlx::query!(
            "select api_key_sid, friendly_name, rights, created_at, revoked_at from api_keys
            where account_sid = $1 order by created_at, api_key_sid",
            scope.account_sid().as_str(),
        )
        .fetch_all(&self.pool())
        .await?
        .into_iter()
        .map(|row| {
            Ok(ApiKey {
                api_key_sid: ApiKeySid::parse(&row.api_key_sid)
                    .map_err(|_| StoreError::Malformed("api_keys.api_key_sid"))?,
                account_sid: scope.account_sid().clone(),
                friendly_name: parse_friendly_name(row.friendly_name)?,
                rights: Rights::from_stored(&row.rights),
                date_created: row.created_at,
                date_revoked: row.revoked_at,
            })
        })
        .collect()
    }
}

impl UnitOfWork {
    /// Adds an account.
    pub async fn insert_account(&mut self, account: &NewAccountRow<'_>) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into accounts (account_sid, friendly_name, primary_token_hash) values ($1, $2, $3)",
            account.account_sid.as_str(),
            account.friendly_name.map(FriendlyName::as_str),
            account.primary_token_hash,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Reads an account and keeps others from changing it until the end of this change.
    pub async fn lock_account(&mut self, scope: &AccountScope) -> Result<Option<Account>, StoreError> {
        sqlx::query_as!(
            AccountRow,
            "select account_sid, friendly_name, status, secondary_token_hash is not null as \"has_secondary_token!\",
                created_at, updated_at
            from accounts where account_sid = $1 for update",
            scope.account_sid().as_str(),
        )
        .fetch_optional(self.connection())
        .await?
        .map(Account::try_from)
        .transpose()
    }

    /// Lets an account's callers in, or keeps them out; answers the account as it is then.
    pub async fn update_account_status(
        &mut self,
        scope: &AccountScope,
        status: AccountStatus,
    ) -> Result<Account, StoreError> {
        let row = sqlx::query_as!(
            AccountRow,
            "update accounts set status = $2, updated_at = now() where account_sid = $1
            returning account_sid, friendly_name, status, secondary_token_hash is not null as \"has_secondary_token!\",
                created_at, updated_at",
            scope.account_sid().as_str(),
            status.as_str(),
        )
        .fetch_one(self.connection())
        .await?;
        Account::try_from(row)
    }

    /// Makes a new token the primary one; the present primary becomes the secondary, which falls out.
    pub async fn push_token_hash(&mut self, scope: &AccountScope, hash: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "update accounts
            set primary_token_hash = $2, secondary_token_hash = primary_token_hash, updated_at = now()
            where account_sid = $1",
            scope.account_sid().as_str(),
            hash,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Ends a roll-over: the secondary token is no longer valid.
    pub async fn drop_secondary_token_hash(&mut self, scope: &AccountScope) -> Result<(), StoreError> {
        sqlx::query!(
            "update accounts set secondary_token_hash = null, updated_at = now() where account_sid = $1",
            scope.account_sid().as_str(),
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Adds an API key.
    pub async fn insert_api_key(
        &mut self,
        scope: &AccountScope,
        api_key_sid: &ApiKeySid,
        friendly_name: Option<&FriendlyName>,
        rights: Rights,
        secret_hash: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into api_keys (account_sid, api_key_sid, friendly_name, rights, secret_hash)
            values ($1, $2, $3, $4, $5)",
            scope.account_sid().as_str(),
            api_key_sid.as_str(),
            friendly_name.map(FriendlyName::as_str),
            &rights.names(),
            secret_hash,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Revokes an API key; false when there is none that is valid.
    pub async fn revoke_api_key(&mut self, scope: &AccountScope, api_key_sid: &ApiKeySid) -> Result<bool, StoreError> {
        let result = sqlx::query!(
            "update api_keys set revoked_at = now()
            where account_sid = $1 and api_key_sid = $2 and revoked_at is null",
            scope.account_sid().as_str(),
            api_key_sid.as_str(),
        )
        .execute(self.connection())
        .await?;
        Ok(result.rows_affected() == 1)
    }
}

struct AccountRow {
    account_sid: String,
    friendly_name: Option<String>,
    status: String,
    has_secondary_token: bool,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl TryFrom<AccountRow> for Account {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Self, StoreError> {
        Ok(Self {
            account_sid: parse_account_sid(&row.account_sid)?,
            friendly_name: parse_friendly_name(row.friendly_name)?,
            status: parse_status(&row.status)?,
            has_secondary_token: row.has_secondary_token,
            date_created: row.created_at,
            date_updated: row.updated_at,
        })
    }
}

fn parse_account_sid(text: &str) -> Result<AccountSid, StoreError> {
    AccountSid::parse(text).map_err(|_| StoreError::Malformed("account_sid"))
}

fn parse_status(text: &str) -> Result<AccountStatus, StoreError> {
    AccountStatus::parse(text).ok_or(StoreError::Malformed("accounts.status"))
}

pub(super) fn parse_friendly_name(text: Option<String>) -> Result<Option<FriendlyName>, StoreError> {
    text.map_or(Ok(None), |text| FriendlyName::parse(&text))
        .map_err(|_| StoreError::Malformed("friendly_name"))
}
