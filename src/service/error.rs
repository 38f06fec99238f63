//! Why a use case was not carried out.

use pushvault_crypto::CryptoError;

use crate::domain::principal::Principal;
use crate::domain::sid::AccountSid;
use crate::domain::validation::ValidationError;
use crate::store::StoreError;

/// A refusal or a failure. `Display` is fit for a log line; the cause is in `source()`.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// No, a malformed, an unknown or a wrong user name or secret: the caller learns no more than that.
    #[error("not authenticated")]
    Unauthenticated {
        /// The account that was claimed, when it exists: its audit trail shows the attempt.
        claimed: Option<AccountSid>,
    },
    /// The secret was right, and the account is suspended.
    #[error("the account is suspended")]
    Suspended(Principal),
    /// There is no such thing, or it belongs to another account.
    #[error("not found")]
    NotFound,
    /// A parameter breaks a rule.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// The database failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A key or ciphertext did not do what it should.
    #[error("the cryptography failed")]
    Crypto(#[from] CryptoError),
    /// A task ended before its work was done.
    #[error("a background task ended early")]
    Interrupted,
}
