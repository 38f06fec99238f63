//! `[validation]`: what happens to a credential that cannot work.

use serde::Deserialize;

use super::error::ConfigError;
use super::rules::invalid;

/// What happens to a credential that cannot work, although each of its values is well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationMode {
    /// It is stored, as Twilio does, and a finding is logged.
    Lenient,
    /// It is refused.
    Strict,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawValidation {
    mode: String,
}

impl RawValidation {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![("validation.mode", self.mode.clone())]
    }

    pub(super) fn check(&self) -> Result<ValidationMode, ConfigError> {
        match self.mode.as_str() {
            "lenient" => Ok(ValidationMode::Lenient),
            "strict" => Ok(ValidationMode::Strict),
            _ => Err(invalid("validation.mode", "use lenient or strict")),
        }
    }
}
