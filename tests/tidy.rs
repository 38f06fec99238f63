//! The house rules of `ARCHITECTURE.md`, as tests. They read the source and need no database.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

#[path = "tidy/audit.rs"]
mod audit;
#[path = "tidy/decisions.rs"]
mod decisions;
#[path = "tidy/deploy.rs"]
mod deploy;
#[path = "tidy/fuzz.rs"]
mod fuzz;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/migrations.rs"]
mod migrations;
#[path = "tidy/papers.rs"]
mod papers;
#[path = "tidy/secrets.rs"]
mod secrets;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/style.rs"]
mod style;

/// A layer, and the layers that it may import; the kernel crate is below all of them. A new edge between layers is a
/// change to this table, in the same commit.
const LAYERS: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("config", &[]),
    ("telemetry", &["config", "metrics"]),
    ("metrics", &[]),
    ("kms", &["config", "domain", "metrics"]),
    ("tls", &["config", "metrics", "telemetry"]),
    ("trail", &["domain"]),
    ("store", &["config", "domain", "metrics", "telemetry", "trail"]),
    (
        "service",
        &["config", "domain", "kms", "metrics", "store", "telemetry", "trail"],
    ),
    ("http", &["config", "domain", "metrics", "service", "telemetry", "tls"]),
    (
        "app",
        &["config", "domain", "http", "service", "store", "telemetry", "tls"],
    ),
    ("dev", &["app", "config", "domain", "http", "service"]),
    (
        "cli",
        &[
            "app",
            "config",
            "dev",
            "domain",
            "http",
            "service",
            "telemetry",
            "trail",
        ],
    ),
];
