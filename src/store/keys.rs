//! Root key records and wrapped account keys.

use pushvault_crypto::{Argon2Cost, KekId, WrappedKey};

use super::database::Store;
use super::error::StoreError;
use super::unit_of_work::UnitOfWork;
use crate::domain::principal::AccountScope;
use crate::domain::root_key::{RootKeyOrigin, RootKeyRecord};
use crate::domain::sid::AccountSid;
use crate::telemetry::Traced as _;

/// An account key as stored.
#[derive(Debug)]
pub struct WrappedAccountKey {
    /// Its version within the account.
    pub version: i32,
    /// The root key that it is wrapped under.
    pub kek_id: KekId,
    /// The key, wrapped.
    pub wrapped: WrappedKey,
}

impl Store {
    /// The root key that account keys are wrapped under; none before the first use.
    pub async fn primary_root_key(&self) -> Result<Option<RootKeyRecord>, StoreError> {
        let row = sqlx::query!(
            "select kek_id, kdf_salt, kdf_memory_kib, kdf_iterations, kdf_parallelism
            from root_keys where state = 'primary'"
        )
        .fetch_optional(&self.pool())
        .await?;
        row.map(|row| {
            let cost = |value: Option<i32>| {
                value
                    .and_then(|value| u32::try_from(value).ok())
                    .ok_or(StoreError::Malformed("root_keys.kdf_*"))
            };
            Ok(RootKeyRecord {
                kek_id: parse_kek_id(&row.kek_id)?,
                origin: match row.kdf_salt {
                    None => RootKeyOrigin::File,
                    Some(salt) => RootKeyOrigin::Passphrase {
                        salt,
                        cost: Argon2Cost {
                            memory_kib: cost(row.kdf_memory_kib)?,
                            iterations: cost(row.kdf_iterations)?,
                            parallelism: cost(row.kdf_parallelism)?,
                        },
                    },
                },
            })
        })
        .transpose()
    }

    /// The account key that new secrets are sealed under.
    pub async fn primary_account_key(&self, scope: &AccountScope) -> Result<WrappedAccountKey, StoreError> {
        let row = sqlx::query!(
            "select version, kek_id, wrapped_key from account_keys where account_sid = $1 and state = 'primary'",
            scope.account_sid().as_str(),
        )
        .fetch_one(&self.pool())
        .statement("store.primary_account_key")
        .await?;
        account_key(row.version, &row.kek_id, &row.wrapped_key)
    }

    /// The account key of a version that an envelope names.
    pub async fn account_key(&self, scope: &AccountScope, version: i32) -> Result<WrappedAccountKey, StoreError> {
        let row = sqlx::query!(
            "select version, kek_id, wrapped_key from account_keys where account_sid = $1 and version = $2",
            scope.account_sid().as_str(),
            version,
        )
        .fetch_optional(&self.pool())
        .statement("store.account_key")
        .await?
        .ok_or(StoreError::Malformed(
            "credential_versions.dek_envelope names an account key that is not there",
        ))?;
        account_key(row.version, &row.kek_id, &row.wrapped_key)
    }
}

impl UnitOfWork {
    /// Registers the first root key; false when another one was faster.
    pub async fn insert_root_key(&mut self, record: &RootKeyRecord) -> Result<bool, StoreError> {
        let (salt, cost) = match &record.origin {
            RootKeyOrigin::File => (None, None),
            RootKeyOrigin::Passphrase { salt, cost } => (Some(salt), Some(cost)),
        };
        let column = |value: Option<u32>| value.map(|value| i32::try_from(value).unwrap_or(i32::MAX));
        let result = sqlx::query!(
            "insert into root_keys (kek_id, provider, state, kdf_salt, kdf_memory_kib, kdf_iterations, kdf_parallelism)
            values ($1, $2, 'primary', $3, $4, $5, $6) on conflict do nothing",
            record.kek_id.as_str(),
            record.origin.as_str(),
            salt,
            column(cost.map(|cost| cost.memory_kib)),
            column(cost.map(|cost| cost.iterations)),
            column(cost.map(|cost| cost.parallelism)),
        )
        .execute(self.connection())
        .await?;
        Ok(result.rows_affected() == 1)
    }

    /// Adds the first key of a new account.
    pub async fn insert_account_key(
        &mut self,
        account_sid: &AccountSid,
        key: &WrappedAccountKey,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into account_keys (account_sid, version, kek_id, wrapped_key, state)
            values ($1, $2, $3, $4, 'primary')",
            account_sid.as_str(),
            key.version,
            key.kek_id.as_str(),
            key.wrapped.as_bytes(),
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

fn parse_kek_id(text: &str) -> Result<KekId, StoreError> {
    text.parse().map_err(|_| StoreError::Malformed("kek_id"))
}

fn account_key(version: i32, kek_id: &str, wrapped_key: &[u8]) -> Result<WrappedAccountKey, StoreError> {
    Ok(WrappedAccountKey {
        version,
        kek_id: parse_kek_id(kek_id)?,
        wrapped: WrappedKey::parse(wrapped_key).map_err(|_| StoreError::Malformed("account_keys.wrapped_key"))?,
    })
}
