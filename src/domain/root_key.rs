//! What the database knows of a root key: never the key.

use pushvault_crypto::{Argon2Cost, KekId};

/// A root key as registered in the database.
#[derive(Debug, Clone)]
pub struct RootKeyRecord {
    /// Its fingerprint.
    pub kek_id: KekId,
    /// Where it comes from.
    pub origin: RootKeyOrigin,
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
}

impl RootKeyOrigin {
    /// The name as stored.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Passphrase { .. } => "passphrase",
        }
    }
}
