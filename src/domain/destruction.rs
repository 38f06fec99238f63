//! The destruction of an account: what goes, and what could still open a copy from before.

use time::OffsetDateTime;

use super::sid::AccountSid;

/// What there is of an account.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// Credentials that callers see.
    pub credentials: i64,
    /// Credentials that were deleted, and whose rows are still there.
    pub deleted_credentials: i64,
    /// Sets of secrets that these ever had.
    pub credential_versions: i64,
    /// Keys of the account.
    pub account_keys: i64,
    /// API keys that are not revoked.
    pub api_keys: i64,
    /// When a credential last changed.
    pub newest_change: Option<OffsetDateTime>,
}

/// What was destroyed, and what could open a copy of the database that was made before.
#[derive(Debug, Clone)]
pub struct DestructionRecord {
    /// The audit event of the destruction.
    pub event_sid: String,
    /// When it happened.
    pub destroyed_at: OffsetDateTime,
    /// How many keys of the account were destroyed.
    pub account_keys: i64,
    /// How many credentials there were, deleted ones included.
    pub credentials: i64,
    /// How many sets of secrets there were.
    pub credential_versions: i64,
    /// The root keys and recovery recipients that open older copies.
    pub openers: Vec<Opener>,
}

/// A key that opens older copies for as long as it exists.
#[derive(Debug, Clone)]
pub struct Opener {
    /// `root key` or `recovery recipient`.
    pub kind: &'static str,
    /// Its fingerprint, or the recipient.
    pub name: String,
    /// Its present state.
    pub state: String,
    /// Since when.
    pub since: OffsetDateTime,
}

impl Opener {
    /// Whether it is gone for good.
    pub fn is_destroyed(&self) -> bool {
        self.state == "destroyed"
    }
}

impl DestructionRecord {
    /// Whether nothing is left that opens a copy of any age.
    pub fn is_final(&self) -> bool {
        self.openers.iter().all(Opener::is_destroyed)
    }
}

/// Why an account is not destroyed.
#[derive(Debug, thiserror::Error)]
pub enum DestructionError {
    /// Its callers are still let in.
    #[error(
        "account {0} is active: run `pushvault account suspend {0}` first, and see for as long as you can afford that nobody \
         misses it; a suspended account can be activated again, a destroyed one cannot"
    )]
    NotSuspended(AccountSid),
    /// The code is another one: that of another account, or of what was there before.
    #[error(
        "the confirmation code is not that of account {0} as it is now: run `pushvault account destroy {0}` without a code, \
         look at what it prints, and take its code"
    )]
    WrongCode(AccountSid),
    /// There is nothing left to destroy, and no way back.
    #[error("account {0} is destroyed: nothing brings it back")]
    Destroyed(AccountSid),
}
