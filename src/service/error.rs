//! Why a use case was not carried out, and why the vault does not open.

use std::time::Duration;

use pushvault_crypto::CryptoError;

use crate::config::ConfigError;
use crate::domain::destruction::DestructionError;
use crate::domain::principal::Principal;
use crate::domain::recovery::RecoveryError;
use crate::domain::sid::AccountSid;
use crate::domain::validation::ValidationError;
use crate::kms::KmsError;
use crate::store::StoreError;
use crate::trail::TrailError;

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
    /// The precondition of the request (`If-Match`) does not hold. Nothing was changed.
    #[error("the precondition failed")]
    PreconditionFailed,
    /// The idempotency key was used before, for another request.
    #[error("the idempotency key belongs to another request")]
    IdempotencyKeyReused,
    /// The caller asked for too much. Nothing was looked at.
    #[error("too many requests")]
    TooManyRequests {
        /// Which limit it ran into.
        limit: Limit,
        /// When the next one will be let in.
        retry_after: Duration,
    },
    /// The database cannot serve now. Nothing was changed.
    #[error("the store is unavailable")]
    Unavailable(#[source] StoreError),
    /// The database did not confirm a commit: the change may or may not have been made.
    #[error("the outcome is unknown")]
    OutcomeUnknown(#[source] StoreError),
    /// The database refused what it should take, or holds what it should not.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// The key is not there any more, or not yet. Whoever sees it reads the keys again and tries once more; whoever sees it
    /// again and again has a row that names a key which does not exist. Nothing was changed.
    #[error("the account's keys lack the one that is needed")]
    StaleKeys,
    /// It cannot be done now: the text says why and what to do.
    #[error("{0}")]
    NotNow(String),
    /// The audit trail is not what it was: the text says in what, and what to do.
    #[error("{0}: run `pushvault audit verify`, and read docs/runbooks.md, \"The audit trail is not whole\"")]
    NotWhole(&'static str),
    /// The provider of the root key does not serve now. Nothing was changed.
    #[error("the key provider is unavailable")]
    KeyProvider(#[source] Box<KmsError>),
    /// The root key did not do what it should.
    #[error("the root key failed")]
    RootKey(#[source] Box<KmsError>),
    /// A key or ciphertext did not do what it should.
    #[error("the cryptography failed")]
    Crypto(#[from] CryptoError),
    /// Recovery cannot do what it was asked for.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// An account cannot be destroyed, or is.
    #[error(transparent)]
    Destruction(#[from] DestructionError),
    /// A text of the audit trail, or the trail itself, is not what it should be.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// A task ended before its work was done.
    #[error("a background task ended early")]
    Interrupted,
    /// The time for one request is over; what was begun may or may not have been done.
    #[error("the time for one request is over")]
    TimedOut,
}

/// A limit on how often a caller may ask.
#[derive(Debug)]
pub enum Limit {
    /// Requests of an address.
    Address,
    /// Requests of an account, by this caller.
    Account(Principal),
    /// Failed authentications.
    FailedAuthentications,
}

impl Limit {
    /// The name in the log.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Account(_) => "account",
            Self::FailedAuthentications => "failed_authentications",
        }
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::AllInUse => Self::Unavailable(error),
            StoreError::StaleKey => Self::StaleKeys,
            StoreError::CommitUnknown(_) => Self::OutcomeUnknown(error),
            StoreError::Refused(_) | StoreError::Malformed(_) => Self::Store(error),
        }
    }
}

impl From<KmsError> for VaultError {
    fn from(error: KmsError) -> Self {
        match error {
            KmsError::Crypto(error) => Self::Crypto(error),
            KmsError::Provider(_) => Self::KeyProvider(error.into()),
            error => Self::RootKey(error.into()),
        }
    }
}

impl From<OpenError> for VaultError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Kms(error) => error.into(),
            OpenError::Store(error) => error.into(),
            OpenError::Crypto(error) => error.into(),
            error @ OpenError::SigningKey(_) => Self::NotNow(error.to_string()),
            OpenError::Config(_) | OpenError::SchemaBehind(_) | OpenError::SchemaAltered(_) => Self::Interrupted,
        }
    }
}

/// Why the vault does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The schema lacks migrations that this binary needs.
    #[error("the database schema is {0} migration(s) behind this binary: run `pushvault migrate` first")]
    SchemaBehind(usize),
    /// A migration was applied with another text, or in part.
    #[error(
        "migration {0} in the database is not the one that this binary has, or did not finish: restore a backup, or \
         use the binary that belongs to this database"
    )]
    SchemaAltered(i64),
    /// There is no root key, or not the right one.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// The key that signs, and authenticates events, is not the one that was stored.
    #[error(
        "the signing key {0} does not unwrap here: its row in signing_keys was changed, or comes from another deployment; \
         restore the row from a backup"
    )]
    SigningKey(String),
    /// The database does not answer.
    #[error("cannot open the vault")]
    Store(#[from] StoreError),
    /// The operating system gave no randomness, or Argon2 no memory.
    #[error("cannot prepare the authentication")]
    Crypto(#[from] CryptoError),
}
