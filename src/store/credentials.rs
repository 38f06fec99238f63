//! Credentials: the metadata that is answered, and the versions that hold ciphertexts.

use pushvault_crypto::Envelope;
use sqlx::types::time::OffsetDateTime;

use super::accounts::parse_friendly_name;
use super::database::Store;
use super::error::StoreError;
use super::unit_of_work::UnitOfWork;
use crate::domain::credential::Credential;
use crate::domain::page::Position;
use crate::domain::principal::AccountScope;
use crate::domain::push_service::PushService;
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::domain::text::FriendlyName;

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

/// One version: ciphertexts, and the values that they are bound to.
pub struct CredentialVersion {
    /// The account that the row stands under.
    pub account_sid: AccountSid,
    /// The credential that the row stands under.
    pub credential_sid: CredentialSid,
    /// Which version of the credential.
    pub version: i32,
    /// The service it was sealed for.
    pub push_service: PushService,
    /// The environment it was sealed for.
    pub sandbox: bool,
    /// The ciphertexts.
    pub envelope: Envelope,
    /// The digest that was stored beside them.
    pub envelope_digest: Vec<u8>,
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
        .fetch_optional(&self.pool)
        .await?
        .map(Credential::try_from)
        .transpose()
    }

    /// At most `limit` credentials from a position, newest first. For [`Position::Before`] they are the ones closest to it.
    pub async fn credentials(
        &self,
        scope: &AccountScope,
        position: &Position,
        limit: i64,
    ) -> Result<Vec<Credential>, StoreError> {
        let account_sid = scope.account_sid().as_str();
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
                .fetch_all(&self.pool)
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
                    row.date_created,
                    row.credential_sid.as_str(),
                    limit,
                )
                .fetch_all(&self.pool)
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
                    row.date_created,
                    row.credential_sid.as_str(),
                    limit,
                )
                .fetch_all(&self.pool)
                .await?;
                rows.reverse();
                rows
            }
        };
        rows.into_iter().map(Credential::try_from).collect()
    }

    /// Every version of every credential, the deleted ones' too, in the order of the primary key, a batch at a time:
    /// those after the given one.
    pub async fn credential_versions_after(
        &self,
        last: Option<&CredentialVersion>,
        limit: i64,
    ) -> Result<Vec<CredentialVersion>, StoreError> {
        sqlx::query_as!(
            VersionRow,
            "select account_sid, credential_sid, version, push_service, sandbox, dek_envelope, certificate, private_key,
                api_key, secret, envelope_digest
            from credential_versions where (account_sid, credential_sid, version) > ($1, $2, $3)
            order by account_sid, credential_sid, version limit $4",
            last.map_or("", |last| last.account_sid.as_str()),
            last.map_or("", |last| last.credential_sid.as_str()),
            last.map_or(0, |last| last.version),
            limit,
        )
        .fetch_all(&self.pool)
        .await?
        .into_iter()
        .map(CredentialVersion::try_from)
        .collect()
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
        .await?;
        Credential::try_from(row)
    }

    /// Reads a credential with its present version and keeps others from changing it until the end of this change.
    pub async fn lock_credential(
        &mut self,
        scope: &AccountScope,
        credential_sid: &CredentialSid,
    ) -> Result<Option<(Credential, CredentialVersion)>, StoreError> {
        let Some(row) = sqlx::query_as!(
            CredentialRow,
            "select account_sid, credential_sid, friendly_name, push_service, sandbox, current_version,
                created_at, updated_at
            from credentials where account_sid = $1 and credential_sid = $2 and deleted_at is null for update",
            scope.account_sid().as_str(),
            credential_sid.as_str(),
        )
        .fetch_optional(self.connection())
        .await?
        else {
            return Ok(None);
        };
        let version = sqlx::query_as!(
            VersionRow,
            "select account_sid, credential_sid, version, push_service, sandbox, dek_envelope, certificate, private_key,
                api_key, secret, envelope_digest
            from credential_versions where account_sid = $1 and credential_sid = $2 and version = $3",
            scope.account_sid().as_str(),
            credential_sid.as_str(),
            row.current_version,
        )
        .fetch_one(self.connection())
        .await?;
        Ok(Some((
            Credential::try_from(row)?,
            CredentialVersion::try_from(version)?,
        )))
    }

    /// Adds a version of a credential; [`UnitOfWork::update_credential`] makes it the present one.
    pub async fn insert_version(&mut self, version: &CredentialVersion) -> Result<(), StoreError> {
        let envelope = &version.envelope;
        sqlx::query!(
            "insert into credential_versions (
                account_sid, credential_sid, version, push_service, sandbox, dek_envelope, certificate, private_key,
                api_key, secret, envelope_digest
            ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            version.account_sid.as_str(),
            version.credential_sid.as_str(),
            version.version,
            version.push_service.as_str(),
            version.sandbox,
            envelope.dek_envelope,
            envelope.certificate,
            envelope.private_key,
            envelope.api_key,
            envelope.secret,
            version.envelope_digest,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Writes a credential's metadata and answers it with its new date.
    pub async fn update_credential(
        &mut self,
        scope: &AccountScope,
        credential: &Credential,
    ) -> Result<Credential, StoreError> {
        let row = sqlx::query_as!(
            CredentialRow,
            "update credentials
            set friendly_name = $3, sandbox = $4, current_version = $5, updated_at = now()
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
        .await?
        .map(Credential::try_from)
        .transpose()
    }
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

struct VersionRow {
    account_sid: String,
    credential_sid: String,
    version: i32,
    push_service: String,
    sandbox: bool,
    dek_envelope: Vec<u8>,
    certificate: Option<Vec<u8>>,
    private_key: Option<Vec<u8>>,
    api_key: Option<Vec<u8>>,
    secret: Option<Vec<u8>>,
    envelope_digest: Vec<u8>,
}

impl TryFrom<VersionRow> for CredentialVersion {
    type Error = StoreError;

    fn try_from(row: VersionRow) -> Result<Self, StoreError> {
        Ok(Self {
            account_sid: parse_account_sid(&row.account_sid)?,
            credential_sid: parse_credential_sid(&row.credential_sid)?,
            version: row.version,
            push_service: parse_push_service(&row.push_service)?,
            sandbox: row.sandbox,
            envelope: Envelope {
                dek_envelope: row.dek_envelope,
                certificate: row.certificate,
                private_key: row.private_key,
                api_key: row.api_key,
                secret: row.secret,
            },
            envelope_digest: row.envelope_digest,
        })
    }
}

fn parse_account_sid(text: &str) -> Result<AccountSid, StoreError> {
    AccountSid::parse(text).map_err(|_| StoreError::Malformed("account_sid"))
}

fn parse_credential_sid(text: &str) -> Result<CredentialSid, StoreError> {
    CredentialSid::parse(text).map_err(|_| StoreError::Malformed("credential_sid"))
}

fn parse_push_service(text: &str) -> Result<PushService, StoreError> {
    PushService::parse(text).map_err(|_| StoreError::Malformed("push_service"))
}
