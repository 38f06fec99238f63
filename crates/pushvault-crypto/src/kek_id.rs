//! The public name of a root key.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

use crate::{encoding::Fields, error::CryptoError, kdf::hkdf_sha256, secret::Key256};

/// The domain tag under which a key id is derived.
const KEK_ID_TAG: &str = "pushvault/v1/kek-id";

/// The domain tag of the id of a key that is kept elsewhere.
const EXTERNAL_TAG: &str = "pushvault/v1/kek-id/external";

/// What every key id begins with.
const PREFIX: &str = "kek_";

/// How many hexadecimal digits follow.
const DIGITS: usize = 16;

/// The id of a root key: `kek_` and 16 lower-case hexadecimal digits.
///
/// It may be stored and logged. It tells two root keys apart (64 bits, so by accident and not
/// against somebody who makes colliding keys) and does not lead back to the key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KekId(String);

impl KekId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of a root key that never leaves where it is kept, from the names by which it is asked for there: the
    /// provider's first.
    ///
    /// Formula: `"kek_" ‖ hex(SHA-256(field(tag) ‖ field(name) ‖ …))`, the first 8 bytes. Limits: it tells names apart,
    /// not keys. That a key is the right one shows when it unwraps.
    #[must_use]
    pub fn external(names: &[&str]) -> Self {
        let fields = names.iter().fold(Fields::tagged(EXTERNAL_TAG), |fields, name| {
            fields.bytes(name.as_bytes())
        });
        let mut fingerprint = [0; DIGITS / 2];
        for (byte, of_digest) in fingerprint.iter_mut().zip(Sha256::digest(fields.as_bytes())) {
            *byte = of_digest;
        }
        Self(format!("{PREFIX}{:016x}", u64::from_be_bytes(fingerprint)))
    }

    /// Derives the id of a key.
    ///
    /// Formula: `"kek_" ‖ hex(HKDF-SHA-256(key, info = tag))`, 8 bytes of output. Standard:
    /// RFC 5869.
    pub(crate) fn of(key: &Key256) -> Result<Self, CryptoError> {
        let mut fingerprint = [0; DIGITS / 2];
        let info = Fields::tagged(KEK_ID_TAG);
        hkdf_sha256(key.expose(), info.as_bytes(), &mut fingerprint)?;
        Ok(Self(format!("{PREFIX}{:016x}", u64::from_be_bytes(fingerprint))))
    }
}

impl fmt::Display for KekId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for KekId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KekId({})", self.0)
    }
}

impl FromStr for KekId {
    type Err = CryptoError;

    /// Accepts the one spelling that [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, CryptoError> {
        let digits = text.strip_prefix(PREFIX).ok_or(CryptoError::MalformedKekId)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digits.len() == DIGITS && digits.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(CryptoError::MalformedKekId)
        }
    }
}
