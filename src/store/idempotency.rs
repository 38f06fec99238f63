//! Idempotency keys: which credential a create with such a key made. A key is kept for 24 hours.

use sqlx::types::time::OffsetDateTime;

use super::accounts::parse_friendly_name;
use super::credentials::{NewCredentialRow, parse_credential_sid};
use super::database::Store;
use super::error::StoreError;
use super::unit_of_work::UnitOfWork;
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::principal::AccountScope;
use crate::domain::sid::CredentialSid;
use crate::domain::text::FriendlyName;
use crate::telemetry::Traced as _;

/// What the first create with a key made.
pub struct FirstResult {
    /// The credential, which may have been changed or deleted since.
    pub credential_sid: CredentialSid,
    /// What it was called then.
    pub friendly_name: Option<FriendlyName>,
    /// When it was made: in the transaction that took the key, and so in the same instant.
    pub date_created: OffsetDateTime,
}

impl Store {
    /// What an earlier create with this key made.
    pub async fn first_result(
        &self,
        scope: &AccountScope,
        key: &IdempotencyKey,
    ) -> Result<Option<FirstResult>, StoreError> {
        sqlx::query!(
            "select credential_sid, friendly_name, created_at from idempotency_keys
            where account_sid = $1 and idempotency_key = $2 and created_at > now() - interval '24 hours'",
            scope.account_sid().as_str(),
            key.as_str(),
        )
        .fetch_optional(&self.pool())
        .statement("store.first_result")
        .await?
        .map(|row| {
            Ok(FirstResult {
                credential_sid: parse_credential_sid(&row.credential_sid)?,
                friendly_name: parse_friendly_name(row.friendly_name)?,
                date_created: row.created_at,
            })
        })
        .transpose()
    }
}

impl UnitOfWork {
    /// Takes a key for the credential that this change makes. False when another create has it: one that is under way is
    /// waited for. Some keys of the account that have served their time are removed along the way.
    pub async fn take_idempotency_key(
        &mut self,
        scope: &AccountScope,
        key: &IdempotencyKey,
        new: &NewCredentialRow<'_>,
    ) -> Result<bool, StoreError> {
        let taken = sqlx::query!(
            "with expired as (
                delete from idempotency_keys where account_sid = $1 and idempotency_key in (
                    select idempotency_key from idempotency_keys
                    where account_sid = $1 and idempotency_key <> $2 and created_at <= now() - interval '24 hours'
                    order by created_at limit 10 for update skip locked
                )
            )
            insert into idempotency_keys (account_sid, idempotency_key, credential_sid, friendly_name)
            values ($1, $2, $3, $4)
            on conflict (account_sid, idempotency_key) do update
            set credential_sid = excluded.credential_sid, friendly_name = excluded.friendly_name, created_at = now()
            where idempotency_keys.created_at <= now() - interval '24 hours'",
            scope.account_sid().as_str(),
            key.as_str(),
            new.credential_sid.as_str(),
            new.friendly_name.map(FriendlyName::as_str),
        )
        .execute(self.connection())
        .statement("store.take_idempotency_key")
        .await?;
        Ok(taken.rows_affected() == 1)
    }
}
