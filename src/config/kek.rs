//! `[kek]`: where the root key comes from.

use std::path::PathBuf;

use pushvault_crypto::Argon2Cost;
use secrecy::SecretString;
use serde::Deserialize;

use super::error::ConfigError;
use super::rules::{at_least_one, invalid, redacted, secret};

/// Where the root key comes from.
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

/// The section as it is written.
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

impl RawKek {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("kek.provider", self.provider.clone()),
            ("kek.file", self.file.clone()),
            ("kek.passphrase", redacted(&self.passphrase)),
            ("kek.passphrase_file", self.passphrase_file.clone()),
            ("kek.passphrase_memory_kib", self.passphrase_memory_kib.to_string()),
            ("kek.passphrase_iterations", self.passphrase_iterations.to_string()),
            ("kek.passphrase_parallelism", self.passphrase_parallelism.to_string()),
        ]
    }

    pub(super) fn check(self) -> Result<KekSettings, ConfigError> {
        at_least_one("kek.passphrase_memory_kib", self.passphrase_memory_kib)?;
        at_least_one("kek.passphrase_iterations", self.passphrase_iterations)?;
        at_least_one("kek.passphrase_parallelism", self.passphrase_parallelism)?;
        match self.provider.as_str() {
            "file" if self.file.is_empty() => Ok(KekSettings::Unset),
            "file" => Ok(KekSettings::File(PathBuf::from(self.file))),
            "passphrase" => match secret("kek.passphrase_file", self.passphrase, &self.passphrase_file)? {
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
            _ => Err(invalid("kek.provider", "use file or passphrase")),
        }
    }
}
