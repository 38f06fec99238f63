//! The copy of an account key for the day on which the root key is lost.

use std::fmt;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{
    age::{Identity, Recipient},
    context::AccountKeyContext,
    encoding::Fields,
    error::CryptoError,
    key::AccountKey,
};

/// To whom account keys are encrypted beside the root key: the public half of a key pair whose private half is kept
/// offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryRecipient(Recipient);

/// The private half of a recovery key pair.
pub struct RecoveryKey(Identity);

impl RecoveryRecipient {
    /// Reads a recipient of age: `age1` and 58 characters, in lower case.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        Recipient::parse(text).map(Self)
    }

    /// Writes it in the form that [`Self::parse`] reads.
    pub fn encode(&self) -> Result<String, CryptoError> {
        self.0.encode()
    }

    /// Encrypts an account key to this recipient, together with the place that it belongs to.
    ///
    /// Formula: `age(recipient, fields of the context ‖ field(account key))`; see `docs/crypto.md`.
    /// Limits: it shows nobody who wrote it, so a copy is believed only when what is sealed under
    /// the key opens.
    pub fn wrap(&self, key: &AccountKey, context: &AccountKeyContext<'_>) -> Result<Vec<u8>, CryptoError> {
        self.encrypt(context.recovery_copy()?.bytes(key.expose()))
    }

    /// Encrypts fields that hold a key, and wipes them.
    pub(crate) fn encrypt(&self, fields: Fields) -> Result<Vec<u8>, CryptoError> {
        self.0.encrypt(&Zeroizing::new(fields.into_bytes()))
    }
}

impl RecoveryKey {
    /// Draws a key pair from the operating system.
    pub fn generate() -> Result<Self, CryptoError> {
        Identity::generate().map(Self)
    }

    /// Reads an identity of age: `AGE-SECRET-KEY-1` and 58 characters.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        Identity::parse(text).map(Self)
    }

    /// Writes it in the form that [`Self::parse`] and every program of age read.
    pub fn encode(&self) -> Result<SecretString, CryptoError> {
        self.0.encode()
    }

    /// The public half.
    #[must_use]
    pub fn recipient(&self) -> RecoveryRecipient {
        RecoveryRecipient(self.0.recipient())
    }

    /// Opens what [`RecoveryRecipient::wrap`] made for this key pair and the same place.
    ///
    /// A copy that was made for another place is [`CryptoError::WrongPlace`].
    pub fn unwrap(&self, copy: &[u8], context: &AccountKeyContext<'_>) -> Result<AccountKey, CryptoError> {
        let plaintext = self.decrypt(copy)?;
        let place = context.recovery_copy()?;
        let key = plaintext
            .strip_prefix(place.as_bytes())
            .ok_or(CryptoError::WrongPlace)?
            .strip_prefix(&crate::encoding::length_prefix(&[0; AccountKey::LENGTH]))
            .ok_or(CryptoError::MalformedRecoveryCopy)?;
        AccountKey::from_slice(key)
    }

    /// Decrypts what [`RecoveryRecipient::encrypt`] made.
    pub(crate) fn decrypt(&self, copy: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.0.decrypt(copy)
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RecoveryKey([REDACTED])")
    }
}
