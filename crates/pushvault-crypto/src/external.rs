//! What a provider that keeps the root key to itself is given to wrap: a key, and behind it a check that says where the
//! key belongs. So a provider that answers with something else is found out here, whatever it makes of associated data.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    context::{AccountKeyContext, SigningKeyContext},
    encoding::Fields,
    error::CryptoError,
    kek_id::KekId,
    key::AccountKey,
    mac::MacKey,
    secret::Key256,
    signing::SigningKey,
};

/// The domain tag under which the check's key is derived.
const CHECK_TAG: &str = "pushvault/v1/packed-key";

/// The domain tag of a wrapped seed.
const SEED_TAG: &str = "pushvault/v1/root-seed";

/// The length of the check in bytes.
const CHECK_LENGTH: usize = 32;

/// A key as it is handed to a provider, and as it comes back: `key (32) ‖ check (32)`. Wiped when dropped.
pub type PackedKey = Zeroizing<Vec<u8>>;

/// What is kept, wrapped, for a root key that never leaves its provider: that it unwraps shows that the provider's key is
/// the one that was there before, and page tokens are authenticated with a key derived from it.
pub struct RootSeed(Key256);

impl RootSeed {
    /// Draws a seed from the operating system.
    pub fn generate() -> Result<Self, CryptoError> {
        Key256::generate().map(Self)
    }

    /// The associated data of its wrap.
    ///
    /// Formula: `field(tag) ‖ field(KEK id)`.
    #[must_use]
    pub fn associated_data(kek_id: &KekId) -> Vec<u8> {
        let fields = Fields::tagged(SEED_TAG).bytes(kek_id.as_str().as_bytes());
        fields.as_bytes().to_vec()
    }

    /// Readies it for the wrap under that root key.
    pub fn pack(&self, kek_id: &KekId) -> Result<PackedKey, CryptoError> {
        pack(&self.0, &Self::associated_data(kek_id))
    }

    /// Takes back what [`Self::pack`] made for the same root key; anything else is [`CryptoError::Authentication`].
    pub fn unpack(packed: &[u8], kek_id: &KekId) -> Result<Self, CryptoError> {
        unpack(packed, &Self::associated_data(kek_id)).map(Self)
    }

    /// The key that authenticates page tokens, derived as it is from a root key in memory.
    pub fn page_token_key(&self) -> Result<MacKey, CryptoError> {
        MacKey::derive(&self.0, Fields::tagged(crate::key::PAGE_TOKEN_TAG).as_bytes())
    }
}

impl AccountKey {
    /// Readies it for the wrap under that root key, for the place that `context` names.
    pub fn pack(&self, context: &AccountKeyContext<'_>, kek_id: &KekId) -> Result<PackedKey, CryptoError> {
        pack(self.as_key(), &context.associated_data(kek_id)?)
    }

    /// Takes back what [`Self::pack`] made for the same place and root key; anything else is
    /// [`CryptoError::Authentication`].
    pub fn unpack(packed: &[u8], context: &AccountKeyContext<'_>, kek_id: &KekId) -> Result<Self, CryptoError> {
        unpack(packed, &context.associated_data(kek_id)?).map(Self::of)
    }
}

impl SigningKey {
    /// Readies it for the wrap under that root key, for the place that `context` names.
    pub fn pack(&self, context: &SigningKeyContext<'_>, kek_id: &KekId) -> Result<PackedKey, CryptoError> {
        pack(self.as_key(), &context.associated_data(kek_id)?)
    }

    /// Takes back what [`Self::pack`] made for the same place and root key; anything else is
    /// [`CryptoError::Authentication`].
    pub fn unpack(packed: &[u8], context: &SigningKeyContext<'_>, kek_id: &KekId) -> Result<Self, CryptoError> {
        unpack(packed, &context.associated_data(kek_id)?).map(Self::of)
    }
}

/// Formula: `key ‖ check(key, associated data)`.
pub(crate) fn pack(key: &Key256, associated_data: &[u8]) -> Result<PackedKey, CryptoError> {
    let mut packed = Zeroizing::new(Vec::with_capacity(Key256::LENGTH + CHECK_LENGTH));
    packed.extend_from_slice(key.expose());
    packed.extend_from_slice(&check(key, associated_data)?);
    Ok(packed)
}

pub(crate) fn unpack(packed: &[u8], associated_data: &[u8]) -> Result<Key256, CryptoError> {
    let (key, found) = packed
        .split_at_checked(Key256::LENGTH)
        .ok_or(CryptoError::Authentication)?;
    let key = Key256::from_slice(key)?;
    if bool::from(check(&key, associated_data)?.as_slice().ct_eq(found)) {
        Ok(key)
    } else {
        Err(CryptoError::Authentication)
    }
}

/// Formula: `HMAC-SHA-256(HKDF-SHA-256(key, info = field(tag), 64 bytes), field(associated data))`.
fn check(key: &Key256, associated_data: &[u8]) -> Result<[u8; CHECK_LENGTH], CryptoError> {
    let key = MacKey::derive(key, Fields::tagged(CHECK_TAG).as_bytes())?;
    Ok(key.digest(&[associated_data]))
}
