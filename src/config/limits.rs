//! `[limits]`: bounds on requests and caches.

use std::time::Duration;

use serde::Deserialize;

use super::error::ConfigError;
use super::rules::{at_least_one, invalid};

/// Bounds on requests and caches.
#[derive(Clone)]
pub struct LimitSettings {
    /// The largest request body.
    pub body_bytes: usize,
    /// The largest head of a request: target, names and values of headers.
    pub head_bytes: usize,
    /// What large bodies and large answers may take up at once, of all callers.
    pub buffer_bytes: usize,
    /// The most parameters in a query or a body.
    pub parameters: usize,
    /// How long a client may take to send the head of a request.
    pub head_time: Duration,
    /// How long it may take to send the body.
    pub body_time: Duration,
    /// How long it may take nothing of an answer.
    pub stall_time: Duration,
    /// How long the vault may take over one request.
    pub request_time: Duration,
    /// How long an unwrapped account key stays in memory.
    pub account_key_time: Duration,
    /// How many do.
    pub account_key_entries: u64,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    body_bytes: usize,
    head_bytes: usize,
    buffer_bytes: usize,
    parameters: usize,
    head_seconds: u64,
    body_seconds: u64,
    stall_seconds: u64,
    request_seconds: u64,
    account_key_seconds: u64,
    account_key_entries: u64,
}

impl RawLimits {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("limits.body_bytes", self.body_bytes.to_string()),
            ("limits.head_bytes", self.head_bytes.to_string()),
            ("limits.buffer_bytes", self.buffer_bytes.to_string()),
            ("limits.parameters", self.parameters.to_string()),
            ("limits.head_seconds", self.head_seconds.to_string()),
            ("limits.body_seconds", self.body_seconds.to_string()),
            ("limits.stall_seconds", self.stall_seconds.to_string()),
            ("limits.request_seconds", self.request_seconds.to_string()),
            ("limits.account_key_seconds", self.account_key_seconds.to_string()),
            ("limits.account_key_entries", self.account_key_entries.to_string()),
        ]
    }

    pub(super) fn check(&self) -> Result<LimitSettings, ConfigError> {
        for (key, count) in [
            ("limits.body_bytes", self.body_bytes),
            ("limits.head_bytes", self.head_bytes),
            ("limits.parameters", self.parameters),
        ] {
            if count == 0 {
                return Err(invalid(key, "give at least 1"));
            }
        }
        // One account has a quarter of it, in which two of its largest bodies must find room.
        if self.buffer_bytes / 16 < self.body_bytes {
            return Err(invalid(
                "limits.buffer_bytes",
                "give at least 16 times limits.body_bytes, so that one account may send two of the largest bodies at once",
            ));
        }
        at_least_one("limits.head_seconds", self.head_seconds)?;
        at_least_one("limits.body_seconds", self.body_seconds)?;
        at_least_one("limits.stall_seconds", self.stall_seconds)?;
        at_least_one("limits.request_seconds", self.request_seconds)?;
        Ok(LimitSettings {
            body_bytes: self.body_bytes,
            head_bytes: self.head_bytes,
            buffer_bytes: self.buffer_bytes,
            parameters: self.parameters,
            head_time: Duration::from_secs(self.head_seconds),
            body_time: Duration::from_secs(self.body_seconds),
            stall_time: Duration::from_secs(self.stall_seconds),
            request_time: Duration::from_secs(self.request_seconds),
            account_key_time: Duration::from_secs(self.account_key_seconds),
            account_key_entries: self.account_key_entries,
        })
    }
}
