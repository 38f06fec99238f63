//! The key that vouches for rows of the database: whoever can write a row, and has no such key, cannot make the vault believe
//! it. The verifiers of tokens come from it too.

use std::fmt;

use data_encoding::HEXLOWER;

use crate::{
    aead,
    context::IntegrityKeyContext,
    encoding::{Fields, length_prefix},
    error::CryptoError,
    external::{PackedKey, pack, unpack},
    kek_id::KekId,
    key::{KeyEncryptionKey, WrappedKey},
    mac::MacKey,
    recovery::{RecoveryKey, RecoveryRecipient},
    secret::Key256,
};

/// The domain tag of the id of an integrity key.
const ID_TAG: &str = "pushvault/v1/integrity-key-id";

/// The domain tag of the key that makes the MACs of rows.
const ROW_MAC_TAG: &str = "pushvault/v1/row-mac";

/// The domain tag of the key that makes the verifiers of tokens.
const VERIFIER_TAG: &str = "pushvault/v1/token-verifier";

/// An integrity key: 32 bytes, from which a key for row MACs and a key for token verifiers are derived.
pub struct IntegrityKey {
    seed: Key256,
    id: [u8; IntegrityKey::ID_LENGTH],
    row_mac: MacKey,
    verifier: MacKey,
}

impl IntegrityKey {
    /// The length of an integrity key's id in bytes.
    pub const ID_LENGTH: usize = 8;

    /// The length of a tag in bytes: all of an HMAC-SHA-256.
    pub const TAG_LENGTH: usize = 32;

    /// Draws a key from the operating system.
    pub fn generate() -> Result<Self, CryptoError> {
        Self::of(Key256::generate()?)
    }

    /// Its public id, which does not lead back to the key.
    ///
    /// Formula: the first 8 bytes of `HKDF-SHA-256(seed, info = field("pushvault/v1/integrity-key-id"))`.
    #[must_use]
    pub const fn id(&self) -> [u8; Self::ID_LENGTH] {
        self.id
    }

    /// The id as it is stored and shown: `ik_` and 16 hexadecimal digits.
    #[must_use]
    pub fn name(&self) -> String {
        format!("ik_{}", HEXLOWER.encode(&self.id))
    }

    /// The MAC of a row.
    ///
    /// Formula: `HMAC-SHA-256(HKDF-SHA-256(seed, info = field("pushvault/v1/row-mac"), 64 bytes), field(tag) ‖ field(row))`.
    /// Standards: RFC 2104, RFC 5869. Limits: `row` must be encoded so that no two rows have the same bytes.
    #[must_use]
    pub fn row_mac(&self, row: &[u8]) -> [u8; Self::TAG_LENGTH] {
        self.row_mac.digest(&[ROW_MAC_TAG.as_bytes(), row])
    }

    /// Whether `tag` is the MAC of a row. Compared in constant time.
    #[must_use]
    pub fn verify_row(&self, row: &[u8], tag: &[u8]) -> bool {
        tag.len() == Self::TAG_LENGTH && self.row_mac.verify(&[ROW_MAC_TAG.as_bytes(), row], tag)
    }

    /// The verifier of a token: what is compared before Argon2id is asked. It fits the account, the owner of the token (the
    /// account itself, or an API key) and the token alone.
    ///
    /// Formula: `HMAC-SHA-256(HKDF-SHA-256(seed, info = field("pushvault/v1/token-verifier"), 64 bytes), field(tag) ‖
    /// field(account SID) ‖ field(owner SID) ‖ field(token))`. Standards: RFC 2104, RFC 5869.
    #[must_use]
    pub fn token_verifier(&self, account_sid: &str, owner_sid: &str, token: &str) -> [u8; Self::TAG_LENGTH] {
        self.verifier.digest(&verifier_parts(account_sid, owner_sid, token))
    }

    /// Whether `tag` is the verifier of a token. Compared in constant time.
    #[must_use]
    pub fn verify_token(&self, account_sid: &str, owner_sid: &str, token: &str, tag: &[u8]) -> bool {
        tag.len() == Self::TAG_LENGTH
            && self
                .verifier
                .verify(&verifier_parts(account_sid, owner_sid, token), tag)
    }

    /// Whether it is the same key.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        bool::from(subtle::ConstantTimeEq::ct_eq(
            self.seed.expose().as_slice(),
            other.seed.expose().as_slice(),
        ))
    }

    /// Readies it for the wrap under a root key that stays with its provider.
    pub fn pack(&self, context: &IntegrityKeyContext<'_>, kek_id: &KekId) -> Result<PackedKey, CryptoError> {
        pack(&self.seed, &context.associated_data(kek_id)?)
    }

    /// Takes back what [`Self::pack`] made for the same place and root key; anything else is
    /// [`CryptoError::Authentication`].
    pub fn unpack(packed: &[u8], context: &IntegrityKeyContext<'_>, kek_id: &KekId) -> Result<Self, CryptoError> {
        Self::of(unpack(packed, &context.associated_data(kek_id)?)?)
    }

    fn of(seed: Key256) -> Result<Self, CryptoError> {
        let mut id = [0; Self::ID_LENGTH];
        crate::kdf::hkdf_sha256(seed.expose(), Fields::tagged(ID_TAG).as_bytes(), &mut id)?;
        Ok(Self {
            id,
            row_mac: MacKey::derive(&seed, Fields::tagged(ROW_MAC_TAG).as_bytes())?,
            verifier: MacKey::derive(&seed, Fields::tagged(VERIFIER_TAG).as_bytes())?,
            seed,
        })
    }
}

fn verifier_parts<'a>(account_sid: &'a str, owner_sid: &'a str, token: &'a str) -> [&'a [u8]; 4] {
    [
        VERIFIER_TAG.as_bytes(),
        account_sid.as_bytes(),
        owner_sid.as_bytes(),
        token.as_bytes(),
    ]
}

impl KeyEncryptionKey {
    /// Wraps an integrity key for the place that `context` names.
    ///
    /// Formula: `nonce ‖ GCM-AE(KEK, nonce, seed, aad)`, 60 bytes. Standard and limits are those of
    /// [`KeyEncryptionKey::wrap_account_key`]; the domain tag of the AAD is another one.
    pub fn wrap_integrity_key(
        &self,
        key: &IntegrityKey,
        context: &IntegrityKeyContext<'_>,
    ) -> Result<WrappedKey, CryptoError> {
        let aad = context.aad(&self.id())?;
        aead::wrap_key(self.as_key(), aad.as_bytes(), &key.seed).map(WrappedKey::from_bytes)
    }

    /// Unwraps an integrity key that [`Self::wrap_integrity_key`] wrapped for the same place.
    pub fn unwrap_integrity_key(
        &self,
        wrapped: &WrappedKey,
        context: &IntegrityKeyContext<'_>,
    ) -> Result<IntegrityKey, CryptoError> {
        let aad = context.aad(&self.id())?;
        IntegrityKey::of(aead::unwrap_key(self.as_key(), aad.as_bytes(), wrapped.bytes())?)
    }
}

impl RecoveryRecipient {
    /// Encrypts an integrity key to this recipient, together with the place that it belongs to.
    ///
    /// Formula: `age(recipient, fields of the context ‖ field(seed))`. Limits: it shows nobody who wrote it, so a key that
    /// comes out is believed only when its id is the one of the row.
    pub fn wrap_integrity_key(
        &self,
        key: &IntegrityKey,
        context: &IntegrityKeyContext<'_>,
    ) -> Result<Vec<u8>, CryptoError> {
        self.encrypt(context.recovery_copy()?.bytes(key.seed.expose()))
    }
}

impl RecoveryKey {
    /// Opens what [`RecoveryRecipient::wrap_integrity_key`] made for this key pair and the same place.
    ///
    /// A copy that was made for another place is [`CryptoError::WrongPlace`].
    pub fn unwrap_integrity_key(
        &self,
        copy: &[u8],
        context: &IntegrityKeyContext<'_>,
    ) -> Result<IntegrityKey, CryptoError> {
        let plaintext = self.decrypt(copy)?;
        let seed = plaintext
            .strip_prefix(context.recovery_copy()?.as_bytes())
            .ok_or(CryptoError::WrongPlace)?
            .strip_prefix(&length_prefix(&[0; Key256::LENGTH]))
            .ok_or(CryptoError::MalformedRecoveryCopy)?;
        IntegrityKey::of(Key256::from_slice(seed)?)
    }
}

impl fmt::Debug for IntegrityKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "IntegrityKey({})", self.name())
    }
}
