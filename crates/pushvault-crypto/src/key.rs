//! The root key and the keys it wraps.

use std::fmt;

use subtle::ConstantTimeEq as _;

use crate::{
    aead::{self, WRAPPED_KEY_LENGTH},
    argon,
    context::AccountKeyContext,
    encoding::Fields,
    error::CryptoError,
    mac::MacKey,
    secret::Key256,
};

pub use crate::{argon::Argon2Cost, kek_id::KekId};

/// The shortest salt accepted with a passphrase, in bytes (RFC 9106, section 3.1).
const MIN_SALT_LENGTH: usize = 16;

/// The domain tag under which the key of page tokens is derived.
pub(crate) const PAGE_TOKEN_TAG: &str = "pushvault/v1/page-token";

/// The root key (KEK). It lives outside the database and wraps account keys.
pub struct KeyEncryptionKey {
    key: Key256,
    id: KekId,
}

impl KeyEncryptionKey {
    /// The length of a root key in bytes.
    pub const LENGTH: usize = Key256::LENGTH;

    /// Copies a root key out of exactly 32 bytes; any other length is [`CryptoError::KeyLength`].
    ///
    /// Limits: the bytes are taken as they are, so they must be uniformly random. Wiping the
    /// source is the caller's part.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CryptoError> {
        Self::from_key(Key256::from_slice(bytes)?)
    }

    /// Derives a root key from a passphrase.
    ///
    /// Formula: `Argon2id(passphrase, salt, cost)`, version 0x13, 32 bytes of output. Standard:
    /// RFC 9106; its first recommendation is 2 GiB, 1 iteration, 4 lanes, its second 64 MiB, 3
    /// iterations, 4 lanes. Limits: an empty passphrase or a salt under 16 bytes is
    /// [`CryptoError::PassphraseDerivation`]; the key is as strong as the passphrase, no more.
    pub fn from_passphrase(passphrase: &[u8], salt: &[u8], cost: Argon2Cost) -> Result<Self, CryptoError> {
        if passphrase.is_empty() || salt.len() < MIN_SALT_LENGTH {
            return Err(CryptoError::PassphraseDerivation);
        }
        let memory_limit_kib = Argon2Cost::MAX_PASSPHRASE_MEMORY_KIB;
        Self::from_key(Key256::fill_with(|key| {
            argon::derive(cost, memory_limit_kib, passphrase, salt, key)
        })?)
    }

    /// The public id of this key. It does not lead back to the key; see [`KekId`].
    #[must_use]
    pub fn id(&self) -> KekId {
        self.id.clone()
    }

    /// Wraps an account key for the place that `context` names.
    ///
    /// Formula: `nonce ‖ GCM-AE(KEK, nonce, account key, aad)`, 60 bytes, where the AAD is the
    /// context and this key's id. Standard: NIST SP 800-38D. Limits: at most 2^32 wraps per KEK.
    pub fn wrap_account_key(
        &self,
        key: &AccountKey,
        context: &AccountKeyContext<'_>,
    ) -> Result<WrappedKey, CryptoError> {
        let aad = context.aad(&self.id)?;
        aead::wrap_key(&self.key, aad.as_bytes(), &key.0).map(WrappedKey)
    }

    /// Unwraps an account key that [`Self::wrap_account_key`] wrapped for the same place.
    ///
    /// Another KEK, account, version or deployment, or altered bytes, are all
    /// [`CryptoError::Authentication`].
    pub fn unwrap_account_key(
        &self,
        wrapped: &WrappedKey,
        context: &AccountKeyContext<'_>,
    ) -> Result<AccountKey, CryptoError> {
        let aad = context.aad(&self.id)?;
        aead::unwrap_key(&self.key, aad.as_bytes(), &wrapped.0).map(AccountKey)
    }

    /// The key that authenticates page tokens, the same wherever this root key is.
    ///
    /// Formula: `HKDF-SHA-256(KEK, info = tag)`, 64 bytes of output. Standard: RFC 5869.
    pub fn page_token_key(&self) -> Result<MacKey, CryptoError> {
        MacKey::derive(&self.key, Fields::tagged(PAGE_TOKEN_TAG).as_bytes())
    }

    pub(crate) fn as_key(&self) -> &Key256 {
        &self.key
    }

    fn from_key(key: Key256) -> Result<Self, CryptoError> {
        let id = KekId::of(&key)?;
        Ok(Self { key, id })
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyEncryptionKey({})", self.id)
    }
}

/// The key of one account, which wraps the DEKs of the account's credentials.
pub struct AccountKey(Key256);

impl AccountKey {
    /// Draws an account key from the operating system.
    pub fn generate() -> Result<Self, CryptoError> {
        Key256::generate().map(Self)
    }

    /// The length of an account key in bytes.
    pub const LENGTH: usize = Key256::LENGTH;

    /// Copies an account key out of exactly 32 bytes, such as a key management service unwrapped; any other length is
    /// [`CryptoError::KeyLength`]. Wiping the source is the caller's part.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CryptoError> {
        Key256::from_slice(bytes).map(Self)
    }

    /// Lends the bytes to whoever wraps them outside of this crate: a key management service, a recovery recipient.
    #[must_use]
    pub fn expose(&self) -> &[u8; Self::LENGTH] {
        self.0.expose()
    }

    /// Whether it is the same key. Compared in constant time.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.expose().ct_eq(other.0.expose()).into()
    }

    pub(crate) const fn of(key: Key256) -> Self {
        Self(key)
    }

    pub(crate) fn as_key(&self) -> &Key256 {
        &self.0
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccountKey([REDACTED])")
    }
}

/// An account key as it is stored: `nonce (12) ‖ ciphertext (32) ‖ tag (16)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey([u8; WRAPPED_KEY_LENGTH]);

impl WrappedKey {
    /// Takes over exactly 60 bytes; any other length is [`CryptoError::MalformedWrappedKey`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CryptoError> {
        bytes.try_into().map(Self).map_err(|_| CryptoError::MalformedWrappedKey)
    }

    pub(crate) const fn from_bytes(bytes: [u8; WRAPPED_KEY_LENGTH]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; WRAPPED_KEY_LENGTH] {
        &self.0
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
