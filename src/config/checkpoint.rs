//! `[checkpoint]`: where signed checkpoints of the audit trail go, beside the log.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use super::error::ConfigError;
use super::rules::invalid;

/// Where signed checkpoints go.
#[derive(Debug, Clone, Default)]
pub struct CheckpointSettings {
    /// The file that holds the newest one.
    pub file: Option<PathBuf>,
    /// The address that each is sent to.
    pub url: Option<Url>,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheckpoint {
    file: String,
    url: String,
}

impl RawCheckpoint {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        // A path may be what only its owner should know, as those of webhooks are.
        let origin = Url::parse(&self.url).map(|url| match url.path() {
            "/" => url.origin().ascii_serialization(),
            _ => url.origin().ascii_serialization() + "/[redacted]",
        });
        vec![
            ("checkpoint.file", self.file.clone()),
            ("checkpoint.url", origin.unwrap_or_default()),
        ]
    }

    pub(super) fn check(&self) -> Result<CheckpointSettings, ConfigError> {
        let file = match self.file.as_str() {
            "" => None,
            file if Path::new(file).is_absolute() && !file.ends_with('/') => Some(PathBuf::from(file)),
            _ => {
                return Err(invalid(
                    "checkpoint.file",
                    "give the whole path of a file, such as /var/lib/pushvault-checkpoint/checkpoint.txt",
                ));
            }
        };
        let url = match self.url.as_str() {
            "" => None,
            url => Some(
                Url::parse(url)
                    .ok()
                    .filter(|url| {
                        matches!(url.scheme(), "http" | "https")
                            && url.has_host()
                            && url.username().is_empty()
                            && url.password().is_none()
                            && url.fragment().is_none()
                    })
                    .ok_or_else(|| {
                        invalid(
                            "checkpoint.url",
                            "give an address such as https://witness.internal.example.com/checkpoints",
                        )
                    })?,
            ),
        };
        Ok(CheckpointSettings { file, url })
    }
}
