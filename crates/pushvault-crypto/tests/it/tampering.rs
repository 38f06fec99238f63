//! Altered, cut and invented bytes end in an error, never in a plaintext and never in a panic.

use proptest::prelude::*;
use pushvault_crypto::{AccountKey, CryptoError, Envelope, open, rewrap};

use crate::support::{COLUMNS, Place, column_mut, sealed};

fn failure(key: &AccountKey, envelope: &Envelope) -> Option<CryptoError> {
    open(key, &Place::sample().context(), envelope).err()
}

fn flip(envelope: &mut Envelope, column: &str, bit: usize) {
    column_mut(envelope, column).as_mut().unwrap()[bit / 8] ^= 1 << (bit % 8);
}

#[test]
fn no_bit_of_the_header_can_be_flipped() {
    let key = AccountKey::generate().unwrap();
    let envelope = sealed(&key, &Place::sample(), &["api_key"], "flip");
    assert_eq!(failure(&key, &envelope), None, "the control");
    for bit in 0..envelope.dek_envelope.len() * 8 {
        let mut flipped = envelope.clone();
        flipped.dek_envelope[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            0..2 => CryptoError::MalformedEnvelope,
            2..4 => CryptoError::UnsupportedFormat,
            4..68 => CryptoError::Authentication,
            _ => CryptoError::WrongCommitment,
        };
        assert_eq!(failure(&key, &flipped), Some(expected), "bit {bit}");
    }
}

#[test]
fn no_bit_of_a_column_can_be_flipped() {
    let key = AccountKey::generate().unwrap();
    let mut envelope = sealed(&key, &Place::sample(), &["secret"], "flip");
    for bit in 0..(12 + 4096 + 16) * 8 {
        flip(&mut envelope, "secret", bit);
        let flipped = failure(&key, &envelope);
        assert_eq!(flipped, Some(CryptoError::Authentication), "bit {bit}");
        flip(&mut envelope, "secret", bit);
    }
    assert_eq!(failure(&key, &envelope), None, "the control");
}

#[test]
fn one_bad_column_of_four_keeps_all_four_closed() {
    let key = AccountKey::generate().unwrap();
    let mut envelope = sealed(&key, &Place::sample(), &COLUMNS, "flip");
    for column in COLUMNS {
        for bit in [0, 12 * 8, (12 + 4096) * 8, (12 + 4096 + 16) * 8 - 1] {
            flip(&mut envelope, column, bit);
            let flipped = failure(&key, &envelope);
            assert_eq!(flipped, Some(CryptoError::Authentication), "{column} bit {bit}");
            flip(&mut envelope, column, bit);
        }
    }
    assert_eq!(failure(&key, &envelope), None, "the control");
}

#[test]
fn a_header_of_any_other_length_is_refused() {
    let key = AccountKey::generate().unwrap();
    let envelope = sealed(&key, &Place::sample(), &["api_key"], "cut");
    for length in (0..200).filter(|length| *length != 100) {
        let mut cut = envelope.clone();
        cut.dek_envelope.resize(length, 0);
        let failure = failure(&key, &cut);
        assert_eq!(failure, Some(CryptoError::MalformedEnvelope), "{length} bytes");
        assert_eq!(cut.account_key_version(), Err(CryptoError::MalformedEnvelope));
    }
}

#[test]
fn a_column_of_any_other_length_is_refused() {
    let key = AccountKey::generate().unwrap();
    let envelope = sealed(&key, &Place::sample(), &["api_key"], "cut");
    let stored = 12 + 4096 + 16;
    for length in (0..2 * stored).filter(|length| *length != stored) {
        let mut cut = envelope.clone();
        cut.api_key.as_mut().unwrap().resize(length, 0);
        // A length that some plaintext has passes the look at the shape and fails at the tag.
        let expected = if length == 12 + 8192 + 16 {
            CryptoError::Authentication
        } else {
            CryptoError::MalformedEnvelope
        };
        assert_eq!(failure(&key, &cut), Some(expected), "{length} bytes");
    }
}

#[test]
fn a_column_above_the_limit_is_refused_by_its_length() {
    let key = AccountKey::generate().unwrap();
    let mut envelope = sealed(&key, &Place::sample(), &["api_key"], "long");
    envelope.api_key = Some(vec![0; 12 + 17 * 4096 + 16]);
    assert_eq!(failure(&key, &envelope), Some(CryptoError::MalformedEnvelope));
}

proptest! {
    #[test]
    fn garbage_is_an_error(
        header in proptest::collection::vec(any::<u8>(), 0..150),
        columns in proptest::array::uniform4(proptest::option::of(
            proptest::collection::vec(any::<u8>(), 0..1200),
        )),
    ) {
        let key = AccountKey::generate().unwrap();
        let [certificate, private_key, api_key, secret] = columns;
        let envelope = Envelope { dek_envelope: header, certificate, private_key, api_key, secret };
        prop_assert!(failure(&key, &envelope).is_some());
        let rewrapped = rewrap(&key, &key, 1, &Place::sample().context(), &envelope);
        prop_assert!(rewrapped.is_err());
    }

    #[test]
    fn garbage_of_the_right_shape_is_an_error(
        tail in proptest::collection::vec(any::<u8>(), 96),
        column in proptest::collection::vec(any::<u8>(), 12 + 4096 + 16),
    ) {
        let key = AccountKey::generate().unwrap();
        let envelope = Envelope {
            dek_envelope: [b"PV\x01\x01".to_vec(), tail].concat(),
            certificate: None,
            private_key: None,
            api_key: None,
            secret: Some(column),
        };
        prop_assert_eq!(failure(&key, &envelope), Some(CryptoError::Authentication));
    }

    #[test]
    fn any_bytes_overwritten_anywhere_are_noticed(
        position in 0_usize..100 + 1052,
        bytes in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let key = AccountKey::generate().unwrap();
        let envelope = sealed(&key, &Place::sample(), &["secret"], "overwrite");
        let mut row = [envelope.dek_envelope.clone(), envelope.secret.clone().unwrap()].concat();
        for (target, byte) in row[position..].iter_mut().zip(bytes) {
            *target = byte;
        }
        let (header, column) = row.split_at(100);
        let overwritten = Envelope {
            dek_envelope: header.to_vec(),
            secret: Some(column.to_vec()),
            ..envelope.clone()
        };
        prop_assert_eq!(failure(&key, &overwritten).is_some(), overwritten != envelope);
    }
}
