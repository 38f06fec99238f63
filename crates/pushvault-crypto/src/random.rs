//! The one file that draws randomness from the operating system.

use crate::error::CryptoError;

/// Fills `buffer` with bytes from the operating system's generator.
///
/// Formula: none; `getrandom(2)` or its equivalent, through the `getrandom` crate. Limits: it may
/// block early after boot; after an error the buffer's content is unspecified and must not be used.
pub fn fill(buffer: &mut [u8]) -> Result<(), CryptoError> {
    getrandom::fill(buffer).map_err(|_| CryptoError::Randomness)
}
