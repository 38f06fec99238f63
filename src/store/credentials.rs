//! Credentials: the metadata that is answered. The ciphertexts are in `versions`.

use pushvault_crypto::Envelope;
use sqlx::PgPool;
use sqlx::types::time::OffsetDateTime;

use super::accounts::parse_friendly_name;
use super::database::Store;
use super::error::StoreError;
use super::unit_of_work::UnitOfWork;
use crate::domain::credential::Credential;
use crate::domain::page::{Position, RowKey};
use crate::domain::principal::AccountScope;
use crate::domain::push_service::PushService;
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::domain::text::FriendlyName;
use crate::telemetry::Traced as _;

/// A new credential's row.
pub struct NewCredentialRow<'a> {
    /// Its SID.
    pub credential_sid: &'a CredentialSid,
    /// What a person calls it.
    pub friendly_name: Option<&'a FriendlyName>,
    /// The service it signs in to.
    pub push_service: PushService,
    /// APNs only: whether it is for the sandbox.
    pub sandbox: bool,
}

impl Store {
    /// One credential; a deleted one and another account's are not found.
    pub async fn credential(
        &self,
        scope: &AccountScope,
        credential_sid: &CredentialSid,
    ) -> Result<Option<Credential>, StoreError> {
        sqlx::query_as!(
            CredentialRow,
            "select account_sid, credential_sid, friendly_name, push_service, sandbox, current_version,
                created_at, updated_at
            from credentials where account_sid = $1 and credential_sid = $2 and deleted_at is null",
            scope.account_sid().as_str(),
            credential_sid.as_str(),
        )
        .fetch_optional(&self.pool())
        .statement("store.credential")
        .await?
        .map(Credential::try_from)
        .transpose()
    }

    /// At most `limit` credentials from a position, newest first. For [`Position::Before`] they are the ones closest to it.
    /// A read replica answers, where there is one that can.
    pub async fn credentials(
        &self,
        scope: &AccountScope,
        position: Position,
        limit: i64,
    ) -> Result<Vec<Credential>, StoreError> {
        self.read_list(|pool| list(pool, scope, position, limit)).await
    }
}

impl Store {
    /// How many credentials there are of each type, in all accounts: for the metrics, and for nothing that has to be exact.
    /// Of a table with more bytes than `counted_bytes` that many are read, from all over it, and the rest is estimated.
    pub async fn count_credentials(&self, counted_bytes: u32) -> Result<[(PushService, i64); 3], StoreError> {
        let rows = sqlx::query!(
            r#"with sample as (
                select least(1, $1::bigint::double precision / greatest(1, pg_relation_size('credentials'))) as part
            )
            select push_service, (count(*) / (select part from sample))::bigint as "count!"
            from credentials tablesample system ((select 100 * part from sample))
            where deleted_at is null group by push_service"#,
            i64::from(counted_bytes),
        )
        .fetch_all(&self.pool())
        .await?;
        Ok(PushService::ALL.map(|push_service| {
            let row = rows.iter().find(|row| row.push_service == push_service.as_str());
            (push_service, row.map_or(0, |row| row.count))
        }))
    }
}

impl UnitOfWork {
    /// Adds a credential with its first version, in one round trip.
    pub async fn insert_credential(
        &mut self,
        scope: &AccountScope,
        new: &NewCredentialRow<'_>,
        envelope: &Envelope,
    ) -> Result<Credential, StoreError> {
        let digest = envelope.digest();
        let row = sqlx::query_as!(
            CredentialRow,
            "with version as (
                insert into credential_versions (
                    account_sid, credential_sid, version, push_service, sandbox, dek_envelope, certificate,
                    private_key, api_key, secret, envelope_digest
                ) values ($1, $2, 1, $4, $5, $6, $7, $8, $9, $10, $11)
            )
            insert into credentials (account_sid, credential_sid, friendly_name, push_service, sandbox, current_version)
            values ($1, $2, $3, $4, $5, 1)
            returning account_sid, credential_sid, friendly_name, push_service, sandbox, current_version,
                created_at, updated_at",
            scope.account_sid().as_str(),
            new.credential_sid.as_str(),
            new.friendly_name.map(FriendlyName::as_str),
            new.push_service.as_str(),
            new.sandbox,
            envelope.dek_envelope,
            envelope.certificate,
            envelope.private_key,
            envelope.api_key,
            envelope.secret,
            digest.as_slice(),
        )
        .fetch_one(self.connection())
        .statement("store.insert_credential")
        .await?;
        Credential::try_from(row)
    }

    /// Reads a credential and keeps others from changing it until the end of this change.
    pub async fn lock_credential(
        &mut self,
        scope: &AccountScope,
        credential_sid: &CredentialSid,
    ) -> Result<Option<Credential>, StoreError> {
        sqlx::query_as!(
            CredentialRow,
            "select account_sid, credential_sid, friendly_name, push_service, sandbox, current_version,
                created_at, updated_at
            from credentials where account_sid = $1 and credential_sid = $2 and deleted_at is null for update",
            scope.account_sid().as_str(),
            credential_sid.as_str(),
        )
        .fetch_optional(self.connection())
        .statement("store.lock_credential")
        .await?
        .map(Credential::try_from)
        .transpose()
    }

    /// Writes a credential's metadata and answers it with its new date, which is later than every date it ever had: the
    /// entity tag is made of it, and a transaction that waited for another has the older clock.
    pub async fn update_credential(
        &mut self,
        scope: &AccountScope,
        credential: &Credential,
    ) -> Result<Credential, StoreError> {
        let row = sqlx::query_as!(
            CredentialRow,
            "update credentials
            set friendly_name = $3, sandbox = $4, current_version = $5,
                updated_at = greatest(now(), updated_at + interval '1 microsecond')
            where account_sid = $1 and credential_sid = $2
            returning account_sid, credential_sid, friendly_name, push_service, sandbox, current_version,
                created_at, updated_at",
            scope.account_sid().as_str(),
            credential.credential_sid.as_str(),
            credential.friendly_name.as_ref().map(FriendlyName::as_str),
            credential.sandbox,
            credential.current_version,
        )
        .fetch_one(self.connection())
        .statement("store.update_credential")
        .await?;
        Credential::try_from(row)
    }

    /// Deletes a credential for every caller and answers what it was; the rows stay for the operator.
    pub async fn delete_credential(
        &mut self,
        scope: &AccountScope,
        credential_sid: &CredentialSid,
    ) -> Result<Option<Credential>, StoreError> {
        sqlx::query_as!(
            CredentialRow,
            "update credentials set deleted_at = now()
            where account_sid = $1 and credential_sid = $2 and deleted_at is null
            returning account_sid, credential_sid, friendly_name, push_service, sandbox, current_version,
                created_at, updated_at",
            scope.account_sid().as_str(),
            credential_sid.as_str(),
        )
        .fetch_optional(self.connection())
        .statement("store.delete_credential")
        .await?
        .map(Credential::try_from)
        .transpose()
    }
}

async fn list(
    pool: PgPool,
    scope: &AccountScope,
    position: Position,
    limit: i64,
) -> Result<Vec<Credential>, StoreError> {
    let account_sid = scope.account_sid().as_str();
    let sid = |row: RowKey| CredentialSid::from_digits(row.digits).to_string();
    let rows = match position {
        Position::First => {
            sqlx::query_as!(
                CredentialRow,
                "select account_sid, credential_sid, friendly_name, push_service, sandbox, current_version,
                        created_at, updated_at
                    from credentials where account_sid = $1 and deleted_at is null
                    order by created_at desc, credential_sid desc limit $2",
                account_sid,
                limit,
            )
            .fetch_all(&pool)
            .statement("store.credentials")
            .await?
        }
        Position::After(row) => {
            sqlx::query_as!(
                CredentialRow,
                "select account_sid, credential_sid, friendly_name, push_service, sandbox, current_version,
                        created_at, updated_at
                    from credentials
                    where account_sid = $1 and deleted_at is null and (created_at, credential_sid) < ($2, $3)
                    order by created_at desc, credential_sid desc limit $4",
                account_sid,
                row.instant,
                sid(row),
                limit,
            )
            .fetch_all(&pool)
            .statement("store.credentials")
            .await?
        }
        Position::Before(row) => {
            let mut rows = sqlx::query_as!(
                CredentialRow,
                "select account_sid, credential_sid, friendly_name, push_service, sandbox, current_version,
                        created_at, updated_at
                    from credentials
                    where account_sid = $1 and deleted_at is null and (created_at, credential_sid) > ($2, $3)
                    order by created_at, credential_sid limit $4",
                account_sid,
                row.instant,
                sid(row),
                limit,
            )
            .fetch_all(&pool)
            .statement("store.credentials")
            .await?;
            rows.reverse();
            rows
        }
    };
    rows.into_iter().map(Credential::try_from).collect()
}

struct CredentialRow {
    account_sid: String,
    credential_sid: String,
    friendly_name: Option<String>,
    push_service: String,
    sandbox: bool,
    current_version: i32,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl TryFrom<CredentialRow> for Credential {
    type Error = StoreError;

    fn try_from(row: CredentialRow) -> Result<Self, StoreError> {
        Ok(Self {
            account_sid: parse_account_sid(&row.account_sid)?,
            credential_sid: parse_credential_sid(&row.credential_sid)?,
            friendly_name: parse_friendly_name(row.friendly_name)?,
            push_service: parse_push_service(&row.push_service)?,
            sandbox: row.sandbox,
            current_version: row.current_version,
            date_created: row.created_at,
            date_updated: row.updated_at,
        })
    }
}

pub(super) fn parse_account_sid(text: &str) -> Result<AccountSid, StoreError> {
    AccountSid::parse(text).map_err(|_| StoreError::Malformed("account_sid"))
}

pub(super) fn parse_credential_sid(text: &str) -> Result<CredentialSid, StoreError> {
    CredentialSid::parse(text).map_err(|_| StoreError::Malformed("credential_sid"))
}

pub(super) fn parse_push_service(text: &str) -> Result<PushService, StoreError> {
    PushService::parse(text).map_err(|_| StoreError::Malformed("push_service"))
}
