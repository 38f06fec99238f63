//! Settings: read once at start, checked in one step, handed down by value. Each section has a file: what it is for the
//! rest of the vault, how it is written, and how one becomes the other.

mod admin;
mod audit;
mod authentication;
mod checkpoint;
mod database;
mod error;
mod kek;
mod kek_provider;
mod limits;
mod log;
mod rate_limit;
mod rules;
mod server;
mod settings;
mod sources;
mod tls;
mod trace;
mod validation;

pub use admin::AdminSettings;
pub use audit::{AuditFile, AuditSettings, FileRotation};
pub use authentication::AuthenticationSettings;
pub use checkpoint::CheckpointSettings;
pub use database::DatabaseSettings;
pub use error::ConfigError;
pub use kek::KekSettings;
pub use kek_provider::{AwsKmsSettings, TransitSettings, TransitToken};
pub use limits::LimitSettings;
pub use log::{LogFormat, LogSettings};
pub use rate_limit::{Rate, RateLimitSettings};
pub use server::ServerSettings;
pub use settings::{Settings, load_logging};
pub use tls::{TlsFiles, TlsSettings};
pub use trace::TraceSettings;
pub use validation::ValidationMode;
