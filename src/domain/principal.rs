//! Who is asking, and for which account.

use secrecy::SecretString;

use super::right::{MissingRight, Right, Rights};
use super::sid::{AccountSid, ApiKeySid};

/// What a caller shows: who it says it is, and the secret that should prove it.
pub struct Login {
    /// An Account SID or an API key SID, or whatever else was sent.
    pub user_name: String,
    /// An auth token or the key's secret.
    pub secret: SecretString,
}

/// The authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The account itself, by one of its auth tokens: it may do everything.
    Account(AccountSid),
    /// An API key of the account.
    ApiKey {
        /// The account that the key belongs to.
        account_sid: AccountSid,
        /// The key.
        api_key_sid: ApiKeySid,
        /// What the key may do.
        rights: Rights,
    },
}

impl Principal {
    /// The account that the caller acts for.
    pub fn account_sid(&self) -> &AccountSid {
        match self {
            Self::Account(account_sid) | Self::ApiKey { account_sid, .. } => account_sid,
        }
    }

    /// This account's data, and no other's, for whoever has the right to do with it what is asked for.
    pub fn scope(&self, right: Right) -> Result<AccountScope, MissingRight> {
        match self {
            Self::Account(_) => {}
            Self::ApiKey { rights, .. } => rights.require(right)?,
        }
        Ok(AccountScope {
            account_sid: self.account_sid().clone(),
        })
    }
}

/// The right to the data of one account. Every store function on tenant data asks for it, so a query without an account
/// does not type-check. It is made from an authenticated [`Principal`] that has the right to what it asks for, and by the
/// operator's commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountScope {
    account_sid: AccountSid,
}

impl AccountScope {
    /// The operator's right to an account. `tests/tidy.rs` lists the only files that may call it.
    pub fn for_operator(account_sid: AccountSid) -> Self {
        Self { account_sid }
    }

    /// The account.
    pub fn account_sid(&self) -> &AccountSid {
        &self.account_sid
    }
}
