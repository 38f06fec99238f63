//! `[kek]` and `[other_kek]`: where root keys come from. Which of the two is the primary one is in the database.

use std::path::PathBuf;
use std::time::Duration;

use pushvault_crypto::Argon2Cost;
use secrecy::SecretString;
use serde::Deserialize;

use super::error::ConfigError;
use super::kek_provider::{AwsKmsSettings, ProviderKeys, RawTransit, TransitSettings, check_aws};
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
    /// Kept by a Vault or OpenBao.
    Transit(TransitSettings),
    /// Kept by AWS KMS.
    AwsKms(AwsKmsSettings),
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
    transit_url: String,
    transit_namespace: String,
    transit_mount: String,
    transit_key: String,
    transit_token: SecretString,
    transit_token_file: String,
    transit_ca_file: String,
    aws_key_id: String,
    aws_region: String,
    aws_endpoint: String,
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
    external: ProviderKeys,
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
    external: ProviderKeys {
        transit_url: "kek.transit_url",
        transit_namespace: "kek.transit_namespace",
        transit_mount: "kek.transit_mount",
        transit_key: "kek.transit_key",
        transit_token: "kek.transit_token",
        transit_token_file: "kek.transit_token_file",
        transit_ca_file: "kek.transit_ca_file",
        aws_key_id: "kek.aws_key_id",
        aws_region: "kek.aws_region",
        aws_endpoint: "kek.aws_endpoint",
    },
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
    external: ProviderKeys {
        transit_url: "other_kek.transit_url",
        transit_namespace: "other_kek.transit_namespace",
        transit_mount: "other_kek.transit_mount",
        transit_key: "other_kek.transit_key",
        transit_token: "other_kek.transit_token",
        transit_token_file: "other_kek.transit_token_file",
        transit_ca_file: "other_kek.transit_ca_file",
        aws_key_id: "other_kek.aws_key_id",
        aws_region: "other_kek.aws_region",
        aws_endpoint: "other_kek.aws_endpoint",
    },
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
            (keys.external.transit_url, self.transit_url.clone()),
            (keys.external.transit_namespace, self.transit_namespace.clone()),
            (keys.external.transit_mount, self.transit_mount.clone()),
            (keys.external.transit_key, self.transit_key.clone()),
            (keys.external.transit_token, redacted(&self.transit_token)),
            (keys.external.transit_token_file, self.transit_token_file.clone()),
            (keys.external.transit_ca_file, self.transit_ca_file.clone()),
            (keys.external.aws_key_id, self.aws_key_id.clone()),
            (keys.external.aws_region, self.aws_region.clone()),
            (keys.external.aws_endpoint, self.aws_endpoint.clone()),
        ]
    }

    pub(super) fn check(self, keys: &Keys, request_time: Duration) -> Result<KekSettings, ConfigError> {
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
            "transit" => {
                let transit = RawTransit {
                    url: self.transit_url,
                    namespace: self.transit_namespace,
                    mount: self.transit_mount,
                    key: self.transit_key,
                    token: self.transit_token,
                    token_file: self.transit_token_file,
                    ca_file: self.transit_ca_file,
                };
                let transit = transit.check(&keys.external, request_time)?;
                Ok(transit.map_or(KekSettings::Unset, KekSettings::Transit))
            }
            "aws-kms" => {
                let aws = check_aws(
                    &keys.external,
                    &self.aws_key_id,
                    self.aws_region,
                    &self.aws_endpoint,
                    request_time,
                )?;
                Ok(aws.map_or(KekSettings::Unset, KekSettings::AwsKms))
            }
            _ => Err(invalid(keys.provider, "use file, passphrase, transit or aws-kms")),
        }
    }
}
