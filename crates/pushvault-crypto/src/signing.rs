//! Keys that sign what is to be believed outside: statements of destruction, and whatever else leaves the vault as proof.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signer as _, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::{
    aead,
    context::SigningKeyContext,
    encoding::Fields,
    error::CryptoError,
    key::{KeyEncryptionKey, WrappedKey},
    mac::MacKey,
    secret::Key256,
};

/// The domain tag of the key that authenticates audit events.
const AUDIT_MAC_TAG: &str = "pushvault/v1/audit-mac";

/// The byte that stands for Ed25519 in a signed note.
const NOTE_ALGORITHM: u8 = 1;

/// What stands before the bytes of an Ed25519 public key in a `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key that signs: the seed of an Ed25519 key pair.
pub struct SigningKey(Key256);

/// The public half of a [`SigningKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignaturePublicKey([u8; 32]);

impl SigningKey {
    /// Draws a key from the operating system.
    pub fn generate() -> Result<Self, CryptoError> {
        Key256::generate().map(Self)
    }

    /// Copies the seed out of exactly 32 bytes; any other length is [`CryptoError::KeyLength`]. Wiping the source is the
    /// caller's part.
    pub fn from_slice(seed: &[u8]) -> Result<Self, CryptoError> {
        Key256::from_slice(seed).map(Self)
    }

    /// Lends the seed.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    pub(crate) const fn of(seed: Key256) -> Self {
        Self(seed)
    }

    pub(crate) fn as_key(&self) -> &Key256 {
        &self.0
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> SignaturePublicKey {
        SignaturePublicKey(self.pair().verifying_key().to_bytes())
    }

    /// The key that authenticates audit events from the moment that they are written to the moment that a signed tree has
    /// them.
    ///
    /// Formula: `HKDF-SHA-256(seed, info = field("pushvault/v1/audit-mac"))`, 64 bytes. Standard: RFC 5869. Ed25519 takes
    /// the same seed through SHA-512 alone, so neither use tells anything of the other.
    pub fn audit_mac_key(&self) -> Result<MacKey, CryptoError> {
        MacKey::derive(&self.0, Fields::tagged(AUDIT_MAC_TAG).as_bytes())
    }

    /// Signs a text as a signed note: the text, an empty line, and a line with the signature.
    ///
    /// Formula: `text ‖ "\n— " ‖ name ‖ " " ‖ base64(key hash ‖ Ed25519(text)) ‖ "\n"`. Standard:
    /// the C2SP specification `signed-note`; RFC 8032. Limits: the text ends with a line feed, and
    /// the name has no blank and no plus sign.
    pub fn sign_note(&self, name: &str, text: &str) -> Result<String, CryptoError> {
        if !text.ends_with('\n') || name.is_empty() || name.contains([' ', '+', '\n']) {
            return Err(CryptoError::MalformedContext);
        }
        let signature = self.pair().sign(text.as_bytes());
        let signed = [self.public_key().note_hash(name).as_slice(), &signature.to_bytes()].concat();
        Ok(format!("{text}\n\u{2014} {name} {}\n", BASE64.encode(&signed)))
    }

    fn pair(&self) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(self.0.expose())
    }
}

impl SignaturePublicKey {
    /// Takes the 32 bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id of the key under a name: `name+hash`, as the verifier keys of signed notes begin.
    #[must_use]
    pub fn id(&self, name: &str) -> String {
        format!("{name}+{}", HEXLOWER.encode(&self.note_hash(name)))
    }

    /// The verifier key under a name, as programs that verify signed notes take it: `name+hash+base64(01 ‖ key)`.
    ///
    /// Standard: the C2SP specification `signed-note`.
    #[must_use]
    pub fn verifier_key(&self, name: &str) -> String {
        let key = [[NOTE_ALGORITHM].as_slice(), &self.0].concat();
        format!("{}+{}", self.id(name), BASE64.encode(&key))
    }

    /// Reads what [`Self::verifier_key`] writes: the name and the key.
    pub fn parse_verifier_key(text: &str) -> Result<(&str, Self), CryptoError> {
        let (name, rest) = text.split_once('+').ok_or(CryptoError::KeyLength)?;
        let (_, encoded) = rest.split_once('+').ok_or(CryptoError::KeyLength)?;
        let key = BASE64.decode(encoded.as_bytes()).map_err(|_| CryptoError::KeyLength)?;
        let key = key
            .strip_prefix(&[NOTE_ALGORITHM])
            .and_then(|key| <[u8; 32]>::try_from(key).ok())
            .map(Self)
            .ok_or(CryptoError::KeyLength)?;
        if key.verifier_key(name) == text {
            Ok((name, key))
        } else {
            Err(CryptoError::Authentication)
        }
    }

    /// The key as a `SubjectPublicKeyInfo` in base64: what stands between the lines of a PEM file (RFC 8410).
    #[must_use]
    pub fn spki(&self) -> String {
        BASE64.encode(&[SPKI_PREFIX.as_slice(), &self.0].concat())
    }

    /// Verifies a note that [`SigningKey::sign_note`] signed, and returns its text.
    ///
    /// Standard: as there; the signature is verified strictly (no small order, one encoding).
    pub fn verify_note<'a>(&self, name: &str, note: &'a str) -> Result<&'a str, CryptoError> {
        let (text, line) = note.rsplit_once("\n\u{2014} ").ok_or(CryptoError::Authentication)?;
        let signature = line
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(' ')?.strip_suffix('\n'))
            .and_then(|signature| BASE64.decode(signature.as_bytes()).ok())
            .ok_or(CryptoError::Authentication)?;
        let signature = signature
            .strip_prefix(self.note_hash(name).as_slice())
            .and_then(|signature| ed25519_dalek::Signature::from_slice(signature).ok())
            .ok_or(CryptoError::Authentication)?;
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(text.as_bytes(), &signature))
            .map_err(|_| CryptoError::Authentication)?;
        Ok(text)
    }

    /// `SHA-256(name ‖ "\n" ‖ 01 ‖ key)`, the first 4 bytes.
    fn note_hash(&self, name: &str) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(name)
            .chain_update([b'\n', NOTE_ALGORITHM])
            .chain_update(self.0)
            .finalize();
        let mut hash = [0; 4];
        for (byte, of_digest) in hash.iter_mut().zip(digest) {
            *byte = of_digest;
        }
        hash
    }
}

impl KeyEncryptionKey {
    /// Wraps a signing key for the place that `context` names.
    ///
    /// Formula: `nonce ‖ GCM-AE(KEK, nonce, seed, aad)`, 60 bytes. Standard and limits are those of
    /// [`KeyEncryptionKey::wrap_account_key`]; the domain tag of the AAD is another one, so that
    /// neither key passes for the other.
    pub fn wrap_signing_key(
        &self,
        key: &SigningKey,
        context: &SigningKeyContext<'_>,
    ) -> Result<WrappedKey, CryptoError> {
        let aad = context.aad(&self.id())?;
        aead::wrap_key(self.as_key(), aad.as_bytes(), &key.0).map(WrappedKey::from_bytes)
    }

    /// Unwraps a signing key that [`Self::wrap_signing_key`] wrapped for the same place.
    pub fn unwrap_signing_key(
        &self,
        wrapped: &WrappedKey,
        context: &SigningKeyContext<'_>,
    ) -> Result<SigningKey, CryptoError> {
        let aad = context.aad(&self.id())?;
        aead::unwrap_key(self.as_key(), aad.as_bytes(), wrapped.bytes()).map(SigningKey)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey([REDACTED])")
    }
}
