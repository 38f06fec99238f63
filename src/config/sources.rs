//! Where settings come from, in what order, and how a source that cannot be read is told of.

use std::path::Path;

use config::{Config, Environment, File, FileFormat};
use serde::Deserialize;

use super::admin::RawAdmin;
use super::audit::RawAudit;
use super::authentication::RawAuthentication;
use super::checkpoint::RawCheckpoint;
use super::database::RawDatabase;
use super::error::ConfigError;
use super::kek::{KEK, OTHER_KEK, RawKek};
use super::limits::RawLimits;
use super::log::RawLog;
use super::rate_limit::RawRateLimit;
use super::server::RawServer;
use super::tls::RawTls;
use super::trace::RawTrace;
use super::validation::RawValidation;

const DEFAULTS: &str = include_str!("../../config/default.toml");

/// All sections, as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSettings {
    pub(super) server: RawServer,
    pub(super) admin: RawAdmin,
    pub(super) tls: RawTls,
    pub(super) database: RawDatabase,
    pub(super) kek: RawKek,
    pub(super) other_kek: RawKek,
    pub(super) authentication: RawAuthentication,
    pub(super) limits: RawLimits,
    pub(super) rate_limit: RawRateLimit,
    pub(super) validation: RawValidation,
    pub(super) log: RawLog,
    pub(super) audit: RawAudit,
    pub(super) checkpoint: RawCheckpoint,
    pub(super) trace: RawTrace,
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
            self.admin.effective(),
            self.tls.effective(),
            self.database.effective(),
            self.kek.effective(&KEK),
            self.other_kek.effective(&OTHER_KEK),
            self.authentication.effective(),
            self.limits.effective(),
            self.rate_limit.effective(),
            self.validation.effective(),
            self.log.effective(),
            self.audit.effective(),
            self.checkpoint.effective(),
            self.trace.effective(),
        ]
        .concat()
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
