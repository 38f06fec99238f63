//! Envelopes: the secrets of one credential version, sealed so that they open only where they
//! were sealed.

use sha2::{Digest, Sha256};

use crate::{
    aead::{self, NONCE_LENGTH, TAG_LENGTH},
    context::{Binding, EncryptionContext, Role},
    dek::DataEncryptionKey,
    encoding::length_prefix,
    error::CryptoError,
    header::Header,
    key::AccountKey,
    padding,
    secret::Key256,
};

pub use crate::plaintext::{Plaintext, Secrets};

/// The domain tag of an envelope's digest.
const DIGEST_TAG: &str = "pushvault/v1/envelope-digest";

/// Ciphertexts only, as the row of a credential version holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The header: format, account key version, wrapped DEK, commitment.
    pub dek_envelope: Vec<u8>,
    /// The column `certificate`.
    pub certificate: Option<Vec<u8>>,
    /// The column `private_key`.
    pub private_key: Option<Vec<u8>>,
    /// The column `api_key`.
    pub api_key: Option<Vec<u8>>,
    /// The column `secret`.
    pub secret: Option<Vec<u8>>,
}

impl Envelope {
    /// A fingerprint of the stored bytes, by which a row that was put back is noticed.
    ///
    /// Formula: `SHA-256(field(tag) ‖ field(dek_envelope) ‖ column…)` in the order of the struct,
    /// where a column that is absent is `0x00` and one that is present is `0x01 ‖ field(column)`.
    /// Standard: FIPS 180-4. Limits: it covers ciphertext only and is public; it has no key, so it
    /// is worth as much as the place it is kept in. Re-wrapping changes it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut update_field = |field: &[u8]| {
            hash.update(length_prefix(field));
            hash.update(field);
        };
        update_field(DIGEST_TAG.as_bytes());
        update_field(&self.dek_envelope);
        for (_, column) in self.columns() {
            match column {
                None => hash.update([0]),
                Some(column) => {
                    hash.update([1]);
                    hash.update(length_prefix(column));
                    hash.update(column);
                }
            }
        }
        hash.finalize().into()
    }

    /// The version of the account key that the header names. It is a claim until the envelope has
    /// been opened.
    pub fn account_key_version(&self) -> Result<u32, CryptoError> {
        Header::parse(&self.dek_envelope).map(|header| header.account_key_version)
    }

    fn columns(&self) -> [(Role, Option<&[u8]>); 4] {
        [
            (Role::Certificate, self.certificate.as_deref()),
            (Role::PrivateKey, self.private_key.as_deref()),
            (Role::ApiKey, self.api_key.as_deref()),
            (Role::Secret, self.secret.as_deref()),
        ]
    }

    /// Refuses a column of a length that no padded plaintext has, before any key is touched.
    fn check_shape(&self) -> Result<(), CryptoError> {
        let is_well_shaped = |column: &[u8]| {
            column
                .len()
                .checked_sub(NONCE_LENGTH + TAG_LENGTH)
                .is_some_and(padding::is_padded_length)
        };
        if self
            .columns()
            .into_iter()
            .filter_map(|(_, column)| column)
            .all(is_well_shaped)
        {
            Ok(())
        } else {
            Err(CryptoError::MalformedEnvelope)
        }
    }
}

/// Seals the secrets of one credential version under a DEK drawn for them.
///
/// Formula: `DEK = random(32)`; header `= wrap(account key, DEK) ‖ commitment(DEK)`; each column
/// `= nonce ‖ GCM-AE(K_enc, nonce, pad(plaintext), aad(role))`. Standards: NIST SP 800-38D and RFC
/// 5869; the bytes are specified in `docs/crypto.md`. Limits: at most 2^32 envelopes per account
/// key, re-wraps included; at most 65 532 bytes per secret; a secret's length shows in steps of
/// 4096 bytes, and which columns there are shows plainly.
pub fn seal(
    account_key: &AccountKey,
    account_key_version: u32,
    context: &EncryptionContext<'_>,
    secrets: &Secrets,
) -> Result<Envelope, CryptoError> {
    let binding = context.binding()?;
    let columns = column_set([
        (Role::Certificate, secrets.certificate.is_some()),
        (Role::PrivateKey, secrets.private_key.is_some()),
        (Role::ApiKey, secrets.api_key.is_some()),
        (Role::Secret, secrets.secret.is_some()),
    ]);
    let dek = DataEncryptionKey::generate()?;
    let header = Header {
        account_key_version,
        wrapped_dek: dek.wrap(account_key, account_key_version, &binding)?,
        commitment: dek.commitment(&binding, columns)?,
    };
    let key = dek.encryption_key(&binding, columns)?;
    let seal_column = |role, plaintext: &Option<Plaintext>| {
        plaintext
            .as_ref()
            .map(|plaintext| seal_column(&key, &binding, role, plaintext))
            .transpose()
    };
    Ok(Envelope {
        dek_envelope: header.to_bytes(),
        certificate: seal_column(Role::Certificate, &secrets.certificate)?,
        private_key: seal_column(Role::PrivateKey, &secrets.private_key)?,
        api_key: seal_column(Role::ApiKey, &secrets.api_key)?,
        secret: seal_column(Role::Secret, &secrets.secret)?,
    })
}

/// Opens an envelope in the place that `context` names, all columns or none.
///
/// The order of checks: the shape of header and columns ([`CryptoError::MalformedEnvelope`],
/// [`CryptoError::UnsupportedFormat`]); the wrapped DEK ([`CryptoError::Authentication`]); the
/// commitment to DEK, context and set of columns ([`CryptoError::WrongCommitment`]); then each
/// column ([`CryptoError::Authentication`]) and its padding ([`CryptoError::MalformedEnvelope`]).
/// Formula, standards and limits are those of [`seal`].
pub fn open(
    account_key: &AccountKey,
    context: &EncryptionContext<'_>,
    envelope: &Envelope,
) -> Result<Secrets, CryptoError> {
    let header = Header::parse(&envelope.dek_envelope)?;
    envelope.check_shape()?;
    let binding = context.binding()?;
    let columns = present_columns(envelope);
    let dek = DataEncryptionKey::unwrap(account_key, &binding, columns, &header)?;
    let key = dek.encryption_key(&binding, columns)?;
    let open_column = |role, column: &Option<Vec<u8>>| {
        column
            .as_ref()
            .map(|column| open_column(&key, &binding, role, column))
            .transpose()
    };
    Ok(Secrets {
        certificate: open_column(Role::Certificate, &envelope.certificate)?,
        private_key: open_column(Role::PrivateKey, &envelope.private_key)?,
        api_key: open_column(Role::ApiKey, &envelope.api_key)?,
        secret: open_column(Role::Secret, &envelope.secret)?,
    })
}

/// Wraps an envelope's DEK under another account key; the columns stay as they are.
///
/// The commitment is checked first, so what did not belong here before does not belong here
/// afterwards. Formula: the header of [`seal`] with the same DEK and commitment, a new nonce and
/// `new_version`. Limits: it counts as one wrap of the new key; the columns are not looked into.
pub fn rewrap(
    old_key: &AccountKey,
    new_key: &AccountKey,
    new_version: u32,
    context: &EncryptionContext<'_>,
    envelope: &Envelope,
) -> Result<Envelope, CryptoError> {
    let header = Header::parse(&envelope.dek_envelope)?;
    envelope.check_shape()?;
    let binding = context.binding()?;
    let columns = present_columns(envelope);
    let dek = DataEncryptionKey::unwrap(old_key, &binding, columns, &header)?;
    let header = Header {
        account_key_version: new_version,
        wrapped_dek: dek.wrap(new_key, new_version, &binding)?,
        commitment: header.commitment,
    };
    Ok(Envelope {
        dek_envelope: header.to_bytes(),
        ..envelope.clone()
    })
}

fn seal_column(key: &Key256, binding: &Binding, role: Role, plaintext: &Plaintext) -> Result<Vec<u8>, CryptoError> {
    let padded = padding::pad(plaintext.expose_secret())?;
    aead::seal(key, binding.column_aad(role).as_bytes(), &padded)
}

fn open_column(key: &Key256, binding: &Binding, role: Role, column: &[u8]) -> Result<Plaintext, CryptoError> {
    let padded = aead::open(key, binding.column_aad(role).as_bytes(), column)?;
    padding::unpad(&padded).map(|plaintext| Plaintext::new(plaintext.to_vec()))
}

fn present_columns(envelope: &Envelope) -> u8 {
    column_set(envelope.columns().map(|(role, column)| (role, column.is_some())))
}

/// The set of present columns as a bitmap. It is bound into the commitment and into `K_enc`, so an
/// envelope from which a column was taken does not open without it.
fn column_set(columns: [(Role, bool); 4]) -> u8 {
    columns
        .into_iter()
        .filter(|(_, is_present)| *is_present)
        .fold(0, |set, (role, _)| set | role.column_bit())
}
