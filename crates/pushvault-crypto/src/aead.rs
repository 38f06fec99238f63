//! AES-256-GCM, and nothing that it does not need.
//!
//! A sealed byte string is `nonce (12) ‖ ciphertext ‖ tag (16)`.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use zeroize::Zeroizing;

use crate::{error::CryptoError, random, secret::Key256};

/// The length of a nonce in bytes.
pub(crate) const NONCE_LENGTH: usize = 12;

/// The length of a tag in bytes.
pub(crate) const TAG_LENGTH: usize = 16;

/// The length of a sealed 256-bit key in bytes.
pub(crate) const WRAPPED_KEY_LENGTH: usize = NONCE_LENGTH + Key256::LENGTH + TAG_LENGTH;

/// Encrypts and authenticates `plaintext`, and authenticates `aad` with it.
///
/// Formula: `nonce ‖ GCM-AE(key, nonce, plaintext, aad)` with a nonce drawn for this call.
/// Standard: NIST SP 800-38D, 96-bit random nonces (section 8.2.2), 128-bit tags. Limits: at most
/// 2^32 calls per key (section 8.3); GCM does not commit to its key, which is why an envelope
/// carries a commitment of its own.
pub(crate) fn seal(key: &Key256, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut nonce = [0; NONCE_LENGTH];
    random::fill(&mut nonce)?;
    seal_with_nonce(key, &nonce, aad, plaintext)
}

/// Verifies and decrypts what [`seal`] made; nothing is decrypted before the tag has verified.
///
/// Formula: `GCM-AD(key, nonce, ciphertext, aad, tag)`. Standard: NIST SP 800-38D. Limits: all
/// failures, too short an input included, are one error that says nothing more.
pub(crate) fn open(key: &Key256, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let (nonce, rest) = sealed
        .split_first_chunk::<NONCE_LENGTH>()
        .ok_or(CryptoError::Authentication)?;
    let (ciphertext, tag) = rest
        .split_last_chunk::<TAG_LENGTH>()
        .ok_or(CryptoError::Authentication)?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    Aes256Gcm::new(key.expose().into())
        .decrypt_inout_detached(nonce.into(), aad, buffer.as_mut_slice().into(), tag.into())
        .map_err(|_| CryptoError::Authentication)?;
    Ok(buffer)
}

/// Seals a key under another key. Formula, standard and limits are those of [`seal`].
pub(crate) fn wrap_key(wrapping: &Key256, aad: &[u8], key: &Key256) -> Result<[u8; WRAPPED_KEY_LENGTH], CryptoError> {
    seal(wrapping, aad, key.expose())?
        .try_into()
        .map_err(|_| CryptoError::KeyLength)
}

/// Opens what [`wrap_key`] made. Formula, standard and limits are those of [`open`].
pub(crate) fn unwrap_key(
    wrapping: &Key256,
    aad: &[u8],
    wrapped: &[u8; WRAPPED_KEY_LENGTH],
) -> Result<Key256, CryptoError> {
    Key256::from_slice(&open(wrapping, aad, wrapped)?)
}

/// [`seal`] with the nonce given, for it and for known-answer tests only: a nonce that comes
/// twice under one key gives away the authentication key.
fn seal_with_nonce(
    key: &Key256,
    nonce: &[u8; NONCE_LENGTH],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    // The buffer is wiped until its content is a ciphertext, and has its final size from the
    // start, so that it never moves and leaves a copy of the plaintext behind.
    let length = NONCE_LENGTH + plaintext.len() + TAG_LENGTH;
    let mut sealed = Zeroizing::new(Vec::with_capacity(length));
    sealed.extend_from_slice(nonce);
    sealed.extend_from_slice(plaintext);
    let (_, buffer) = sealed
        .split_first_chunk_mut::<NONCE_LENGTH>()
        .ok_or(CryptoError::PlaintextLength)?;
    let tag = Aes256Gcm::new(key.expose().into())
        .encrypt_inout_detached(nonce.into(), aad, buffer.into())
        .map_err(|_| CryptoError::PlaintextLength)?;
    sealed.extend_from_slice(&tag);
    Ok(std::mem::take(&mut *sealed))
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
    fn agrees_with_every_wycheproof_vector_of_its_sizes() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../tests/data/wycheproof/aes_256_gcm_iv_96.json")).unwrap();
        let tests = file["tests"].as_array().unwrap();
        let mut refused = 0;
        for test in tests {
            let bytes = |name: &str| HEXLOWER.decode(test[name].as_str().unwrap().as_bytes()).unwrap();
            let key = Key256::from_slice(&bytes("key")).unwrap();
            let nonce: [u8; NONCE_LENGTH] = bytes("iv").try_into().unwrap();
            let sealed = [nonce.to_vec(), bytes("ct"), bytes("tag")].concat();
            let opened = open(&key, &bytes("aad"), &sealed);
            if test["result"] == "valid" {
                assert_eq!(*opened.unwrap(), bytes("msg"), "tcId {}", test["tcId"]);
                let again = seal_with_nonce(&key, &nonce, &bytes("aad"), &bytes("msg")).unwrap();
                assert_eq!(again, sealed, "tcId {}", test["tcId"]);
            } else {
                assert_eq!(opened.err(), Some(CryptoError::Authentication));
                refused += 1;
            }
        }
        assert_eq!((tests.len(), refused), (66, 27), "the file of vectors has changed");
    }

    #[test]
    fn input_too_short_to_hold_nonce_and_tag_does_not_open() {
        let key = Key256::from_slice(&[7; 32]).unwrap();
        for length in 0..NONCE_LENGTH + TAG_LENGTH {
            let opened = open(&key, b"aad", &vec![0; length]);
            assert_eq!(opened.err(), Some(CryptoError::Authentication));
        }
    }

    #[test]
    fn the_buffer_of_a_seal_has_its_final_size_from_the_start() {
        let key = Key256::from_slice(&[7; 32]).unwrap();
        for length in [0, 1, 32, 4096] {
            let sealed = seal_with_nonce(&key, &[1; NONCE_LENGTH], b"aad", &vec![1; length]).unwrap();
            assert_eq!(sealed.capacity(), sealed.len(), "it has moved, or reserved too much");
        }
    }

    #[test]
    fn every_seal_draws_its_own_nonce() {
        let key = Key256::from_slice(&[7; 32]).unwrap();
        let one = seal(&key, b"aad", b"plaintext").unwrap();
        let other = seal(&key, b"aad", b"plaintext").unwrap();
        assert_ne!(one.first_chunk::<12>(), other.first_chunk::<12>());
        assert_ne!(one, other);
    }
}
