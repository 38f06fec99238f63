//! Root key records and wrapped account keys.

use pushvault_crypto::{Argon2Cost, KekId};

use super::database::Store;
use super::error::StoreError;
use super::unit_of_work::UnitOfWork;
use crate::domain::principal::AccountScope;
use crate::domain::root_key::{ExternalProvider, RootKeyOrigin, RootKeyRecord, RootKeyState};
use crate::domain::sid::AccountSid;
use crate::telemetry::Traced as _;

/// An account key that is encrypted to a recovery recipient.
#[derive(Debug, Clone)]
pub struct RecoveryCopy {
    /// To whom.
    pub recipient: String,
    /// The file of age.
    pub copy: Vec<u8>,
}

/// An account key as stored.
#[derive(Debug)]
pub struct WrappedAccountKey {
    /// Its version within the account.
    pub version: i32,
    /// Whether new secrets are sealed under it.
    pub is_primary: bool,
    /// The root key that it is wrapped under.
    pub kek_id: KekId,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
    /// The same key for the day on which the root key is lost: of a new key, once recovery is set up. To use a key nobody
    /// reads it.
    pub recovery: Option<RecoveryCopy>,
}

impl Store {
    /// Every root key that this database knows, the oldest first; none before the first use.
    pub async fn root_keys(&self) -> Result<Vec<RootKeyRecord>, StoreError> {
        let rows = sqlx::query!(
            "select kek_id, provider, state, name, wrapped_seed, kdf_salt, kdf_memory_kib, kdf_iterations, kdf_parallelism
            from root_keys order by created_at, kek_id"
        )
        .fetch_all(&self.pool())
        .await?;
        let cost = |value: Option<i32>| {
            value
                .and_then(|value| u32::try_from(value).ok())
                .ok_or(StoreError::Malformed("root_keys.kdf_*"))
        };
        rows.into_iter()
            .map(|row| {
                Ok(RootKeyRecord {
                    kek_id: parse_kek_id(&row.kek_id)?,
                    state: RootKeyState::parse(&row.state).ok_or(StoreError::Malformed("root_keys.state"))?,
                    origin: match (row.kdf_salt, ExternalProvider::parse(&row.provider)) {
                        (Some(salt), _) => RootKeyOrigin::Passphrase {
                            salt,
                            cost: Argon2Cost {
                                memory_kib: cost(row.kdf_memory_kib)?,
                                iterations: cost(row.kdf_iterations)?,
                                parallelism: cost(row.kdf_parallelism)?,
                            },
                        },
                        (None, Some(provider)) => RootKeyOrigin::External {
                            provider,
                            name: row.name.unwrap_or_default(),
                            wrapped_seed: row
                                .wrapped_seed
                                .ok_or(StoreError::Malformed("root_keys.wrapped_seed"))?,
                        },
                        (None, None) => RootKeyOrigin::File,
                    },
                })
            })
            .collect()
    }

    /// The root key that account keys are wrapped under; none before the first use.
    pub async fn primary_root_key(&self) -> Result<Option<KekId>, StoreError> {
        let kek_id = sqlx::query_scalar!("select kek_id from root_keys where state = 'primary'")
            .fetch_optional(&self.pool())
            .await?;
        kek_id.as_deref().map(parse_kek_id).transpose()
    }

    /// The keys of an account: the one that new secrets are sealed under, and those that older ones are.
    pub async fn account_keys(&self, scope: &AccountScope) -> Result<Vec<WrappedAccountKey>, StoreError> {
        let rows = sqlx::query!(
            r#"select version, state = 'primary' as "is_primary!", kek_id, wrapped_key
            from account_keys where account_sid = $1 and state <> 'destroyed' order by version"#,
            scope.account_sid().as_str(),
        )
        .fetch_all(&self.pool())
        .statement("store.account_keys")
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(WrappedAccountKey {
                    version: row.version,
                    is_primary: row.is_primary,
                    kek_id: parse_kek_id(&row.kek_id)?,
                    wrapped: row.wrapped_key,
                    recovery: None,
                })
            })
            .collect()
    }
}

impl UnitOfWork {
    /// Registers a root key; false when it is there already, or, for the first one, when another one was faster.
    pub async fn insert_root_key(&mut self, record: &RootKeyRecord) -> Result<bool, StoreError> {
        let (salt, cost) = match &record.origin {
            RootKeyOrigin::Passphrase { salt, cost } => (Some(salt), Some(cost)),
            RootKeyOrigin::File | RootKeyOrigin::External { .. } => (None, None),
        };
        let (name, wrapped_seed) = match &record.origin {
            RootKeyOrigin::External { name, wrapped_seed, .. } => (Some(name), Some(wrapped_seed)),
            RootKeyOrigin::File | RootKeyOrigin::Passphrase { .. } => (None, None),
        };
        let column = |value: Option<u32>| value.map(|value| i32::try_from(value).unwrap_or(i32::MAX));
        let result = sqlx::query!(
            "insert into root_keys (kek_id, provider, state, kdf_salt, kdf_memory_kib, kdf_iterations, kdf_parallelism,
                name, wrapped_seed)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing",
            record.kek_id.as_str(),
            record.origin.as_str(),
            record.state.as_str(),
            salt,
            column(cost.map(|cost| cost.memory_kib)),
            column(cost.map(|cost| cost.iterations)),
            column(cost.map(|cost| cost.parallelism)),
            name,
            wrapped_seed,
        )
        .execute(self.connection())
        .await?;
        Ok(result.rows_affected() == 1)
    }

    /// Adds an account's primary key.
    pub async fn insert_account_key(
        &mut self,
        account_sid: &AccountSid,
        key: &WrappedAccountKey,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into account_keys (
                account_sid, version, kek_id, wrapped_key, state, recovery_recipient, recovery_copy
            ) values ($1, $2, $3, $4, 'primary', $5, $6)",
            account_sid.as_str(),
            key.version,
            key.kek_id.as_str(),
            key.wrapped,
            key.recovery.as_ref().map(|recovery| &recovery.recipient),
            key.recovery.as_ref().map(|recovery| &recovery.copy),
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

pub(super) fn parse_kek_id(text: &str) -> Result<KekId, StoreError> {
    text.parse().map_err(|_| StoreError::Malformed("kek_id"))
}
