//! A key that authenticates lists of parts.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{encoding::length_prefix, error::CryptoError, kdf::hkdf_sha256, random, secret::Key256};

/// A key for HMAC-SHA-256. 64 bytes are the block of the hash, which takes them as they are.
///
/// One that is drawn when the process starts and never stored makes digests that are worth nothing
/// outside the process; one that a root key gives is the same on every replica.
pub struct MacKey(SecretBox<[u8; 64]>);

impl MacKey {
    /// Draws a key from the operating system.
    pub fn generate() -> Result<Self, CryptoError> {
        Self::fill_with(|key| random::fill(key))
    }

    /// Derives a key from a root key, for the use that `tag` names.
    ///
    /// Formula: `HKDF-SHA-256(key, info = tag)`, 64 bytes of output. Standard: RFC 5869.
    pub(crate) fn derive(key: &Key256, info: &[u8]) -> Result<Self, CryptoError> {
        Self::fill_with(|output| hkdf_sha256(key.expose(), info, output))
    }

    /// The digest of a list of parts under this key. The first part is the caller's domain tag.
    ///
    /// Formula: `HMAC-SHA-256(key, field(part)…)` with `field(x) = u64_be(len(x)) ‖ x`, so that
    /// moving a byte from one part to the next changes the digest. Standard: RFC 2104.
    #[must_use]
    pub fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(self.0.expose_secret().into());
        for part in parts {
            mac.update(&length_prefix(part));
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Whether `digest`, cut to no fewer than 16 bytes, belongs to the parts. Compared in constant
    /// time.
    ///
    /// Standard: RFC 2104, section 5, on truncation.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], digest: &[u8]) -> bool {
        digest.len() >= 16
            && self
                .digest(parts)
                .get(..digest.len())
                .is_some_and(|expected| bool::from(expected.ct_eq(digest)))
    }

    fn fill_with(fill: impl FnOnce(&mut [u8; 64]) -> Result<(), CryptoError>) -> Result<Self, CryptoError> {
        let mut key = SecretBox::new(Box::new([0; 64]));
        fill(key.expose_secret_mut())?;
        Ok(Self(key))
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MacKey([REDACTED])")
    }
}
