//! Tests of the whole service: it runs as `serve` runs it, on a real Postgres, and is spoken to over HTTP.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and JSON is read by its keys"
)]

mod abuse;
mod authentication;
mod canary;
mod encryption;
mod endpoints;
mod failure;
mod garbage;
mod harness;
mod kms;
mod metrics;
mod openapi;
mod process;
mod replicas;
mod resource;
mod sealed;
mod smoke;
mod tls;
mod trail;
mod wire;
