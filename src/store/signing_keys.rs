//! The keys that sign, wrapped.

use pushvault_crypto::KekId;

use super::database::Store;
use super::error::StoreError;
use super::keys::parse_kek_id;
use super::unit_of_work::UnitOfWork;

/// The signing key in use, as stored.
#[derive(Debug)]
pub struct WrappedSigningKey {
    /// Its id, which its public half gives.
    pub key_id: String,
    /// Its public half.
    pub public_key: Vec<u8>,
    /// The root key that it is wrapped under.
    pub kek_id: KekId,
    /// The seed, wrapped.
    pub wrapped: Vec<u8>,
}

impl Store {
    /// The signing key in use; none before the first signature.
    pub async fn signing_key(&self) -> Result<Option<WrappedSigningKey>, StoreError> {
        let row =
            sqlx::query!("select key_id, public_key, kek_id, wrapped_key from signing_keys where state = 'primary'")
                .fetch_optional(&self.pool())
                .await?;
        row.map(|row| {
            Ok(WrappedSigningKey {
                key_id: row.key_id,
                public_key: row.public_key,
                kek_id: parse_kek_id(&row.kek_id)?,
                wrapped: row.wrapped_key,
            })
        })
        .transpose()
    }
}

impl UnitOfWork {
    /// Adds the signing key that is to be used; false when there is one.
    pub async fn insert_signing_key(&mut self, key: &WrappedSigningKey) -> Result<bool, StoreError> {
        let result = sqlx::query!(
            "insert into signing_keys (key_id, public_key, kek_id, wrapped_key, state)
            values ($1, $2, $3, $4, 'primary') on conflict do nothing",
            key.key_id,
            key.public_key,
            key.kek_id.as_str(),
            key.wrapped,
        )
        .execute(self.connection())
        .await?;
        Ok(result.rows_affected() == 1)
    }

    /// Replaces the wrap of a signing key; false when it is not wrapped any more as it was.
    pub async fn rewrap_signing_key(
        &mut self,
        key: &WrappedSigningKey,
        kek_id: &KekId,
        wrapped: &[u8],
    ) -> Result<bool, StoreError> {
        let result = sqlx::query!(
            "update signing_keys set kek_id = $3, wrapped_key = $4, changed_at = now()
            where key_id = $1 and wrapped_key = $2",
            key.key_id,
            key.wrapped,
            kek_id.as_str(),
            wrapped,
        )
        .execute(self.connection())
        .await?;
        Ok(result.rows_affected() == 1)
    }
}
