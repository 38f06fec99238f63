//! Destroying accounts, and what stays as evidence of it.

use super::database::Store;
use super::error::StoreError;
use super::unit_of_work::UnitOfWork;
use crate::domain::destruction::{DestructionRecord, Inventory, Opener};
use crate::domain::principal::AccountScope;
use crate::domain::sid::EventSid;

impl Store {
    /// What was destroyed of an account, if it is; with the keys that open older copies as they are now.
    pub async fn destruction(&self, scope: &AccountScope) -> Result<Option<DestructionRecord>, StoreError> {
        let row = sqlx::query!(
            "select event_sid, destroyed_at, account_keys, credentials, credential_versions
            from destructions where account_sid = $1",
            scope.account_sid().as_str(),
        )
        .fetch_optional(&self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let root_keys = sqlx::query!(
            r#"select kek_id, state, coalesce(changed_at, created_at) as "since!" from root_keys
            where kek_id = any (select unnest(kek_ids) from destructions where account_sid = $1)
            order by created_at, kek_id"#,
            scope.account_sid().as_str(),
        )
        .fetch_all(&self.pool())
        .await?;
        let recipients = sqlx::query!(
            r#"select recipient, state, coalesce(changed_at, created_at) as "since!" from recovery_recipients
            where recipient = any (select unnest(recovery_recipients) from destructions where account_sid = $1)
            order by created_at, recipient"#,
            scope.account_sid().as_str(),
        )
        .fetch_all(&self.pool())
        .await?;
        let root_keys = root_keys.into_iter().map(|row| Opener {
            kind: "root key",
            name: row.kek_id,
            state: row.state,
            since: row.since,
        });
        let recipients = recipients.into_iter().map(|row| Opener {
            kind: "recovery recipient",
            name: row.recipient,
            state: row.state,
            since: row.since,
        });
        Ok(Some(DestructionRecord {
            event_sid: row.event_sid,
            destroyed_at: row.destroyed_at,
            account_keys: row.account_keys,
            credentials: row.credentials,
            credential_versions: row.credential_versions,
            openers: root_keys.chain(recipients).collect(),
        }))
    }

    /// The names of an account's credentials, the newest first.
    pub async fn credential_names(&self, scope: &AccountScope, limit: i64) -> Result<Vec<String>, StoreError> {
        let names = sqlx::query_scalar!(
            r#"select concat_ws(' ', credential_sid, push_service, friendly_name) as "name!" from credentials
            where account_sid = $1 and deleted_at is null order by created_at desc, credential_sid desc limit $2"#,
            scope.account_sid().as_str(),
            limit,
        );
        Ok(names.fetch_all(&self.pool()).await?)
    }
}

impl UnitOfWork {
    /// Waits for whoever is writing under a key of the account, and keeps others from it until this change is done.
    pub async fn lock_account_keys(&mut self, scope: &AccountScope) -> Result<(), StoreError> {
        sqlx::query!(
            "select pg_advisory_xact_lock(hashtextextended($1, 0))",
            scope.account_sid().as_str(),
        )
        .fetch_one(self.connection())
        .await?;
        Ok(())
    }

    /// What there is of an account.
    pub async fn inventory(&mut self, scope: &AccountScope) -> Result<Inventory, StoreError> {
        Ok(sqlx::query_as!(
            Inventory,
            r#"select
                count(*) filter (where deleted_at is null) as "credentials!",
                count(*) filter (where deleted_at is not null) as "deleted_credentials!",
                (select count(*) from credential_versions where account_sid = $1) as "credential_versions!",
                (select count(*) from account_keys where account_sid = $1 and state <> 'destroyed') as "account_keys!",
                (select count(*) from api_keys where account_sid = $1 and revoked_at is null) as "api_keys!",
                max(updated_at) as newest_change
            from credentials where account_sid = $1"#,
            scope.account_sid().as_str(),
        )
        .fetch_one(self.connection())
        .await?)
    }

    /// Destroys the keys of an account, and notes what could open older copies: every root key that it may have been
    /// wrapped under, and every recipient that it may have been encrypted to.
    pub async fn destroy_account(
        &mut self,
        scope: &AccountScope,
        event_sid: &EventSid,
        inventory: &Inventory,
    ) -> Result<(), StoreError> {
        let account_sid = scope.account_sid().as_str();
        sqlx::query!(
            "insert into destructions (
                account_sid, event_sid, account_keys, credentials, credential_versions, kek_ids, recovery_recipients
            ) select account_sid, $2, $3, $4, $5,
                array(
                    select kek_id from root_keys where state <> 'added'
                    and not (state in ('retired', 'destroyed') and changed_at < accounts.created_at)
                ),
                array(
                    select recipient from recovery_recipients
                    where not (state in ('retired', 'destroyed') and changed_at < accounts.created_at)
                )
            from accounts where account_sid = $1",
            account_sid,
            event_sid.as_str(),
            inventory.account_keys,
            inventory.credentials + inventory.deleted_credentials,
            inventory.credential_versions,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "update account_keys set state = 'destroyed', wrapped_key = '', changed_at = now()
            where account_sid = $1 and state <> 'destroyed'",
            account_sid,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "update accounts set status = 'destroyed', updated_at = now() where account_sid = $1",
            account_sid,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
