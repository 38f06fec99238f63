//! The one error of the kernel.

/// Why a cryptographic operation did not succeed.
///
/// No variant carries data, so neither `Debug` nor `Display` can hold a secret. A caller that
/// answers a peer should give the same answer for every variant; the difference is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The operating system gave no randomness.
    #[error("the operating system's random number generator failed")]
    Randomness,
    /// An envelope's header or a column has a shape that no format allows.
    #[error("the envelope is malformed")]
    MalformedEnvelope,
    /// The header is of a format or suite that this version does not know.
    #[error("the envelope's format or suite is not supported")]
    UnsupportedFormat,
    /// The unwrapped key, the context or the set of columns is not the one that was committed to.
    #[error("the envelope's key commitment does not match")]
    WrongCommitment,
    /// A tag did not verify: wrong key, wrong context or altered ciphertext.
    #[error("authenticated decryption failed")]
    Authentication,
    /// A key does not have the length it must have.
    #[error("a key has the wrong length")]
    KeyLength,
    /// A wrapped key does not have the length it must have.
    #[error("the wrapped key is malformed")]
    MalformedWrappedKey,
    /// A text is not a key id of the form `kek_` and 16 lower-case hexadecimal digits.
    #[error("the key id is malformed")]
    MalformedKekId,
    /// A text is not an X25519 recipient of age.
    #[error("the recipient is malformed: it is `age1` and 58 characters in lower case")]
    MalformedRecipient,
    /// A text is not an X25519 identity of age.
    #[error("the recovery key is malformed: it is `AGE-SECRET-KEY-1` and 58 characters")]
    MalformedIdentity,
    /// The copy of a key for a recovery recipient has a shape that is not written here.
    #[error("the recovery copy is malformed")]
    MalformedRecoveryCopy,
    /// The copy of a key for a recovery recipient was made for another deployment, account or version.
    #[error("the recovery copy belongs to another key")]
    WrongPlace,
    /// A context has an empty text field, which is always a caller's mistake.
    #[error("a field of the encryption context is empty")]
    MalformedContext,
    /// A plaintext is longer than the format allows.
    #[error("the plaintext is too long to be sealed")]
    PlaintextLength,
    /// The passphrase is empty or its salt too short.
    #[error("the passphrase is empty or its salt is too short")]
    PassphraseDerivation,
    /// An Argon2 cost is below what the algorithm takes or above this crate's limits.
    #[error("the Argon2 cost is out of range")]
    CostOutOfRange,
    /// The memory that Argon2 needs could not be had.
    #[error("there is not enough memory for Argon2")]
    OutOfMemory,
    /// A stored token hash is not an Argon2id PHC string as this crate writes it.
    #[error("the stored token hash is malformed")]
    MalformedTokenHash,
}
