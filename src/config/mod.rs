//! Settings: read once at start, checked in one step, handed down by value.

mod check;
mod error;
mod raw;
mod rules;
mod settings;

pub use error::ConfigError;
pub use settings::{
    AuthenticationSettings, DatabaseSettings, KekSettings, LimitSettings, LogFormat, LogSettings, Rate,
    RateLimitSettings, ServerSettings, Settings, ValidationMode,
};
