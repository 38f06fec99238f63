//! `[log]`: logging.

use serde::Deserialize;

use super::error::ConfigError;
use super::rules::invalid;

/// Logging.
#[derive(Clone)]
pub struct LogSettings {
    /// `EnvFilter` directives.
    pub filter: String,
    /// For machines or for people.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    filter: String,
    format: String,
}

impl RawLog {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![("log.filter", self.filter.clone()), ("log.format", self.format.clone())]
    }

    pub(super) fn check(self) -> Result<LogSettings, ConfigError> {
        Ok(LogSettings {
            filter: self.filter,
            format: match self.format.as_str() {
                "json" => LogFormat::Json,
                "text" => LogFormat::Text,
                _ => return Err(invalid("log.format", "use json or text")),
            },
        })
    }
}
