//! pushvault: the vault for push-notification credentials, behind the Twilio Credentials REST API.
//!
//! `ARCHITECTURE.md` is the map. Imports go down only: `cli`, `dev`, `app` → `http` → `service` → `store`, `kms`, `tls`,
//! `metrics`, `telemetry` → `domain`, `config` → the kernel crate `pushvault-crypto`.

pub mod app;
pub mod cli;
pub mod config;
pub mod dev;
pub mod domain;
pub mod http;
pub mod kms;
pub mod metrics;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod trail;
