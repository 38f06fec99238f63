//! Padding, so that a ciphertext's length tells a step and not a size.

use zeroize::Zeroizing;

use crate::error::CryptoError;

/// A padded plaintext is a multiple of this many bytes. One step holds every usual secret: a PEM
/// RSA key of 4096 bits or an elliptic one, a service account's JSON, a server key.
pub(crate) const STEP: usize = 4096;

/// The longest padded plaintext, in bytes: a fence far above any certificate or key.
pub(crate) const MAX_PADDED_LENGTH: usize = 16 * STEP;

/// The longest plaintext, in bytes.
pub(crate) const MAX_LENGTH: usize = MAX_PADDED_LENGTH - PREFIX_LENGTH;

/// The length of the length.
const PREFIX_LENGTH: usize = 4;

/// Pads a plaintext.
///
/// Formula: `u32_be(len(plaintext)) ‖ plaintext ‖ 0…0`, with the fewest zeros that reach a multiple
/// of 4096 bytes. Limits: at most 65 532 bytes of plaintext.
pub(crate) fn pad(plaintext: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let padded_length = padded_length(plaintext.len());
    if padded_length > MAX_PADDED_LENGTH {
        return Err(CryptoError::PlaintextLength);
    }
    let prefix = u32::try_from(plaintext.len())
        .map_err(|_| CryptoError::PlaintextLength)?
        .to_be_bytes();
    let mut padded = Zeroizing::new(Vec::with_capacity(padded_length));
    padded.extend_from_slice(&prefix);
    padded.extend_from_slice(plaintext);
    padded.resize(padded_length, 0);
    Ok(padded)
}

/// Takes the padding off, strictly: the only input accepted is one that [`pad`] could have made.
///
/// Called on authenticated bytes only. A refusal therefore means that whoever sealed them did not
/// follow the format, and tells a forger nothing.
pub(crate) fn unpad(padded: &[u8]) -> Result<&[u8], CryptoError> {
    let (prefix, rest) = padded
        .split_first_chunk::<PREFIX_LENGTH>()
        .ok_or(CryptoError::MalformedEnvelope)?;
    let length = usize::try_from(u32::from_be_bytes(*prefix)).map_err(|_| CryptoError::MalformedEnvelope)?;
    let (plaintext, zeros) = rest.split_at_checked(length).ok_or(CryptoError::MalformedEnvelope)?;
    if padded.len() != padded_length(length) || zeros.iter().any(|&byte| byte != 0) {
        return Err(CryptoError::MalformedEnvelope);
    }
    Ok(plaintext)
}

/// Whether a ciphertext of this length can hold a padded plaintext.
pub(crate) fn is_padded_length(length: usize) -> bool {
    length > 0 && length <= MAX_PADDED_LENGTH && length.is_multiple_of(STEP)
}

fn padded_length(plaintext_length: usize) -> usize {
    plaintext_length
        .saturating_add(PREFIX_LENGTH)
        .checked_next_multiple_of(STEP)
        .unwrap_or(usize::MAX)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_at_the_edges_of_a_step() {
        for (plaintext, padded) in [(0, 4096), (1, 4096), (4092, 4096), (4093, 8192), (8188, 8192)] {
            assert_eq!(pad(&vec![1; plaintext]).unwrap().len(), padded);
        }
    }

    #[test]
    fn the_longest_plaintext_is_accepted_and_one_byte_more_is_not() {
        assert_eq!(MAX_LENGTH, 65_532);
        assert_eq!(pad(&vec![1; 65_532]).unwrap().len(), MAX_PADDED_LENGTH);
        assert_eq!(pad(&vec![1; 65_533]).err(), Some(CryptoError::PlaintextLength));
    }

    #[test]
    fn padding_that_is_not_zero_is_refused() {
        for position in 4 + 5..STEP {
            let mut padded = pad(b"token").unwrap();
            *padded.get_mut(position).unwrap() = 1;
            assert_eq!(unpad(&padded), Err(CryptoError::MalformedEnvelope));
        }
    }

    #[test]
    fn more_padding_than_needed_is_refused() {
        let mut padded = pad(b"token").unwrap();
        padded.resize(2 * STEP, 0);
        assert_eq!(unpad(&padded), Err(CryptoError::MalformedEnvelope));
    }

    #[test]
    fn a_length_beyond_the_input_is_refused() {
        for length in [4093_u32, 4096, u32::MAX] {
            let mut padded = vec![0; STEP];
            padded.splice(..4, length.to_be_bytes());
            assert_eq!(unpad(&padded), Err(CryptoError::MalformedEnvelope));
        }
    }

    proptest! {
        #[test]
        fn what_was_padded_comes_back(plaintext in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let padded = pad(&plaintext).unwrap();
            prop_assert!(is_padded_length(padded.len()));
            prop_assert_eq!(unpad(&padded).unwrap(), plaintext.as_slice());
        }

        #[test]
        fn garbage_is_refused_or_is_exactly_what_pad_makes(
            length in 0_u32..1100,
            tail in proptest::collection::vec(0_u8..2, 0..2100),
        ) {
            let garbage = [length.to_be_bytes().to_vec(), tail].concat();
            if let Ok(plaintext) = unpad(&garbage) {
                let padded = pad(plaintext).unwrap();
                prop_assert_eq!(padded.as_slice(), garbage.as_slice());
            }
        }
    }
}
