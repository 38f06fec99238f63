//! `[audit]`: where audit events are told of besides the audit trail.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::ConfigError;
use super::rules::{invalid, origin};

/// Where audit events are told of besides the audit trail.
#[derive(Clone)]
pub struct AuditSettings {
    /// Whether they are lines of the log.
    pub log: bool,
    /// The file that has them.
    pub file: Option<AuditFile>,
    /// The origin of the collector that has them, without a slash at its end.
    pub otlp_endpoint: Option<String>,
}

/// A file that is begun anew from time to time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFile {
    /// Where it is.
    pub directory: PathBuf,
    /// Its name; the date is put behind it.
    pub name: String,
    /// When another one is begun.
    pub rotation: FileRotation,
    /// How many are kept at least, the newest; 0 is all.
    pub keep: usize,
}

/// When another file is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRotation {
    /// At midnight, UTC.
    Daily,
    /// At each full hour.
    Hourly,
    /// Never; the name has no date.
    Never,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAudit {
    log: bool,
    file: String,
    file_rotation: String,
    file_keep: usize,
    otlp_endpoint: String,
}

impl RawAudit {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("audit.log", self.log.to_string()),
            ("audit.file", self.file.clone()),
            ("audit.file_rotation", self.file_rotation.clone()),
            ("audit.file_keep", self.file_keep.to_string()),
            ("audit.otlp_endpoint", self.otlp_endpoint.clone()),
        ]
    }

    pub(super) fn check(&self) -> Result<AuditSettings, ConfigError> {
        let rotation = match self.file_rotation.as_str() {
            "daily" => FileRotation::Daily,
            "hourly" => FileRotation::Hourly,
            "never" => FileRotation::Never,
            _ => return Err(invalid("audit.file_rotation", "use daily, hourly or never")),
        };
        let otlp_endpoint = origin("audit.otlp_endpoint", &self.otlp_endpoint).map_err(|_| {
            invalid(
                "audit.otlp_endpoint",
                "give scheme, host and port alone, such as http://collector:4318",
            )
        })?;
        Ok(AuditSettings {
            log: self.log,
            file: self.file(rotation)?,
            otlp_endpoint,
        })
    }

    fn file(&self, rotation: FileRotation) -> Result<Option<AuditFile>, ConfigError> {
        if self.file.is_empty() {
            return Ok(None);
        }
        let path = Path::new(&self.file);
        let names = path.parent().zip(path.file_name().and_then(|name| name.to_str()));
        match names {
            Some((directory, name)) if path.is_absolute() && !self.file.ends_with('/') => Ok(Some(AuditFile {
                directory: directory.to_owned(),
                name: name.to_owned(),
                rotation,
                keep: self.file_keep,
            })),
            _ => Err(invalid(
                "audit.file",
                "give the whole path of a file, such as /var/log/pushvault/audit.jsonl",
            )),
        }
    }
}
