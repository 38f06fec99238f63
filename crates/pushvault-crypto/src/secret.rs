//! A 256-bit key in a box that is filled in place and wiped on drop.

use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox};

use crate::{error::CryptoError, random};

/// 32 secret bytes on the heap.
///
/// The bytes are written straight into the box, so that no copy of the key is left on a stack
/// frame of this crate. There is no `Clone`, `Debug` or comparison.
pub(crate) struct Key256(SecretBox<[u8; Self::LENGTH]>);

impl Key256 {
    /// The length of a key in bytes.
    pub(crate) const LENGTH: usize = 32;

    /// Makes a key whose bytes `fill` writes; on an error the half-written box is wiped.
    pub(crate) fn fill_with(
        fill: impl FnOnce(&mut [u8; Self::LENGTH]) -> Result<(), CryptoError>,
    ) -> Result<Self, CryptoError> {
        let mut bytes = SecretBox::new(Box::new([0; Self::LENGTH]));
        fill(bytes.expose_secret_mut())?;
        Ok(Self(bytes))
    }

    /// Draws a key from the operating system.
    pub(crate) fn generate() -> Result<Self, CryptoError> {
        Self::fill_with(|bytes| random::fill(bytes))
    }

    /// Copies a key out of exactly 32 bytes, and refuses any other length.
    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, CryptoError> {
        let bytes: &[u8; Self::LENGTH] = bytes.try_into().map_err(|_| CryptoError::KeyLength)?;
        Self::fill_with(|key| {
            key.copy_from_slice(bytes);
            Ok(())
        })
    }

    /// Lends the bytes to the primitives of this crate.
    pub(crate) fn expose(&self) -> &[u8; Self::LENGTH] {
        self.0.expose_secret()
    }
}
