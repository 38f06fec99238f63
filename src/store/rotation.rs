//! What it takes to rotate keys: states that lead to each other, and rows that are wrapped anew by comparing what is there
//! with what was read.

use std::time::Duration;

use pushvault_crypto::KekId;
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokio::time::sleep;

use super::database::Store;
use super::error::StoreError;
use super::keys::parse_kek_id;
use super::recovery::StoredAccountKey;
use super::unit_of_work::UnitOfWork;
use super::versions::CredentialVersion;
use crate::domain::principal::AccountScope;
use crate::domain::root_key::RootKeyState;

/// The advisory lock of whoever rewraps: one at a time is enough.
const JOB: i64 = 0x7075_7368_6b65_6b73;

/// How often the turn is asked for, and how long to wait in between: Postgres takes a moment to see that whoever had it last
/// is gone.
const TURN_TRIES: u32 = 20;
const TURN_PAUSE: Duration = Duration::from_millis(100);

/// A row that is wrapped anew.
pub struct Rewrapped<T> {
    /// As it was read.
    pub old: T,
    /// What takes its place.
    pub new: Vec<u8>,
}

/// The right to wrap keys anew, until it is dropped.
pub struct Turn {
    _connection: PgConnection,
}

impl Store {
    /// Takes the turn of whoever wraps keys anew; none while somebody else has it.
    pub async fn rotation_turn(&self) -> Result<Option<Turn>, StoreError> {
        // The lock lives as long as the connection, which therefore never goes back to the pool.
        let mut connection = self.pool().acquire().await?.detach();
        for _ in 0..TURN_TRIES {
            let has_it = sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "has_it!""#, JOB)
                .fetch_one(&mut connection)
                .await?;
            if has_it {
                return Ok(Some(Turn {
                    _connection: connection,
                }));
            }
            sleep(TURN_PAUSE).await;
        }
        Ok(None)
    }

    /// The database role of this process, if it may not change the states of keys.
    pub async fn role_without_keys(&self) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select case when not (
                has_table_privilege('root_keys', 'update') and has_table_privilege('account_keys', 'update')
                and has_column_privilege('credential_versions', 'dek_envelope', 'update')
            ) then current_user::text end"#
        )
        .fetch_one(&self.pool())
        .await?)
    }

    /// How many account keys are wrapped under each root key that any is wrapped under.
    pub async fn account_keys_by_root_key(&self) -> Result<Vec<(KekId, i64)>, StoreError> {
        let rows = sqlx::query!(
            r#"select kek_id, count(*) as "count!" from account_keys where state <> 'destroyed' group by kek_id order by 1"#
        )
        .fetch_all(&self.pool())
        .await?;
        rows.into_iter()
            .map(|row| Ok((parse_kek_id(&row.kek_id)?, row.count)))
            .collect()
    }

    /// When the account's primary key was made.
    pub async fn primary_account_key_made(&self, scope: &AccountScope) -> Result<Option<OffsetDateTime>, StoreError> {
        Ok(sqlx::query_scalar!(
            "select created_at from account_keys where account_sid = $1 and state = 'primary'",
            scope.account_sid().as_str(),
        )
        .fetch_optional(&self.pool())
        .await?)
    }

    /// How many versions of an account's credentials are sealed under another of its keys than this one.
    pub async fn count_versions_not_under(&self, scope: &AccountScope, version: i32) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select count(*) as "count!" from credential_versions
            where account_sid = $1 and substring(dek_envelope from 5 for 4) <> int4send($2)"#,
            scope.account_sid().as_str(),
            version,
        )
        .fetch_one(&self.pool())
        .await?)
    }
}

impl UnitOfWork {
    /// Waits for whoever is writing an account key, and keeps others from it until this change is done.
    pub async fn lock_root_keys(&mut self) -> Result<(), StoreError> {
        sqlx::query!("select pg_advisory_xact_lock(hashtextextended('root_keys', 0))")
            .fetch_one(self.connection())
            .await?;
        Ok(())
    }

    /// Takes a root key from one of these states to the next; false when it is in none of them.
    pub async fn move_root_key(
        &mut self,
        kek_id: &KekId,
        from: &[RootKeyState],
        to: RootKeyState,
    ) -> Result<bool, StoreError> {
        let from: Vec<String> = from.iter().map(|state| state.as_str().to_owned()).collect();
        let result = sqlx::query!(
            "update root_keys set state = $3, changed_at = now() where kek_id = $1 and state = any($2)",
            kek_id.as_str(),
            &from,
            to.as_str(),
        )
        .execute(self.connection())
        .await?;
        Ok(result.rows_affected() == 1)
    }

    /// How many keys are wrapped under a root key. Once it is no longer the primary one, it is no more later.
    pub async fn count_keys_under(&mut self, kek_id: &KekId) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select (select count(*) from account_keys where kek_id = $1 and state <> 'destroyed')
                + (select count(*) from signing_keys where kek_id = $1 and state <> 'retired') as "count!""#,
            kek_id.as_str(),
        )
        .fetch_one(self.connection())
        .await?)
    }

    /// Puts account keys that were wrapped anew in the place of what was read, where that is still there. Returns how many.
    pub async fn rewrap_account_keys(
        &mut self,
        kek_id: &KekId,
        keys: &[Rewrapped<StoredAccountKey>],
    ) -> Result<u64, StoreError> {
        let accounts: Vec<String> = keys.iter().map(|key| key.old.account_sid.to_string()).collect();
        let versions: Vec<i32> = keys.iter().map(|key| key.old.version).collect();
        let old: Vec<Vec<u8>> = keys.iter().map(|key| key.old.wrapped.clone()).collect();
        let new: Vec<Vec<u8>> = keys.iter().map(|key| key.new.clone()).collect();
        let result = sqlx::query!(
            r#"update account_keys set kek_id = $1, wrapped_key = fresh.wrapped, changed_at = now()
            from unnest($2::text[], $3::integer[], $4::bytea[], $5::bytea[]) as fresh (account_sid, version, old, wrapped)
            where account_keys.account_sid = fresh.account_sid collate "C" and account_keys.version = fresh.version
                and account_keys.wrapped_key = fresh.old"#,
            kek_id.as_str(),
            &accounts,
            &versions,
            &old,
            &new,
        )
        .execute(self.connection())
        .await?;
        Ok(result.rows_affected())
    }

    /// Makes the account's primary key a previous one, so that another may become the primary one. Waits for whoever is
    /// writing a row under it, and keeps others from it until this change is done.
    pub async fn demote_account_key(&mut self, scope: &AccountScope) -> Result<Option<i32>, StoreError> {
        sqlx::query!(
            "select pg_advisory_xact_lock(hashtextextended($1, 0))",
            scope.account_sid().as_str(),
        )
        .fetch_one(self.connection())
        .await?;
        Ok(sqlx::query_scalar!(
            "update account_keys set state = 'previous', changed_at = now()
            where account_sid = $1 and state = 'primary' returning version",
            scope.account_sid().as_str(),
        )
        .fetch_optional(self.connection())
        .await?)
    }

    /// Puts headers that were wrapped anew in the place of what was read, where that is still there. Returns which versions
    /// they are: credential, number, digest.
    pub async fn rewrap_versions(
        &mut self,
        scope: &AccountScope,
        versions: &[Rewrapped<CredentialVersion>],
        digests: &[Vec<u8>],
    ) -> Result<Vec<(String, i32, Vec<u8>)>, StoreError> {
        let credentials: Vec<String> = versions
            .iter()
            .map(|version| version.old.credential_sid.to_string())
            .collect();
        let numbers: Vec<i32> = versions.iter().map(|version| version.old.version).collect();
        let old: Vec<Vec<u8>> = versions
            .iter()
            .map(|version| version.old.envelope.dek_envelope.clone())
            .collect();
        let new: Vec<Vec<u8>> = versions.iter().map(|version| version.new.clone()).collect();
        let rows = sqlx::query!(
            r#"update credential_versions set dek_envelope = fresh.header, envelope_digest = fresh.digest
            from unnest($2::text[], $3::integer[], $4::bytea[], $5::bytea[], $6::bytea[])
                as fresh (credential_sid, version, old, header, digest)
            where credential_versions.account_sid = $1
                and credential_versions.credential_sid = fresh.credential_sid collate "C"
                and credential_versions.version = fresh.version and credential_versions.dek_envelope = fresh.old
            returning credential_versions.credential_sid, credential_versions.version,
                credential_versions.envelope_digest"#,
            scope.account_sid().as_str(),
            &credentials,
            &numbers,
            &old,
            &new,
            digests,
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.credential_sid, row.version, row.envelope_digest))
            .collect())
    }

    /// Destroys the previous keys of an account under which nothing is sealed. Returns their versions.
    pub async fn destroy_idle_account_keys(&mut self, scope: &AccountScope) -> Result<Vec<i32>, StoreError> {
        Ok(sqlx::query_scalar!(
            "update account_keys set state = 'destroyed', wrapped_key = '', changed_at = now()
            where account_sid = $1 and state = 'previous' and not exists (
                select from credential_versions
                where credential_versions.account_sid = $1
                    and substring(dek_envelope from 5 for 4) = int4send(account_keys.version)
            ) returning version",
            scope.account_sid().as_str(),
        )
        .fetch_all(self.connection())
        .await?)
    }
}
