//! The rows of the vault, opened with the kernel crate alone: the tests do not take the service's word for what is in them.

use pushvault_crypto::{
    AccountKeyContext, DeploymentId, EncryptionContext, Envelope, KeyEncryptionKey, Plaintext, WrappedKey,
};
use sqlx::types::Uuid;

use super::TestApp;

/// What a version holds, in plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) version: i32,
    pub(crate) sandbox: bool,
    pub(crate) certificate: Option<String>,
    pub(crate) private_key: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) secret: Option<String>,
}

/// Where a version stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) account_sid: String,
    pub(crate) credential_sid: String,
    pub(crate) version: i32,
}

#[derive(sqlx::FromRow)]
struct Row {
    account_sid: String,
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

impl TestApp {
    /// Every version of a credential, opened, oldest first.
    pub(crate) async fn opened(&self, credential_sid: &str) -> Vec<Opened> {
        let rows: Vec<Row> = sqlx::query_as(
            "select account_sid, version, push_service, sandbox, dek_envelope, certificate, private_key, api_key,
                secret, envelope_digest
            from credential_versions where credential_sid = $1 order by version",
        )
        .bind(credential_sid)
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let mut opened = Vec::new();
        for row in rows {
            opened.push(self.open(credential_sid, row).await);
        }
        opened
    }

    /// The digest that stands beside a version's ciphertexts.
    pub(crate) async fn digest_of(&self, credential_sid: &str, version: i32) -> Vec<u8> {
        sqlx::query_scalar("select envelope_digest from credential_versions where credential_sid = $1 and version = $2")
            .bind(credential_sid)
            .bind(version)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Puts copies of the one credential there is beside it, quicker than any caller could: rows for a long list. Their
    /// secrets do not open.
    pub(crate) async fn copy_credential(&self, count: i32) {
        sqlx::query(
            "with copies as (
                select account_sid, 'CR' || md5(number::text) as sid, dek_envelope, envelope_digest
                from credential_versions, generate_series(1, $1) as number
            ), versions as (
                insert into credential_versions
                    (account_sid, credential_sid, version, push_service, sandbox, dek_envelope, envelope_digest)
                select account_sid, sid, 1, 'gcm', false, dek_envelope, envelope_digest from copies
            )
            insert into credentials (account_sid, credential_sid, push_service, sandbox, current_version)
            select account_sid, sid, 'gcm', false, 1 from copies",
        )
        .bind(count)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    async fn open(&self, credential_sid: &str, row: Row) -> Opened {
        let envelope = Envelope {
            dek_envelope: row.dek_envelope,
            certificate: row.certificate,
            private_key: row.private_key,
            api_key: row.api_key,
            secret: row.secret,
        };
        assert_eq!(envelope.digest().as_slice(), row.envelope_digest);
        let deployment_id = self.deployment_id().await;
        let account_key_version = envelope.account_key_version().unwrap();
        let wrapped: Vec<u8> =
            sqlx::query_scalar("select wrapped_key from account_keys where account_sid = $1 and version = $2")
                .bind(&row.account_sid)
                .bind(i32::try_from(account_key_version).unwrap())
                .fetch_one(&self.pool)
                .await
                .unwrap();
        let account_key = KeyEncryptionKey::from_slice(&self.root_key)
            .unwrap()
            .unwrap_account_key(
                &WrappedKey::parse(&wrapped).unwrap(),
                &AccountKeyContext {
                    deployment_id: &deployment_id,
                    account_sid: &row.account_sid,
                    version: account_key_version,
                },
            )
            .unwrap();
        let context = EncryptionContext {
            deployment_id: &deployment_id,
            account_sid: &row.account_sid,
            credential_sid,
            push_service: &row.push_service,
            sandbox: row.sandbox,
            version: u32::try_from(row.version).unwrap(),
        };
        let secrets = pushvault_crypto::open(&account_key, &context, &envelope).unwrap();
        let text = |plaintext: Option<Plaintext>| {
            plaintext.map(|plaintext| String::from_utf8(plaintext.expose_secret().to_vec()).unwrap())
        };
        Opened {
            version: row.version,
            sandbox: row.sandbox,
            certificate: text(secrets.certificate),
            private_key: text(secrets.private_key),
            api_key: text(secrets.api_key),
            secret: text(secrets.secret),
        }
    }

    async fn deployment_id(&self) -> DeploymentId {
        let id: Uuid = sqlx::query_scalar("select deployment_id from deployment")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        DeploymentId::from_bytes(id.into_bytes())
    }
}
