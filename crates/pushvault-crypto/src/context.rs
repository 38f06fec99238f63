//! Where a ciphertext belongs. These fields are never stored beside the ciphertext: they are
//! rebuilt from the row it was found in, so a ciphertext that was moved does not open.

use crate::{
    encoding::Fields,
    error::CryptoError,
    header::{FORMAT, SUITE},
    kek_id::KekId,
};

/// The domain tag of everything that belongs to an envelope.
const ENVELOPE_TAG: &str = "pushvault/v1/envelope";

/// The domain tag of a wrapped account key.
const ACCOUNT_KEY_TAG: &str = "pushvault/v1/account-key";

/// The domain tag of an account key that is encrypted to a recovery recipient.
const RECOVERY_TAG: &str = "pushvault/v1/recovery";

/// The domain tag of a wrapped signing key.
const SIGNING_KEY_TAG: &str = "pushvault/v1/signing-key";

/// The domain tag of a wrapped integrity key.
const INTEGRITY_KEY_TAG: &str = "pushvault/v1/integrity-key";

/// The domain tag of an integrity key that is encrypted to a recovery recipient.
const INTEGRITY_RECOVERY_TAG: &str = "pushvault/v1/integrity-recovery";

/// The identity of one installation, drawn once and kept in its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeploymentId([u8; 16]);

impl DeploymentId {
    /// Takes the sixteen bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What a ciphertext is for. Its name is a field of the ciphertext's AAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The wrapped data encryption key in the header.
    Dek,
    /// The column `certificate`.
    Certificate,
    /// The column `private_key`.
    PrivateKey,
    /// The column `api_key`.
    ApiKey,
    /// The column `secret`.
    Secret,
}

impl Role {
    /// The name that goes into the AAD.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dek => "dek",
            Self::Certificate => "certificate",
            Self::PrivateKey => "private_key",
            Self::ApiKey => "api_key",
            Self::Secret => "secret",
        }
    }

    /// The bit of a column in the set of present columns; the header is no column and has none.
    pub(crate) const fn column_bit(self) -> u8 {
        match self {
            Self::Dek => 0,
            Self::Certificate => 1,
            Self::PrivateKey => 2,
            Self::ApiKey => 4,
            Self::Secret => 8,
        }
    }
}

/// Where a wrapped account key belongs. The KEK adds its own id when it wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountKeyContext<'a> {
    /// The installation.
    pub deployment_id: &'a DeploymentId,
    /// The account whose key it is.
    pub account_sid: &'a str,
    /// The version of the account's key.
    pub version: u32,
}

impl AccountKeyContext<'_> {
    /// The AAD of the wrap under that root key, for a provider that wraps outside of this crate.
    pub fn associated_data(&self, kek_id: &KekId) -> Result<Vec<u8>, CryptoError> {
        Ok(self.aad(kek_id)?.as_bytes().to_vec())
    }

    /// The AAD of the wrap: tag, deployment id, account SID, account key version, KEK id.
    pub(crate) fn aad(&self, kek_id: &KekId) -> Result<Fields, CryptoError> {
        Fields::tagged(ACCOUNT_KEY_TAG)
            .bytes(self.deployment_id.as_bytes())
            .text(self.account_sid)?
            .bytes(&self.version.to_be_bytes())
            .text(kek_id.as_str())
    }

    /// What stands before the account key in a copy for a recovery recipient: tag, deployment id, account SID, account
    /// key version. Which root key wraps it too is left out: that one may be lost.
    pub(crate) fn recovery_copy(&self) -> Result<Fields, CryptoError> {
        Ok(Fields::tagged(RECOVERY_TAG)
            .bytes(self.deployment_id.as_bytes())
            .text(self.account_sid)?
            .bytes(&self.version.to_be_bytes()))
    }
}

/// Where a wrapped signing key belongs. The KEK adds its own id when it wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningKeyContext<'a> {
    /// The installation.
    pub deployment_id: &'a DeploymentId,
    /// The id of the signing key, which its public half gives.
    pub key_id: &'a str,
}

impl SigningKeyContext<'_> {
    /// The same bytes, for a provider that keeps the root key to itself.
    pub fn associated_data(&self, kek_id: &KekId) -> Result<Vec<u8>, CryptoError> {
        Ok(self.aad(kek_id)?.as_bytes().to_vec())
    }

    /// The AAD of the wrap: tag, deployment id, signing key id, KEK id.
    pub(crate) fn aad(&self, kek_id: &KekId) -> Result<Fields, CryptoError> {
        Fields::tagged(SIGNING_KEY_TAG)
            .bytes(self.deployment_id.as_bytes())
            .text(self.key_id)?
            .text(kek_id.as_str())
    }
}

/// Where a wrapped integrity key belongs. The KEK adds its own id when it wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegrityKeyContext<'a> {
    /// The installation.
    pub deployment_id: &'a DeploymentId,
    /// The name of the integrity key, which the key gives.
    pub key_id: &'a str,
}

impl IntegrityKeyContext<'_> {
    /// The same bytes, for a provider that keeps the root key to itself.
    pub fn associated_data(&self, kek_id: &KekId) -> Result<Vec<u8>, CryptoError> {
        Ok(self.aad(kek_id)?.as_bytes().to_vec())
    }

    /// The AAD of the wrap: tag, deployment id, integrity key id, KEK id.
    pub(crate) fn aad(&self, kek_id: &KekId) -> Result<Fields, CryptoError> {
        Fields::tagged(INTEGRITY_KEY_TAG)
            .bytes(self.deployment_id.as_bytes())
            .text(self.key_id)?
            .text(kek_id.as_str())
    }

    /// What stands before the key in a copy for a recovery recipient: tag, deployment id, integrity key id.
    pub(crate) fn recovery_copy(&self) -> Result<Fields, CryptoError> {
        Fields::tagged(INTEGRITY_RECOVERY_TAG)
            .bytes(self.deployment_id.as_bytes())
            .text(self.key_id)
    }
}

/// Where an envelope belongs. Sealing and opening add the role and the account key version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptionContext<'a> {
    /// The installation.
    pub deployment_id: &'a DeploymentId,
    /// The account that owns the credential.
    pub account_sid: &'a str,
    /// The credential.
    pub credential_sid: &'a str,
    /// The push service, as the database names it.
    pub push_service: &'a str,
    /// Whether the credential is for the push service's sandbox.
    pub sandbox: bool,
    /// The version of the credential.
    pub version: u32,
}

impl EncryptionContext<'_> {
    /// Encodes what every ciphertext of one envelope shares.
    pub(crate) fn binding(&self) -> Result<Binding, CryptoError> {
        let fields = Fields::tagged(ENVELOPE_TAG)
            .bytes(&[FORMAT])
            .bytes(&[SUITE])
            .bytes(self.deployment_id.as_bytes())
            .text(self.account_sid)?
            .text(self.credential_sid)?
            .text(self.push_service)?
            .bytes(&[u8::from(self.sandbox)])
            .bytes(&self.version.to_be_bytes());
        Ok(Binding(fields))
    }
}

/// The nine fields that every ciphertext of one envelope is bound to.
pub(crate) struct Binding(Fields);

impl Binding {
    /// The AAD of the wrapped DEK. Only here does the account key's version stand, so that
    /// rotating the account key re-wraps the DEK and leaves the columns as they are.
    pub(crate) fn dek_aad(&self, account_key_version: u32) -> Fields {
        self.aad(&account_key_version.to_be_bytes(), Role::Dek)
    }

    /// The AAD of a column. The field of the account key's version is there, and empty.
    pub(crate) fn column_aad(&self, role: Role) -> Fields {
        self.aad(&[], role)
    }

    /// The HKDF info under `tag`: the binding and the set of columns the envelope has.
    pub(crate) fn info(&self, tag: &str, columns: u8) -> Fields {
        Fields::tagged(tag).append(&self.0).bytes(&[columns])
    }

    fn aad(&self, account_key_version: &[u8], role: Role) -> Fields {
        self.0
            .clone()
            .bytes(account_key_version)
            .bytes(role.as_str().as_bytes())
    }
}
