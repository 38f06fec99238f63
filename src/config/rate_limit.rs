//! `[rate_limit]`: how much one caller may ask for.

use std::num::NonZeroU32;

use serde::Deserialize;

use super::error::ConfigError;
use super::rules::invalid;

/// How much one caller may ask for.
#[derive(Clone)]
pub struct RateLimitSettings {
    /// Requests of one account.
    pub account: Rate,
    /// Requests of one address.
    pub address: Rate,
    /// Failed authentications of one address in a minute.
    pub failed_authentications_per_minute: NonZeroU32,
}

/// A rate, and what may come at once after a rest.
#[derive(Clone, Copy)]
pub struct Rate {
    /// In each second.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRateLimit {
    enabled: bool,
    account_per_second: u32,
    account_burst: u32,
    address_per_second: u32,
    address_burst: u32,
    failed_authentications_per_minute: u32,
}

impl RawRateLimit {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("rate_limit.enabled", self.enabled.to_string()),
            ("rate_limit.account_per_second", self.account_per_second.to_string()),
            ("rate_limit.account_burst", self.account_burst.to_string()),
            ("rate_limit.address_per_second", self.address_per_second.to_string()),
            ("rate_limit.address_burst", self.address_burst.to_string()),
            (
                "rate_limit.failed_authentications_per_minute",
                self.failed_authentications_per_minute.to_string(),
            ),
        ]
    }

    pub(super) fn check(&self) -> Result<Option<RateLimitSettings>, ConfigError> {
        let count = |key, value| {
            NonZeroU32::new(value).ok_or_else(|| invalid(key, "give at least 1, or switch off with rate_limit.enabled"))
        };
        let settings = RateLimitSettings {
            account: Rate {
                per_second: count("rate_limit.account_per_second", self.account_per_second)?,
                burst: count("rate_limit.account_burst", self.account_burst)?,
            },
            address: Rate {
                per_second: count("rate_limit.address_per_second", self.address_per_second)?,
                burst: count("rate_limit.address_burst", self.address_burst)?,
            },
            failed_authentications_per_minute: count(
                "rate_limit.failed_authentications_per_minute",
                self.failed_authentications_per_minute,
            )?,
        };
        Ok(self.enabled.then_some(settings))
    }
}
