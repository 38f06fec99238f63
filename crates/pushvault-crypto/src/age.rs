//! One short plaintext for one X25519 recipient, in the file format age v1.
//!
//! Nothing else of age is here: no second recipient, no passphrase, no armour, no second chunk. What
//! this writes every implementation of age reads; what it reads is what it writes, byte for byte.
//! Standard: the C2SP specification `age` (<https://c2sp.org/age>), of 2025.

use bech32::{Bech32, Hrp};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use data_encoding::BASE64_NOPAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use secrecy::SecretString;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

use crate::{error::CryptoError, random, secret::Key256};

/// What a recipient begins with.
const RECIPIENT_PREFIX: &str = "age";

/// What an identity begins with, in lower case; it is written in upper case.
const IDENTITY_PREFIX: &str = "age-secret-key-";

/// The header up to the ephemeral share.
const INTRODUCTION: &str = "age-encryption.org/v1\n-> X25519 ";

/// The line of the header that ends with the MAC. The MAC covers it up to the dashes.
const FOOTER: &str = "\n--- ";

/// The HKDF info of the key that wraps the file key.
const WRAP_INFO: &[u8] = b"age-encryption.org/v1/X25519";

/// The length of a file key in bytes.
const FILE_KEY_LENGTH: usize = 16;

/// The length of a ChaCha20-Poly1305 tag in bytes.
const TAG_LENGTH: usize = 16;

/// The nonce of the only chunk of a payload: counter zero, and the mark of the last chunk.
const LAST_CHUNK: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// The public half of a key pair: to whom a file is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipient(PublicKey);

/// The private half.
pub(crate) struct Identity(StaticSecret);

impl Recipient {
    /// Reads `age1…`, in lower case alone.
    pub(crate) fn parse(text: &str) -> Result<Self, CryptoError> {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(CryptoError::MalformedRecipient);
        }
        let key = decode(text, RECIPIENT_PREFIX).ok_or(CryptoError::MalformedRecipient)?;
        Ok(Self(PublicKey::from(*key)))
    }

    /// Writes it as `age1…`.
    pub(crate) fn encode(&self) -> Result<String, CryptoError> {
        let prefix = Hrp::parse(RECIPIENT_PREFIX).map_err(|_| CryptoError::MalformedRecipient)?;
        bech32::encode_lower::<Bech32>(prefix, self.0.as_bytes()).map_err(|_| CryptoError::MalformedRecipient)
    }

    /// Encrypts a plaintext of at most 64 KiB.
    ///
    /// Formula: `header ‖ nonce (16) ‖ ChaCha20-Poly1305(payload key, plaintext)` as specified in
    /// `docs/crypto.md`, with a file key, an ephemeral key and a nonce that are drawn for this call.
    /// Standard: age v1; RFC 7748, RFC 8439, RFC 5869. Limits: age authenticates the file and not
    /// its sender; whoever has the recipient can write one.
    pub(crate) fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut file_key = Zeroizing::new([0; FILE_KEY_LENGTH]);
        random::fill(file_key.as_mut_slice())?;
        let ephemeral = draw()?;
        let share = PublicKey::from(&ephemeral);
        // Its final size from the start: a buffer that moves leaves a copy behind.
        let mut wrapped = Zeroizing::new(Vec::with_capacity(FILE_KEY_LENGTH + TAG_LENGTH));
        wrapped.extend_from_slice(file_key.as_slice());
        wrap_cipher(&ephemeral, &self.0, &share, &self.0)?
            .encrypt_in_place(&[0; 12].into(), b"", &mut *wrapped)
            .map_err(|_| CryptoError::PlaintextLength)?;

        let mut file = header(share.as_bytes(), &wrapped);
        let mac = header_mac(file_key.as_slice(), &file)?.finalize().into_bytes();
        file.extend_from_slice(format!(" {}\n", BASE64_NOPAD.encode(&mac)).as_bytes());
        let mut nonce = [0; 16];
        random::fill(&mut nonce)?;
        file.extend_from_slice(&nonce);
        let mut payload = Zeroizing::new(Vec::with_capacity(plaintext.len() + TAG_LENGTH));
        payload.extend_from_slice(plaintext);
        payload_cipher(file_key.as_slice(), &nonce)?
            .encrypt_in_place(&LAST_CHUNK.into(), b"", &mut *payload)
            .map_err(|_| CryptoError::PlaintextLength)?;
        file.extend_from_slice(&payload);
        Ok(file)
    }
}

impl Identity {
    /// Draws a key pair.
    pub(crate) fn generate() -> Result<Self, CryptoError> {
        draw().map(Self)
    }

    /// Reads `AGE-SECRET-KEY-1…`.
    pub(crate) fn parse(text: &str) -> Result<Self, CryptoError> {
        let key = decode(text, IDENTITY_PREFIX).ok_or(CryptoError::MalformedIdentity)?;
        Ok(Self(StaticSecret::from(*key)))
    }

    /// Writes it as `AGE-SECRET-KEY-1…`.
    pub(crate) fn encode(&self) -> Result<SecretString, CryptoError> {
        let prefix = Hrp::parse(IDENTITY_PREFIX).map_err(|_| CryptoError::MalformedIdentity)?;
        bech32::encode_upper::<Bech32>(prefix, self.0.as_bytes())
            .map(SecretString::from)
            .map_err(|_| CryptoError::MalformedIdentity)
    }

    /// The public half.
    pub(crate) fn recipient(&self) -> Recipient {
        Recipient(PublicKey::from(&self.0))
    }

    /// Opens what [`Recipient::encrypt`] made for this key pair.
    ///
    /// Another key pair and altered bytes are [`CryptoError::Authentication`]; a shape that is not
    /// written here is [`CryptoError::MalformedRecoveryCopy`]. Formula, standard and limits are
    /// those of [`Recipient::encrypt`].
    pub(crate) fn decrypt(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let File {
            authenticated,
            share,
            wrapped,
            mac,
            nonce,
            payload,
        } = File::parse(file).ok_or(CryptoError::MalformedRecoveryCopy)?;
        let share = PublicKey::from(share);
        let mut file_key = Zeroizing::new(wrapped);
        wrap_cipher(&self.0, &share, &share, &PublicKey::from(&self.0))?
            .decrypt_in_place(&[0; 12].into(), b"", &mut *file_key)
            .map_err(|_| CryptoError::Authentication)?;
        header_mac(&file_key, authenticated)?
            .verify_slice(&mac)
            .map_err(|_| CryptoError::Authentication)?;
        let mut plaintext = Zeroizing::new(payload.to_vec());
        payload_cipher(file_key.as_slice(), &nonce)?
            .decrypt_in_place(&LAST_CHUNK.into(), b"", &mut *plaintext)
            .map_err(|_| CryptoError::Authentication)?;
        Ok(plaintext)
    }
}

/// The parts of a file.
struct File<'a> {
    authenticated: &'a [u8],
    share: [u8; 32],
    wrapped: Vec<u8>,
    mac: Vec<u8>,
    nonce: [u8; 16],
    payload: &'a [u8],
}

impl<'a> File<'a> {
    fn parse(file: &'a [u8]) -> Option<Self> {
        let share_at = INTRODUCTION.len();
        let digits = BASE64_NOPAD.encode_len(32);
        let wrapped_at = share_at + digits + 1;
        let (share, wrapped) = (
            file.get(share_at..share_at + digits)?,
            file.get(wrapped_at..wrapped_at + digits)?,
        );
        let share: [u8; 32] = BASE64_NOPAD.decode(share).ok()?.try_into().ok()?;
        let wrapped = BASE64_NOPAD.decode(wrapped).ok()?;
        let header = header(&share, &wrapped);
        let rest = file.strip_prefix(header.as_slice())?.strip_prefix(b" ")?;
        let (mac, rest) = rest.split_at_checked(digits)?;
        let (nonce, payload) = rest.strip_prefix(b"\n")?.split_first_chunk::<16>()?;
        Some(Self {
            authenticated: file.get(..header.len())?,
            share,
            wrapped,
            mac: BASE64_NOPAD.decode(mac).ok()?,
            nonce: *nonce,
            payload,
        })
    }
}

/// The header up to the dashes, which is what the MAC covers.
fn header(share: &[u8; 32], wrapped: &[u8]) -> Vec<u8> {
    let (share, wrapped) = (BASE64_NOPAD.encode(share), BASE64_NOPAD.encode(wrapped));
    format!("{INTRODUCTION}{share}\n{wrapped}{}", FOOTER.trim_end_matches(' ')).into_bytes()
}

/// The cipher that wraps the file key: its key comes from both shares and what they agree on.
fn wrap_cipher(
    own: &StaticSecret,
    other: &PublicKey,
    ephemeral: &PublicKey,
    recipient: &PublicKey,
) -> Result<ChaCha20Poly1305, CryptoError> {
    let agreed = own.diffie_hellman(other);
    // A share of low order makes both sides agree on zero, whatever the keys are.
    if !agreed.was_contributory() {
        return Err(CryptoError::Authentication);
    }
    let salt = [ephemeral.to_bytes(), recipient.to_bytes()].concat();
    cipher(agreed.as_bytes(), &salt, WRAP_INFO)
}

fn payload_cipher(file_key: &[u8], nonce: &[u8; 16]) -> Result<ChaCha20Poly1305, CryptoError> {
    cipher(file_key, nonce, b"payload")
}

fn header_mac(file_key: &[u8], header: &[u8]) -> Result<Hmac<Sha256>, CryptoError> {
    let key = derive(file_key, b"", b"header")?;
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.expose()).map_err(|_| CryptoError::KeyLength)?;
    mac.update(header);
    Ok(mac)
}

fn cipher(ikm: &[u8], salt: &[u8], info: &[u8]) -> Result<ChaCha20Poly1305, CryptoError> {
    let key = derive(ikm, salt, info)?;
    Ok(ChaCha20Poly1305::new(key.expose().into()))
}

/// `HKDF-SHA-256(ikm, salt, info)`, 32 bytes. Standard: RFC 5869.
fn derive(ikm: &[u8], salt: &[u8], info: &[u8]) -> Result<Key256, CryptoError> {
    let (mut prk, hkdf) = Hkdf::<Sha256>::extract(Some(salt), ikm);
    prk.as_mut_slice().zeroize();
    Key256::fill_with(|key| hkdf.expand(info, key).map_err(|_| CryptoError::KeyLength))
}

fn draw() -> Result<StaticSecret, CryptoError> {
    let mut bytes = Zeroizing::new([0; 32]);
    random::fill(bytes.as_mut_slice())?;
    Ok(StaticSecret::from(*bytes))
}

/// The 32 bytes behind a prefix, under the checksum that age uses; never Bech32m.
fn decode(text: &str, prefix: &str) -> Option<Zeroizing<[u8; 32]>> {
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text).ok()?;
    if checked.hrp().to_lowercase() != prefix {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    let mut bytes = checked.byte_iter();
    for (place, byte) in key.iter_mut().zip(&mut bytes) {
        *place = byte;
    }
    (checked.byte_iter().len() == key.len()).then_some(key)
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn the_derivation_agrees_with_every_salted_wycheproof_vector() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../tests/data/wycheproof/hkdf_sha256_salt.json")).unwrap();
        let tests = file["tests"].as_array().unwrap();
        for test in tests {
            let bytes = |name: &str| HEXLOWER.decode(test[name].as_str().unwrap().as_bytes()).unwrap();
            let derived = derive(&bytes("ikm"), &bytes("salt"), &bytes("info")).unwrap();
            // What HKDF gives at greater length begins with what it gives at 32 bytes.
            assert_eq!(derived.expose(), &bytes("okm")[..32], "tcId {}", test["tcId"]);
        }
        assert_eq!(tests.len(), 45, "the file of vectors has changed");
    }
}
