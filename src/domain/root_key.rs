//! What the database knows of a root key: never the key.

use pushvault_crypto::{Argon2Cost, KekId};

/// A root key as registered in the database.
#[derive(Debug, Clone)]
pub struct RootKeyRecord {
    /// Its fingerprint.
    pub kek_id: KekId,
    /// Where it comes from.
    pub origin: RootKeyOrigin,
    /// What it is for, at present.
    pub state: RootKeyState,
}

/// Where a root key comes from, with what is needed to get it again.
#[derive(Debug, Clone)]
pub enum RootKeyOrigin {
    /// A file.
    File,
    /// A passphrase, through Argon2id with this salt and cost.
    Passphrase {
        /// Random, made when the passphrase was first used.
        salt: Vec<u8>,
        /// As configured when the passphrase was first used.
        cost: Argon2Cost,
    },
    /// Another program, which keeps it to itself.
    External {
        /// Which one.
        provider: ExternalProvider,
        /// What the key is called there, for people.
        name: String,
        /// A seed that the key wrapped: that it unwraps shows that the key is the right one.
        wrapped_seed: Vec<u8>,
    },
}

/// A program that keeps root keys to itself and wraps with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalProvider {
    /// The Transit engine of a Vault or OpenBao.
    Transit,
    /// AWS KMS.
    AwsKms,
}

/// What a root key is for. Each state leads to the next one, and `Added` to `Retired` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootKeyState {
    /// Known, and nothing is wrapped under it yet.
    Added,
    /// Account keys are wrapped under it.
    Primary,
    /// It was the primary one. What is still wrapped under it can be unwrapped, and is to be wrapped anew.
    Previous,
    /// Nothing is wrapped under it any more.
    Retired,
    /// It is gone for good, and is not used again although it be there.
    Destroyed,
}

impl RootKeyOrigin {
    /// The name as stored.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Passphrase { .. } => "passphrase",
            Self::External { provider, .. } => provider.as_str(),
        }
    }
}

impl ExternalProvider {
    /// The name as stored and configured.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transit => "transit",
            Self::AwsKms => "aws-kms",
        }
    }

    /// The provider with that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Transit, Self::AwsKms]
            .into_iter()
            .find(|provider| provider.as_str() == name)
    }
}

impl RootKeyState {
    const ALL: [Self; 5] = [
        Self::Added,
        Self::Primary,
        Self::Previous,
        Self::Retired,
        Self::Destroyed,
    ];

    /// The name as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
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
