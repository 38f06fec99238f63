//! Credential versions: ciphertexts, and the values that they are bound to. A version is written once and never changed.

use pushvault_crypto::Envelope;

use super::credentials::{parse_account_sid, parse_credential_sid, parse_push_service};
use super::database::Store;
use super::error::StoreError;
use super::unit_of_work::UnitOfWork;
use crate::domain::credential::Credential;
use crate::domain::principal::AccountScope;
use crate::domain::push_service::PushService;
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::telemetry::Traced as _;

/// One version: ciphertexts, and the values that they are bound to.
#[derive(Clone)]
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
    /// A version of a credential; a deleted credential's too.
    pub async fn credential_version(
        &self,
        scope: &AccountScope,
        credential_sid: &CredentialSid,
        version: i32,
    ) -> Result<CredentialVersion, StoreError> {
        sqlx::query_as!(
            VersionRow,
            "select account_sid, credential_sid, version, push_service, sandbox, dek_envelope, certificate, private_key,
                api_key, secret, envelope_digest
            from credential_versions where account_sid = $1 and credential_sid = $2 and version = $3",
            scope.account_sid().as_str(),
            credential_sid.as_str(),
            version,
        )
        .fetch_one(&self.pool())
        .statement("store.credential_version")
        .await?
        .try_into()
    }

    /// Every version of every credential, or of every credential of an account, the deleted ones' too, in the order of the
    /// primary key, a batch at a time: those after the given one.
    pub async fn credential_versions_after(
        &self,
        scope: Option<&AccountScope>,
        last: Option<&CredentialVersion>,
        limit: i64,
    ) -> Result<Vec<CredentialVersion>, StoreError> {
        sqlx::query_as!(
            VersionRow,
            "select account_sid, credential_sid, version, push_service, sandbox, dek_envelope, certificate, private_key,
                api_key, secret, envelope_digest
            from credential_versions
            where (account_sid, credential_sid, version) > ($1, $2, $3) and ($5::text is null or account_sid = $5)
                and account_sid not in (select account_sid from accounts where status = 'destroyed')
            order by account_sid, credential_sid, version limit $4",
            last.map_or("", |last| last.account_sid.as_str()),
            last.map_or("", |last| last.credential_sid.as_str()),
            last.map_or(0, |last| last.version),
            limit,
            scope.map(|scope| scope.account_sid().as_str()),
        )
        .fetch_all(&self.pool())
        .await?
        .into_iter()
        .map(CredentialVersion::try_from)
        .collect()
    }

    /// Versions of an account's credentials that are sealed under another of its keys than this one, a batch at a time.
    pub async fn versions_not_under(
        &self,
        scope: &AccountScope,
        version: i32,
        last: Option<&CredentialVersion>,
        limit: i64,
    ) -> Result<Vec<CredentialVersion>, StoreError> {
        sqlx::query_as!(
            VersionRow,
            "select account_sid, credential_sid, version, push_service, sandbox, dek_envelope, certificate, private_key,
                api_key, secret, envelope_digest
            from credential_versions
            where account_sid = $1 and (credential_sid, version) > ($3, $4)
                and substring(dek_envelope from 5 for 4) <> int4send($2)
            order by credential_sid, version limit $5",
            scope.account_sid().as_str(),
            version,
            last.map_or("", |last| last.credential_sid.as_str()),
            last.map_or(0, |last| last.version),
            limit,
        )
        .fetch_all(&self.pool())
        .await?
        .into_iter()
        .map(CredentialVersion::try_from)
        .collect()
    }
}

impl UnitOfWork {
    /// The version that holds a credential's present secrets.
    pub async fn present_version(&mut self, credential: &Credential) -> Result<CredentialVersion, StoreError> {
        sqlx::query_as!(
            VersionRow,
            "select account_sid, credential_sid, version, push_service, sandbox, dek_envelope, certificate, private_key,
                api_key, secret, envelope_digest
            from credential_versions where account_sid = $1 and credential_sid = $2 and version = $3",
            credential.account_sid.as_str(),
            credential.credential_sid.as_str(),
            credential.current_version,
        )
        .fetch_one(self.connection())
        .statement("store.present_version")
        .await?
        .try_into()
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
        .statement("store.insert_version")
        .await?;
        Ok(())
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
