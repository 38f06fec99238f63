//! Settings: read once at start, checked in one step, handed down by value.

mod check;
mod error;
mod raw;
mod settings;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

pub use error::ConfigError;
pub use settings::{
    AuthenticationSettings, DatabaseSettings, KekSettings, LimitSettings, LogFormat, LogSettings, Rate,
    RateLimitSettings, ServerSettings, Settings, ValidationMode,
};
