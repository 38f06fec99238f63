//! `[authentication]`: tokens and their verification.

use std::time::Duration;

use pushvault_crypto::Argon2Cost;
use serde::Deserialize;

use super::error::ConfigError;
use super::rules::{at_least_one, invalid, or_cores};

/// Tokens and their verification.
#[derive(Clone)]
pub struct AuthenticationSettings {
    /// What Argon2id costs for new hashes.
    pub argon2: Argon2Cost,
    /// Argon2 runs at the same time.
    pub argon2_concurrency: usize,
    /// How long a successful verification is remembered.
    pub memo_time: Duration,
    /// How many are.
    pub memo_entries: u64,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthentication {
    argon2_memory_kib: u32,
    argon2_iterations: u32,
    argon2_parallelism: u32,
    argon2_concurrency: usize,
    memo_seconds: u64,
    memo_entries: u64,
}

impl RawAuthentication {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("authentication.argon2_memory_kib", self.argon2_memory_kib.to_string()),
            ("authentication.argon2_iterations", self.argon2_iterations.to_string()),
            ("authentication.argon2_parallelism", self.argon2_parallelism.to_string()),
            ("authentication.argon2_concurrency", self.argon2_concurrency.to_string()),
            ("authentication.memo_seconds", self.memo_seconds.to_string()),
            ("authentication.memo_entries", self.memo_entries.to_string()),
        ]
    }

    pub(super) fn check(&self) -> Result<AuthenticationSettings, ConfigError> {
        // RFC 9106 section 3.1: at least one pass, and 8 KiB of memory for each lane.
        at_least_one("authentication.argon2_iterations", self.argon2_iterations)?;
        at_least_one("authentication.argon2_parallelism", self.argon2_parallelism)?;
        if self.argon2_memory_kib > Argon2Cost::MAX_TOKEN_MEMORY_KIB {
            return Err(invalid(
                "authentication.argon2_memory_kib",
                "give at most 262144 (256 MiB)",
            ));
        }
        if self.argon2_memory_kib / 8 < self.argon2_parallelism {
            return Err(invalid(
                "authentication.argon2_memory_kib",
                "give at least 8 KiB for each lane",
            ));
        }
        Ok(AuthenticationSettings {
            argon2: Argon2Cost {
                memory_kib: self.argon2_memory_kib,
                iterations: self.argon2_iterations,
                parallelism: self.argon2_parallelism,
            },
            argon2_concurrency: or_cores(self.argon2_concurrency),
            memo_time: Duration::from_secs(self.memo_seconds),
            memo_entries: self.memo_entries,
        })
    }
}
