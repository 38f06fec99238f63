//! Offline recovery recipients: what the database knows of them.

use time::OffsetDateTime;

use super::sid::AccountSid;

/// A recovery recipient as registered in the database.
#[derive(Debug, Clone)]
pub struct RecoveryRecipientRecord {
    /// The public half of the key pair, as age writes it.
    pub recipient: String,
    /// What it is for, at present.
    pub state: RecoveryRecipientState,
    /// When it was registered.
    pub date_created: OffsetDateTime,
    /// How many account keys are encrypted to it.
    pub account_keys: i64,
}

/// What a recovery recipient is for. Each state leads to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryRecipientState {
    /// Every account key is encrypted to it.
    Primary,
    /// It was replaced, and account keys are still encrypted to it.
    Previous,
    /// No account key is encrypted to it any more. Copies of the database from before are another matter.
    Retired,
    /// Whoever kept the private half says that it is destroyed.
    Destroyed,
}

impl RecoveryRecipientState {
    const ALL: [Self; 4] = [Self::Primary, Self::Previous, Self::Retired, Self::Destroyed];

    /// The name as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Previous => "previous",
            Self::Retired => "retired",
            Self::Destroyed => "destroyed",
        }
    }

    /// The state with that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Why recovery cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// There is a recipient already, and all account keys are encrypted to it.
    #[error(
        "recovery is set up, for the recipient {0}: to replace its key pair by a new one, say `pushvault recovery init --replace`"
    )]
    AlreadySetUp(String),
    /// There is no recipient.
    #[error("recovery is not set up in this database: no account key is encrypted to a recovery recipient")]
    NotSetUp,
    /// The key belongs to none of the recipients that account keys are encrypted to.
    #[error(
        "wrong recovery key: it is the private half of {found}, and the account keys are encrypted to {expected}; take the \
         private half of that one"
    )]
    WrongKey {
        /// To whom the account keys are encrypted.
        expected: String,
        /// To whom this key belongs.
        found: String,
    },
    /// Not every account key can be had back.
    #[error(
        "{count} account key(s) cannot be had back with this recovery key; the first is version {version} of account \
         {account_sid}: {problem}. Nothing was changed. Look at all of them with `pushvault recovery verify`; to bring back the \
         others and leave these behind, say --incomplete"
    )]
    Incomplete {
        /// How many.
        count: usize,
        /// Of which account the first one is.
        account_sid: AccountSid,
        /// Which of its keys.
        version: i32,
        /// What is wrong with it.
        problem: String,
    },
    /// The new root key is none: it was in use here before.
    #[error(
        "the root key {kek_id} is {state} in this database: make a new one for the restored vault, and name it in [kek]"
    )]
    UsedRootKey {
        /// Its fingerprint.
        kek_id: String,
        /// Its state.
        state: &'static str,
    },
    /// The recipient cannot be said to be destroyed.
    #[error(
        "{0} is no retired recipient: `pushvault recovery status` lists them, and `pushvault recovery init --replace` makes the \
         present one retire"
    )]
    NotRetired(String),
}
