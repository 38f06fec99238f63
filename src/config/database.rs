//! `[database]`: Postgres.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::error::ConfigError;
use super::rules::{at_least_one, invalid, redacted, secret};

/// Postgres.
#[derive(Clone)]
pub struct DatabaseSettings {
    /// Where, as whom, with which password.
    pub url: SecretString,
    /// A read replica of it, for lists.
    pub list_url: Option<SecretString>,
    /// Connections of this process, at most.
    pub max_connections: u32,
    /// How long to wait for one.
    pub acquire_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabase {
    url: SecretString,
    url_file: String,
    list_url: SecretString,
    list_url_file: String,
    max_connections: u32,
    acquire_timeout_seconds: u64,
    statement_timeout_seconds: u64,
}

impl RawDatabase {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("database.url", redacted(&self.url)),
            ("database.url_file", self.url_file.clone()),
            ("database.list_url", redacted(&self.list_url)),
            ("database.list_url_file", self.list_url_file.clone()),
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

    pub(super) fn check(self) -> Result<DatabaseSettings, ConfigError> {
        let url = secret("database.url_file", self.url, &self.url_file)?.ok_or_else(|| {
            invalid(
                "database.url",
                "say where Postgres is: set PUSHVAULT__DATABASE__URL_FILE or PUSHVAULT__DATABASE__URL \
                 (or run `pushvault dev`, which brings its own)",
            )
        })?;
        at_least_one("database.max_connections", self.max_connections)?;
        at_least_one("database.acquire_timeout_seconds", self.acquire_timeout_seconds)?;
        at_least_one("database.statement_timeout_seconds", self.statement_timeout_seconds)?;
        Ok(DatabaseSettings {
            url,
            list_url: secret("database.list_url_file", self.list_url, &self.list_url_file)?,
            max_connections: self.max_connections,
            acquire_timeout: Duration::from_secs(self.acquire_timeout_seconds),
            statement_timeout: Duration::from_secs(self.statement_timeout_seconds),
        })
    }
}
