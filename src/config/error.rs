//! What is wrong with the settings, and what to do.

use std::path::PathBuf;

/// What is wrong with the settings, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The sources could not be read into the shape of the settings.
    #[error("cannot read the settings: {0}")]
    Unreadable(String),
    /// A value breaks a rule.
    #[error("setting {key}: {remedy}")]
    Invalid {
        /// The key as in `config/default.toml`.
        key: &'static str,
        /// What to do.
        remedy: String,
    },
    /// A file that should hold a secret could not be read.
    #[error("setting {key}: cannot read {}", path.display())]
    SecretFile {
        /// The key as in `config/default.toml`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
