//! `[kek]` and `[other_kek]`: where root keys come from. Which of the two is the primary one is in the database.

use std::path::PathBuf;

use pushvault_crypto::Argon2Cost;
use secrecy::SecretString;
use serde::Deserialize;

use super::error::ConfigError;
use super::rules::{at_least_one, invalid, redacted, secret};

/// Where a root key comes from.
#[derive(Clone)]
pub enum KekSettings {
    /// Nowhere: enough for `migrate`, not for anything that touches a secret.
    Unset,
    /// A file of 32 bytes.
    File(PathBuf),
    /// Derived from a passphrase.
    Passphrase {
        /// The passphrase.
        passphrase: SecretString,
        /// What Argon2id costs when the passphrase is first used.
        cost: Argon2Cost,
    },
}

/// A section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKek {
    provider: String,
    file: String,
    passphrase: SecretString,
    passphrase_file: String,
    passphrase_memory_kib: u32,
    passphrase_iterations: u32,
    passphrase_parallelism: u32,
}

/// The keys of a section, by their full names.
pub(super) struct Keys {
    provider: &'static str,
    file: &'static str,
    passphrase: &'static str,
    passphrase_file: &'static str,
    passphrase_memory_kib: &'static str,
    passphrase_iterations: &'static str,
    passphrase_parallelism: &'static str,
}

/// The keys of `[kek]`.
pub(super) const KEK: Keys = Keys {
    provider: "kek.provider",
    file: "kek.file",
    passphrase: "kek.passphrase",
    passphrase_file: "kek.passphrase_file",
    passphrase_memory_kib: "kek.passphrase_memory_kib",
    passphrase_iterations: "kek.passphrase_iterations",
    passphrase_parallelism: "kek.passphrase_parallelism",
};

/// The keys of `[other_kek]`.
pub(super) const OTHER_KEK: Keys = Keys {
    provider: "other_kek.provider",
    file: "other_kek.file",
    passphrase: "other_kek.passphrase",
    passphrase_file: "other_kek.passphrase_file",
    passphrase_memory_kib: "other_kek.passphrase_memory_kib",
    passphrase_iterations: "other_kek.passphrase_iterations",
    passphrase_parallelism: "other_kek.passphrase_parallelism",
};

impl RawKek {
    pub(super) fn effective(&self, keys: &Keys) -> Vec<(&'static str, String)> {
        vec![
            (keys.provider, self.provider.clone()),
            (keys.file, self.file.clone()),
            (keys.passphrase, redacted(&self.passphrase)),
            (keys.passphrase_file, self.passphrase_file.clone()),
            (keys.passphrase_memory_kib, self.passphrase_memory_kib.to_string()),
            (keys.passphrase_iterations, self.passphrase_iterations.to_string()),
            (keys.passphrase_parallelism, self.passphrase_parallelism.to_string()),
        ]
    }

    pub(super) fn check(self, keys: &Keys) -> Result<KekSettings, ConfigError> {
        at_least_one(keys.passphrase_memory_kib, self.passphrase_memory_kib)?;
        at_least_one(keys.passphrase_iterations, self.passphrase_iterations)?;
        at_least_one(keys.passphrase_parallelism, self.passphrase_parallelism)?;
        match self.provider.as_str() {
            "file" if self.file.is_empty() => Ok(KekSettings::Unset),
            "file" => Ok(KekSettings::File(PathBuf::from(self.file))),
            "passphrase" => match secret(keys.passphrase_file, self.passphrase, &self.passphrase_file)? {
                None => Ok(KekSettings::Unset),
                Some(passphrase) => Ok(KekSettings::Passphrase {
                    passphrase,
                    cost: Argon2Cost {
                        memory_kib: self.passphrase_memory_kib,
                        iterations: self.passphrase_iterations,
                        parallelism: self.passphrase_parallelism,
                    },
                }),
            },
            _ => Err(invalid(keys.provider, "use file or passphrase")),
        }
    }
}
