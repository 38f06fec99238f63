//! Why there is no root key, or why it does not do what it should.

use std::path::PathBuf;

use pushvault_crypto::{CryptoError, KeyEncryptionKey};

use super::failure::ProviderError;

/// Why there is no root key. The texts name the thing and the remedy, never the key.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// No provider is configured.
    #[error(
        "no root key is configured: make one with `openssl rand -out root.key 32`, keep it with mode 0600 and a copy \
         in a safe place, and set PUSHVAULT__KEK__FILE to its path"
    )]
    NotConfigured,
    /// The file could not be read.
    #[error("cannot read the root key file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Every user of the machine could read the file.
    #[error("the root key file {} may be read by every user: run `chmod o-rwx` on it, and think about making a new key", .0.display())]
    WorldReadable(PathBuf),
    /// The file does not hold 32 bytes.
    #[error(
        "the root key file {} does not hold exactly {} bytes; a new one is made with `openssl rand -out FILE {}`",
        .0.display(), KeyEncryptionKey::LENGTH, KeyEncryptionKey::LENGTH
    )]
    WrongLength(PathBuf),
    /// The configured key is not the one that this database's account keys are wrapped under.
    #[error(
        "wrong root key: this database expects {expected} (provider {provider}), and the configured key is {found}; \
         configure the key that was in use before"
    )]
    WrongKey {
        /// The fingerprint of the key in use.
        expected: String,
        /// Its provider.
        provider: &'static str,
        /// The fingerprints of the configured keys.
        found: String,
    },
    /// The database does not know the key.
    #[error(
        "the root key {0} of [other_kek] is not known to this database: run `pushvault kek add` with the same settings \
         first, or take [other_kek] out"
    )]
    NotAdded(String),
    /// The passphrase gives none of the keys that the database knows.
    #[error(
        "wrong root key: the passphrase gives none of those that this database knows ({0}): configure the passphrase that was in \
         use before, or, if it is a new one, run `pushvault kek add` with it first"
    )]
    WrongPassphrase(String),
    /// The key was destroyed.
    #[error("the root key {0} was destroyed: take it out of the settings, and make a new one if one is needed")]
    Destroyed(String),
    /// What is to be unwrapped is wrapped under a key that is not configured.
    #[error(
        "an account key is wrapped under the root key {needed}, and configured is {found}: configure {needed} in [kek] or \
         [other_kek], or, if there is a primary key that all can be wrapped under, run `pushvault kek rewrap` where it is"
    )]
    Unknown {
        /// The fingerprint of the key that is needed.
        needed: String,
        /// The fingerprints of the configured keys.
        found: String,
    },
    /// The provider is set up in a way that it cannot be asked.
    #[error("the provider {provider} cannot be asked: {remedy}")]
    NoWay {
        /// Which one.
        provider: &'static str,
        /// What to do.
        remedy: String,
    },
    /// The provider's key is not one that the database knows.
    #[error(
        "wrong root key: this database expects one of {known}, and the configured key is {found}, which is {name} of \
         {provider}: configure the key that was in use before, or, if it is a new one, run `pushvault kek add` with it first"
    )]
    UnknownName {
        /// Its provider.
        provider: &'static str,
        /// What it is called there.
        name: String,
        /// Its id.
        found: String,
        /// The ids that the database knows.
        known: String,
    },
    /// The provider has another key of that name than it had.
    #[error(
        "wrong root key: {name} of {provider} is not the key that it was when it became {kek_id}: configure the provider \
         that has that key, or restore the key there; a new key needs a new name"
    )]
    AnotherKey {
        /// Its provider.
        provider: &'static str,
        /// What it is called there.
        name: String,
        /// The id that goes with the name.
        kek_id: String,
    },
    /// The provider did not do what it was asked.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The key could not be derived, or a wrapped key does not unwrap.
    #[error("the root key does not do")]
    Crypto(#[from] CryptoError),
}
