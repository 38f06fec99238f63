//! Settings: read once at start, checked in one step, handed down by value.

mod raw;
mod settings;

pub use settings::{
    AuthenticationSettings, ConfigError, DatabaseSettings, KekSettings, LimitSettings, LogFormat, LogSettings,
    ServerSettings, Settings,
};
