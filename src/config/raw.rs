//! The settings as they are written: one field for each key of `config/default.toml`.

use std::path::Path;

use config::{Config, Environment, File, FileFormat};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::error::ConfigError;

const DEFAULTS: &str = include_str!("../../config/default.toml");

/// All sections.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSettings {
    pub(super) server: RawServer,
    pub(super) database: RawDatabase,
    pub(super) kek: RawKek,
    pub(super) authentication: RawAuthentication,
    pub(super) limits: RawLimits,
    pub(super) rate_limit: RawRateLimit,
    pub(super) validation: RawValidation,
    pub(super) log: RawLog,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    pub(super) listen: String,
    pub(super) public_url: String,
    pub(super) trusted_proxies: String,
    pub(super) workers: usize,
    pub(super) keep_alive_seconds: u64,
    pub(super) shutdown_timeout_seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabase {
    pub(super) url: SecretString,
    pub(super) url_file: String,
    pub(super) max_connections: u32,
    pub(super) acquire_timeout_seconds: u64,
    pub(super) statement_timeout_seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKek {
    pub(super) provider: String,
    pub(super) file: String,
    pub(super) passphrase: SecretString,
    pub(super) passphrase_file: String,
    pub(super) passphrase_memory_kib: u32,
    pub(super) passphrase_iterations: u32,
    pub(super) passphrase_parallelism: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthentication {
    pub(super) argon2_memory_kib: u32,
    pub(super) argon2_iterations: u32,
    pub(super) argon2_parallelism: u32,
    pub(super) argon2_concurrency: usize,
    pub(super) memo_seconds: u64,
    pub(super) memo_entries: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) body_bytes: usize,
    pub(super) head_bytes: usize,
    pub(super) parameters: usize,
    pub(super) head_seconds: u64,
    pub(super) body_seconds: u64,
    pub(super) stall_seconds: u64,
    pub(super) request_seconds: u64,
    pub(super) account_key_seconds: u64,
    pub(super) account_key_entries: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRateLimit {
    pub(super) enabled: bool,
    pub(super) account_per_second: u32,
    pub(super) account_burst: u32,
    pub(super) address_per_second: u32,
    pub(super) address_burst: u32,
    pub(super) failed_authentications_per_minute: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawValidation {
    pub(super) mode: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) filter: String,
    pub(super) format: String,
}

impl RawSettings {
    /// Reads the compiled-in defaults, then `file`, then the environment, then what the command line says.
    pub(super) fn read(file: Option<&Path>, overrides: &[(&str, String)]) -> Result<Self, ConfigError> {
        let unreadable = |error: config::ConfigError| ConfigError::Unreadable(describe(&error));
        let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(path) = file {
            builder = builder.add_source(File::from(path).format(FileFormat::Toml));
        }
        for (key, value) in overrides {
            builder = builder.set_override(key, value.as_str()).map_err(unreadable)?;
        }
        builder
            .add_source(
                Environment::with_prefix("PUSHVAULT")
                    .prefix_separator("__")
                    .separator("__"),
            )
            .build()
            .and_then(Config::try_deserialize)
            .map_err(unreadable)
    }

    /// Every key with its value, for people; secrets show only whether they are set.
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        [
            self.server.effective(),
            self.database.effective(),
            self.kek.effective(),
            self.authentication.effective(),
            self.limits.effective(),
            self.rate_limit.effective(),
            self.validation.effective(),
            self.log.effective(),
        ]
        .concat()
    }
}

impl RawServer {
    fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("server.listen", self.listen.clone()),
            ("server.public_url", self.public_url.clone()),
            ("server.trusted_proxies", self.trusted_proxies.clone()),
            ("server.workers", self.workers.to_string()),
            ("server.keep_alive_seconds", self.keep_alive_seconds.to_string()),
            (
                "server.shutdown_timeout_seconds",
                self.shutdown_timeout_seconds.to_string(),
            ),
        ]
    }
}

impl RawDatabase {
    fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("database.url", redacted(&self.url)),
            ("database.url_file", self.url_file.clone()),
            ("database.max_connections", self.max_connections.to_string()),
            (
                "database.acquire_timeout_seconds",
                self.acquire_timeout_seconds.to_string(),
            ),
            (
                "database.statement_timeout_seconds",
                self.statement_timeout_seconds.to_string(),
            ),
        ]
    }
}

impl RawKek {
    fn effective(&self) -> Vec<(&'static str, String)> {
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
}

impl RawAuthentication {
    fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("authentication.argon2_memory_kib", self.argon2_memory_kib.to_string()),
            ("authentication.argon2_iterations", self.argon2_iterations.to_string()),
            ("authentication.argon2_parallelism", self.argon2_parallelism.to_string()),
            ("authentication.argon2_concurrency", self.argon2_concurrency.to_string()),
            ("authentication.memo_seconds", self.memo_seconds.to_string()),
            ("authentication.memo_entries", self.memo_entries.to_string()),
        ]
    }
}

impl RawLimits {
    fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("limits.body_bytes", self.body_bytes.to_string()),
            ("limits.head_bytes", self.head_bytes.to_string()),
            ("limits.parameters", self.parameters.to_string()),
            ("limits.head_seconds", self.head_seconds.to_string()),
            ("limits.body_seconds", self.body_seconds.to_string()),
            ("limits.stall_seconds", self.stall_seconds.to_string()),
            ("limits.request_seconds", self.request_seconds.to_string()),
            ("limits.account_key_seconds", self.account_key_seconds.to_string()),
            ("limits.account_key_entries", self.account_key_entries.to_string()),
        ]
    }
}

impl RawRateLimit {
    fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("rate_limit.enabled", self.enabled.to_string()),
            ("rate_limit.account_per_second", self.account_per_second.to_string()),
            ("rate_limit.account_burst", self.account_burst.to_string()),
            ("rate_limit.address_per_second", self.address_per_second.to_string()),
            ("rate_limit.address_burst", self.address_burst.to_string()),
            (
                "rate_limit.failed_authentications_per_minute",
                self.failed_authentications_per_minute.to_string(),
            ),
        ]
    }
}

impl RawValidation {
    fn effective(&self) -> Vec<(&'static str, String)> {
        vec![("validation.mode", self.mode.clone())]
    }
}

impl RawLog {
    fn effective(&self) -> Vec<(&'static str, String)> {
        vec![("log.filter", self.filter.clone()), ("log.format", self.format.clone())]
    }
}

fn redacted(secret: &SecretString) -> String {
    if secret.expose_secret().is_empty() {
        String::new()
    } else {
        "[redacted]".to_owned()
    }
}

/// Says what is wrong without repeating a value: a password may stand in the wrong place.
fn describe(error: &config::ConfigError) -> String {
    match error {
        config::ConfigError::FileParse { uri, cause } => {
            // The parser's first line says where; the following ones quote the file.
            let cause = cause.to_string();
            let place = cause.lines().next().unwrap_or_default();
            format!("{}: {place}", uri.as_deref().unwrap_or("defaults"))
        }
        config::ConfigError::Type { key, expected, .. } => {
            format!("{}: expected {expected}", key.as_deref().unwrap_or("a setting"))
        }
        config::ConfigError::At { error, key, origin } => {
            let place = key.as_deref().or(origin.as_deref()).unwrap_or("settings");
            format!("{place}: {}", describe(error))
        }
        // What is left names keys and files, not values: unknown field, missing field, file not found.
        other => other.to_string(),
    }
}
