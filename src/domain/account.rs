//! Accounts (the tenants) and their API keys: metadata only, no token and no hash.

use serde::Serialize;
use time::OffsetDateTime;

use super::right::Rights;
use super::sid::{AccountSid, ApiKeySid};
use super::text::{FriendlyName, iso_8601};

/// Whether an account's callers are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// Callers are let in.
    Active,
    /// Every call is refused with 403 and code 20005; nothing is lost.
    Suspended,
    /// Every call is refused in the same way, for ever: the account's keys are gone, and its secrets with them.
    Destroyed,
}

impl AccountStatus {
    /// The name as stored and printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Destroyed => "destroyed",
        }
    }

    /// Reads the name as stored.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Destroyed]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// An account.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// Its SID, the user name of HTTP Basic.
    pub account_sid: AccountSid,
    /// What a person calls it.
    pub friendly_name: Option<FriendlyName>,
    /// Whether its callers are let in.
    pub status: AccountStatus,
    /// Whether a second auth token is valid: a roll-over is under way.
    pub has_secondary_token: bool,
    /// When it was made.
    #[serde(serialize_with = "as_iso_8601")]
    pub date_created: OffsetDateTime,
    /// When it last changed.
    #[serde(serialize_with = "as_iso_8601")]
    pub date_updated: OffsetDateTime,
}

/// An API key.
#[derive(Debug, Clone, Serialize)]
pub struct ApiKey {
    /// Its SID, the user name of HTTP Basic.
    pub api_key_sid: ApiKeySid,
    /// The account it belongs to.
    pub account_sid: AccountSid,
    /// What a person calls it.
    pub friendly_name: Option<FriendlyName>,
    /// What it may do, as far as this release knows.
    pub rights: Rights,
    /// When it was made.
    #[serde(serialize_with = "as_iso_8601")]
    pub date_created: OffsetDateTime,
    /// When it was revoked; absent while it is valid.
    #[serde(serialize_with = "as_optional_iso_8601")]
    pub date_revoked: Option<OffsetDateTime>,
}

fn as_iso_8601<S: serde::Serializer>(instant: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso_8601(*instant))
}

#[expect(clippy::ref_option, reason = "serde hands the field over like this")]
fn as_optional_iso_8601<S: serde::Serializer>(
    instant: &Option<OffsetDateTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    instant.map(iso_8601).serialize(serializer)
}
