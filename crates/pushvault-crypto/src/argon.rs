//! Argon2id within limits, in memory that is wiped afterwards.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

use crate::error::CryptoError;

/// What one run of Argon2id costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB, at least eight for each lane.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes. They are computed one after the other, on the caller's thread.
    pub parallelism: u32,
}

impl Argon2Cost {
    /// The most memory for a token, in KiB: 256 MiB. It also bounds what a stored hash may ask for.
    pub const MAX_TOKEN_MEMORY_KIB: u32 = 256 * 1024;

    /// The most memory for a passphrase, in KiB: 2 GiB, the first recommendation of RFC 9106.
    pub const MAX_PASSPHRASE_MEMORY_KIB: u32 = 2 * 1024 * 1024;

    /// The most iterations.
    pub const MAX_ITERATIONS: u32 = 16;

    /// The most lanes.
    pub const MAX_PARALLELISM: u32 = 16;

    /// Checks the cost against the limits before any memory is asked for.
    pub(crate) fn params(self, memory_limit_kib: u32, output_length: usize) -> Result<Params, CryptoError> {
        if self.memory_kib > memory_limit_kib
            || self.iterations > Self::MAX_ITERATIONS
            || self.parallelism > Self::MAX_PARALLELISM
        {
            return Err(CryptoError::CostOutOfRange);
        }
        Params::new(self.memory_kib, self.iterations, self.parallelism, Some(output_length))
            .map_err(|_| CryptoError::CostOutOfRange)
    }
}

/// A reservation of so many blocks of 1 KiB goes back to the operating system when it is freed.
///
/// Below 32 MiB glibc keeps freed memory for the thread that had it (mallopt(3),
/// `M_MMAP_THRESHOLD`), and a burst of wrong tokens would leave tens of megabytes behind on every
/// thread. What is reserved and never touched costs nothing.
const RETURNED_BLOCKS: usize = 33 * 1024;

/// Fills `output` with `Argon2id(secret, salt, cost)`.
///
/// Standard: RFC 9106, version 0x13, no secret value and no associated data. Limits: those of
/// [`Argon2Cost`], and the caller's own on memory; the salt must have at least 8 bytes. It takes
/// tens of milliseconds and must not run on a thread that serves others.
pub(crate) fn derive(
    cost: Argon2Cost,
    memory_limit_kib: u32,
    secret: &[u8],
    salt: &[u8],
    output: &mut [u8],
) -> Result<(), CryptoError> {
    let params = cost.params(memory_limit_kib, output.len())?;
    // The crate's own allocation is not wiped and would leave a way to test guesses cheaply. A
    // failed reservation is an error here, where growing a vector would end the process.
    let block_count = params.block_count();
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(block_count.max(RETURNED_BLOCKS))
        .map_err(|_| CryptoError::OutOfMemory)?;
    memory.resize(block_count, Block::default());
    let result = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(secret, salt, output, &mut memory)
        .map_err(|_| CryptoError::CostOutOfRange);
    memory.iter_mut().for_each(Zeroize::zeroize);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_the_documented_ones() {
        assert_eq!(Argon2Cost::MAX_TOKEN_MEMORY_KIB, 262_144);
        assert_eq!(Argon2Cost::MAX_PASSPHRASE_MEMORY_KIB, 2_097_152);
        assert_eq!((Argon2Cost::MAX_ITERATIONS, Argon2Cost::MAX_PARALLELISM), (16, 16));
    }

    #[test]
    fn the_limits_themselves_are_within_the_limits() {
        let most = Argon2Cost {
            memory_kib: Argon2Cost::MAX_TOKEN_MEMORY_KIB,
            iterations: Argon2Cost::MAX_ITERATIONS,
            parallelism: Argon2Cost::MAX_PARALLELISM,
        };
        assert!(most.params(Argon2Cost::MAX_TOKEN_MEMORY_KIB, 32).is_ok());
    }

    #[test]
    fn a_reservation_is_beyond_what_is_kept_for_the_thread() {
        // 32 MiB, the highest threshold that glibc ever takes, in blocks of 1 KiB.
        let kept = 32 * 1024;
        assert!((kept + 1..2 * kept).contains(&RETURNED_BLOCKS));
    }
}
