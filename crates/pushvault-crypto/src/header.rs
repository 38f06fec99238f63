//! The header of an envelope of format 1, as the column `dek_envelope` holds it.

use crate::{aead::WRAPPED_KEY_LENGTH, error::CryptoError};

/// The format this crate writes and reads.
pub(crate) const FORMAT: u8 = 1;

/// The suite this crate writes and reads: AES-256-GCM and an HKDF-SHA-256 commitment.
pub(crate) const SUITE: u8 = 1;

/// The length of a commitment in bytes.
pub(crate) const COMMITMENT_LENGTH: usize = 32;

/// What every header begins with.
const MAGIC: [u8; 2] = *b"PV";

/// A header, taken apart.
///
/// Formula: `"PV" ‖ 0x01 ‖ 0x01 ‖ u32_be(account key version) ‖ wrap nonce (12) ‖ wrapped DEK (32)
/// ‖ tag (16) ‖ commitment (32)`, 100 bytes.
pub(crate) struct Header {
    /// The version of the account key that wraps the DEK.
    pub(crate) account_key_version: u32,
    /// The DEK under that account key.
    pub(crate) wrapped_dek: [u8; WRAPPED_KEY_LENGTH],
    /// What the envelope commits to.
    pub(crate) commitment: [u8; COMMITMENT_LENGTH],
}

impl Header {
    /// Takes a header apart.
    ///
    /// The format is looked at before the length, because another format may have another length
    /// and deserves to be named for what it is.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, CryptoError> {
        let (magic, rest) = split::<2>(bytes)?;
        if *magic != MAGIC {
            return Err(CryptoError::MalformedEnvelope);
        }
        let (format_and_suite, rest) = split::<2>(rest)?;
        if *format_and_suite != [FORMAT, SUITE] {
            return Err(CryptoError::UnsupportedFormat);
        }
        let (account_key_version, rest) = split::<4>(rest)?;
        let (wrapped_dek, rest) = split::<WRAPPED_KEY_LENGTH>(rest)?;
        let (commitment, rest) = split::<COMMITMENT_LENGTH>(rest)?;
        if !rest.is_empty() {
            return Err(CryptoError::MalformedEnvelope);
        }
        Ok(Self {
            account_key_version: u32::from_be_bytes(*account_key_version),
            wrapped_dek: *wrapped_dek,
            commitment: *commitment,
        })
    }

    /// Puts a header together.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [
            MAGIC.as_slice(),
            &[FORMAT, SUITE],
            &self.account_key_version.to_be_bytes(),
            &self.wrapped_dek,
            &self.commitment,
        ]
        .concat()
    }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), CryptoError> {
    bytes.split_first_chunk::<N>().ok_or(CryptoError::MalformedEnvelope)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Vec<u8> {
        Header {
            account_key_version: 0x0102_0304,
            wrapped_dek: [0xAA; WRAPPED_KEY_LENGTH],
            commitment: [0xBB; COMMITMENT_LENGTH],
        }
        .to_bytes()
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let expected = [b"PV\x01\x01".as_slice(), &[1, 2, 3, 4], &[0xAA; 60], &[0xBB; 32]].concat();
        assert_eq!(sample(), expected);
        assert_eq!(expected.len(), 100);
    }

    #[test]
    fn one_byte_too_few_or_too_many_is_malformed() {
        let header = sample();
        for length in 0..header.len() {
            let parsed = Header::parse(header.get(..length).unwrap());
            assert_eq!(parsed.err(), Some(CryptoError::MalformedEnvelope));
        }
        let longer = [header, vec![0]].concat();
        let parsed = Header::parse(&longer);
        assert_eq!(parsed.err(), Some(CryptoError::MalformedEnvelope));
    }

    #[test]
    fn another_format_or_suite_is_unsupported_whatever_its_length() {
        for header in [b"PV\x02\x01".as_slice(), b"PV\x01\x02", b"PV\x00\x01 and more"] {
            let parsed = Header::parse(header);
            assert_eq!(parsed.err(), Some(CryptoError::UnsupportedFormat));
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_what_is_written(bytes in proptest::collection::vec(any::<u8>(), 96)) {
            let bytes = [b"PV\x01\x01".to_vec(), bytes].concat();
            prop_assert_eq!(Header::parse(&bytes).unwrap().to_bytes(), bytes);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Header::parse(&bytes);
        }
    }
}
