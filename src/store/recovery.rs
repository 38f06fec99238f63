//! Recovery recipients, and the copies of account keys that are encrypted to them.

use pushvault_crypto::KekId;

use super::credentials::parse_account_sid;
use super::database::Store;
use super::error::StoreError;
use super::keys::{RecoveryCopy, parse_kek_id};
use super::unit_of_work::UnitOfWork;
use crate::domain::recovery::{RecoveryRecipientRecord, RecoveryRecipientState};
use crate::domain::sid::AccountSid;

/// An account key with everything that it is stored with.
#[derive(Debug, Clone)]
pub struct StoredAccountKey {
    /// The account.
    pub account_sid: AccountSid,
    /// Its version within the account.
    pub version: i32,
    /// The root key that it is wrapped under.
    pub kek_id: KekId,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
    /// The same key for the day on which the root key is lost.
    pub recovery: Option<RecoveryCopy>,
}

impl Store {
    /// Every recovery recipient that there ever was, the oldest first.
    pub async fn recovery_recipients(&self) -> Result<Vec<RecoveryRecipientRecord>, StoreError> {
        let rows = sqlx::query!(
            r#"select recipient, state, created_at,
                (select count(*) from account_keys where recovery_recipient = recipient) as "account_keys!"
            from recovery_recipients order by created_at, recipient"#
        )
        .fetch_all(&self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let state = RecoveryRecipientState::parse(&row.state);
                Ok(RecoveryRecipientRecord {
                    recipient: row.recipient,
                    state: state.ok_or(StoreError::Malformed("recovery_recipients.state"))?,
                    date_created: row.created_at,
                    account_keys: row.account_keys,
                })
            })
            .collect()
    }

    /// To whom new account keys are encrypted; nobody before recovery is set up.
    pub async fn primary_recovery_recipient(&self) -> Result<Option<String>, StoreError> {
        let recipient = sqlx::query_scalar!("select recipient from recovery_recipients where state = 'primary'");
        Ok(recipient.fetch_optional(&self.pool()).await?)
    }

    /// How many account keys there are that are not encrypted to a recipient.
    pub async fn account_keys_without_copy(&self, recipient: Option<&str>) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from account_keys
            where state <> 'destroyed' and recovery_recipient is distinct from coalesce($1, '')"#,
            recipient,
        );
        Ok(count.fetch_one(&self.pool()).await?)
    }

    /// The account keys behind one, of every account, in the order of their primary key: all of them, or those that are not
    /// wrapped under a root key.
    pub async fn stored_account_keys_after(
        &self,
        last: Option<&StoredAccountKey>,
        not_under: Option<&KekId>,
        limit: i64,
    ) -> Result<Vec<StoredAccountKey>, StoreError> {
        sqlx::query_as!(
            KeyRow,
            "select account_sid, version, kek_id, wrapped_key, recovery_recipient, recovery_copy from account_keys
            where state <> 'destroyed' and (account_sid, version) > ($1, $2) and ($4::text is null or kek_id <> $4)
            order by account_sid, version limit $3",
            last.map_or("", |last| last.account_sid.as_str()),
            last.map_or(0, |last| last.version),
            limit,
            not_under.map(KekId::as_str),
        )
        .fetch_all(&self.pool())
        .await?
        .into_iter()
        .map(StoredAccountKey::try_from)
        .collect()
    }
}

impl UnitOfWork {
    /// Makes a recipient the primary one, and the present primary a previous one; false when there is another one that
    /// was not to be replaced. Those who write account keys wait meanwhile, and then have to encrypt to it.
    pub async fn insert_recovery_recipient(&mut self, recipient: &str, replace: bool) -> Result<bool, StoreError> {
        sqlx::query!("lock table account_keys in share row exclusive mode")
            .execute(self.connection())
            .await?;
        if replace {
            sqlx::query!(
                "update recovery_recipients set state = 'previous', changed_at = now() where state = 'primary'"
            )
            .execute(self.connection())
            .await?;
        }
        let result = sqlx::query!(
            "insert into recovery_recipients (recipient, state) values ($1, 'primary') on conflict do nothing",
            recipient,
        )
        .execute(self.connection())
        .await?;
        Ok(result.rows_affected() == 1)
    }

    /// Some account keys that are not encrypted to a recipient, locked.
    pub async fn lock_account_keys_without_copy(
        &mut self,
        recipient: &str,
        limit: i64,
    ) -> Result<Vec<StoredAccountKey>, StoreError> {
        sqlx::query_as!(
            KeyRow,
            "select account_sid, version, kek_id, wrapped_key, recovery_recipient, recovery_copy from account_keys
            where state <> 'destroyed' and recovery_recipient is distinct from $1
            order by account_sid, version limit $2 for update",
            recipient,
            limit,
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(StoredAccountKey::try_from)
        .collect()
    }

    /// Some account keys behind one that are not wrapped under a root key, locked.
    pub async fn lock_account_keys_under_others(
        &mut self,
        kek_id: &KekId,
        last: Option<&StoredAccountKey>,
        limit: i64,
    ) -> Result<Vec<StoredAccountKey>, StoreError> {
        sqlx::query_as!(
            KeyRow,
            "select account_sid, version, kek_id, wrapped_key, recovery_recipient, recovery_copy from account_keys
            where state <> 'destroyed' and kek_id <> $1 and (account_sid, version) > ($2, $3)
            order by account_sid, version limit $4 for update",
            kek_id.as_str(),
            last.map_or("", |last| last.account_sid.as_str()),
            last.map_or(0, |last| last.version),
            limit,
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(StoredAccountKey::try_from)
        .collect()
    }

    /// Replaces the copy of an account key.
    pub async fn set_recovery_copy(
        &mut self,
        key: &StoredAccountKey,
        recovery: &RecoveryCopy,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update account_keys set recovery_recipient = $3, recovery_copy = $4
            where account_sid = $1 and version = $2",
            key.account_sid.as_str(),
            key.version,
            recovery.recipient,
            recovery.copy,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Replaces the wrap of an account key.
    pub async fn set_wrapped_key(
        &mut self,
        key: &StoredAccountKey,
        kek_id: &KekId,
        wrapped: &[u8],
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update account_keys set kek_id = $3, wrapped_key = $4 where account_sid = $1 and version = $2",
            key.account_sid.as_str(),
            key.version,
            kek_id.as_str(),
            wrapped,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Retires the replaced recipients that no account key is encrypted to any more, and returns them.
    pub async fn retire_recovery_recipients(&mut self) -> Result<Vec<String>, StoreError> {
        let retired = sqlx::query_scalar!(
            "update recovery_recipients set state = 'retired', changed_at = now()
            where state = 'previous' and not exists (select from account_keys where recovery_recipient = recipient)
            returning recipient"
        );
        Ok(retired.fetch_all(self.connection()).await?)
    }

    /// Notes that the private half of a retired recipient is destroyed; false when there is no such retired one.
    pub async fn destroy_recovery_recipient(&mut self, recipient: &str) -> Result<bool, StoreError> {
        let result = sqlx::query!(
            "update recovery_recipients set state = 'destroyed', changed_at = now()
            where recipient = $1 and state = 'retired'",
            recipient,
        )
        .execute(self.connection())
        .await?;
        Ok(result.rows_affected() == 1)
    }

    /// Makes the present primary root key a previous one, and retires the signing key: neither can be unwrapped without
    /// it.
    pub async fn give_up_primary_root_key(&mut self) -> Result<(), StoreError> {
        sqlx::query!("update root_keys set state = 'previous', changed_at = now() where state = 'primary'")
            .execute(self.connection())
            .await?;
        sqlx::query!(
            "update signing_keys set state = 'retired', wrapped_key = '', changed_at = now() where state = 'primary'"
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Makes a root key the primary one that was added before.
    pub async fn promote_root_key(&mut self, kek_id: &KekId) -> Result<(), StoreError> {
        sqlx::query!(
            "update root_keys set state = 'primary', changed_at = now() where kek_id = $1 and state = 'added'",
            kek_id.as_str(),
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Retires the previous root keys that nothing is wrapped under any more, and returns them.
    pub async fn retire_root_keys(&mut self) -> Result<Vec<String>, StoreError> {
        let retired = sqlx::query_scalar!(
            "update root_keys set state = 'retired', changed_at = now()
            where state = 'previous' and not exists (
                select from account_keys where account_keys.kek_id = root_keys.kek_id and state <> 'destroyed'
            ) and not exists (
                select from signing_keys where signing_keys.kek_id = root_keys.kek_id and state <> 'retired'
            )
            returning kek_id"
        );
        Ok(retired.fetch_all(self.connection()).await?)
    }
}

struct KeyRow {
    account_sid: String,
    version: i32,
    kek_id: String,
    wrapped_key: Vec<u8>,
    recovery_recipient: Option<String>,
    recovery_copy: Option<Vec<u8>>,
}

impl TryFrom<KeyRow> for StoredAccountKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        Ok(Self {
            account_sid: parse_account_sid(&row.account_sid)?,
            version: row.version,
            kek_id: parse_kek_id(&row.kek_id)?,
            wrapped: row.wrapped_key,
            recovery: row
                .recovery_recipient
                .zip(row.recovery_copy)
                .map(|(recipient, copy)| RecoveryCopy { recipient, copy }),
        })
    }
}
