//! AES-GCM alone does not bind a ciphertext to one key. The commitment does.

use pushvault_crypto::{CryptoError, Envelope, open};

use crate::{
    ghash::{Reader, collide},
    reference,
    support::{ACCOUNT_KEY_VERSION, Place, exposed, known_account_key, sealed},
};

const WRAP_NONCE: [u8; 12] = [0x11; 12];
const COLUMN_NONCE: [u8; 12] = [0x22; 12];
/// The set that holds `api_key` alone.
const API_KEY_SET: u8 = 4;
/// A column of one padding step.
const STEP: usize = 4096;
/// The block of the column that the forger gives up to make the tags meet.
const FREE_BLOCK: usize = 60;

const KEY_A: [u8; 32] = [0xA1; 32];
const KEY_B: [u8; 32] = [0xB2; 32];

const TEXT_A: &[u8; 16] = b"key that A reads";
const TEXT_B: &[u8; 16] = b"key that B reads";

/// An envelope without its commitment, made by somebody who knows two account keys.
pub(crate) struct Forgery {
    pub(crate) wrapped_dek: Vec<u8>,
    pub(crate) column: Vec<u8>,
    pub(crate) dek_a: [u8; 32],
    pub(crate) dek_b: [u8; 32],
}

impl Forgery {
    /// Makes one wrapped DEK that both account keys accept, and one column that both DEKs accept.
    pub(crate) fn make(place: &Place, key_a: &[u8; 32], key_b: &[u8; 32]) -> Self {
        let aad = reference::dek_aad(place, ACCOUNT_KEY_VERSION);
        let wrapped_dek = collide(
            &Reader { key: key_a, aad: &aad },
            &Reader { key: key_b, aad: &aad },
            &WRAP_NONCE,
            vec![0x33; 32],
            1,
        );
        let unwrap = |key| reference::gcm_open(key, &WRAP_NONCE, &aad, &wrapped_dek).unwrap();
        let dek_a: [u8; 32] = unwrap(key_a).try_into().unwrap();
        let dek_b: [u8; 32] = unwrap(key_b).try_into().unwrap();
        let column = Self::make_column(place, &dek_a, &dek_b);
        Self {
            wrapped_dek,
            column,
            dek_a,
            dek_b,
        }
    }

    /// Under A the column is `u32_be(4092)`, zeros, A's text and rubble: correctly padded. Under B it
    /// is rubble around B's text.
    fn make_column(place: &Place, dek_a: &[u8; 32], dek_b: &[u8; 32]) -> Vec<u8> {
        let aad = reference::column_aad(place, "api_key");
        let column_key_a = reference::encryption_key(dek_a, place, API_KEY_SET);
        let column_key_b = reference::encryption_key(dek_b, place, API_KEY_SET);
        let reader_a = Reader {
            key: &column_key_a,
            aad: &aad,
        };
        let reader_b = Reader {
            key: &column_key_b,
            aad: &aad,
        };
        let mut plaintext_a = vec![0; STEP];
        plaintext_a[..4].copy_from_slice(&4092_u32.to_be_bytes());
        plaintext_a[16..32].copy_from_slice(TEXT_A);
        let mut ciphertext = xor(&plaintext_a, &reader_a.key_stream(&COLUMN_NONCE, STEP));
        let stream_b = reader_b.key_stream(&COLUMN_NONCE, STEP);
        ciphertext[32..48].copy_from_slice(&xor(TEXT_B, &stream_b[32..48]));
        let forged = collide(&reader_a, &reader_b, &COLUMN_NONCE, ciphertext, FREE_BLOCK);
        [COLUMN_NONCE.to_vec(), forged].concat()
    }

    /// The envelope with a commitment that fits one of the two DEKs.
    pub(crate) fn committed_to(&self, dek: &[u8; 32], place: &Place) -> Envelope {
        let commitment = reference::commitment(dek, place, API_KEY_SET);
        Envelope {
            dek_envelope: reference::header(ACCOUNT_KEY_VERSION, &WRAP_NONCE, &self.wrapped_dek, &commitment),
            certificate: None,
            private_key: None,
            api_key: Some(self.column.clone()),
            secret: None,
        }
    }
}

#[test]
fn plain_aes_gcm_accepts_one_wrap_and_one_column_under_two_keys() {
    let place = Place::sample();
    let forgery = Forgery::make(&place, &KEY_A, &KEY_B);
    assert_ne!(forgery.dek_a, forgery.dek_b);

    let aad = reference::column_aad(&place, "api_key");
    let read = |dek| {
        let key = reference::encryption_key(dek, &place, API_KEY_SET);
        reference::gcm_open(&key, &COLUMN_NONCE, &aad, &forgery.column[12..]).unwrap()
    };
    assert_eq!(&read(&forgery.dek_a)[16..32], TEXT_A);
    assert_eq!(&read(&forgery.dek_b)[32..48], TEXT_B);
}

#[test]
fn the_two_key_forgery_opens_under_the_committed_key_only() {
    let place = Place::sample();
    let forgery = Forgery::make(&place, &KEY_A, &KEY_B);
    let envelope = forgery.committed_to(&forgery.dek_a, &place);

    // The control: the forgery is so good that A reads its text with padding and all.
    let opened = open(&known_account_key(KEY_A), &place.context(), &envelope).unwrap();
    let [_, _, api_key, _] = exposed(&opened);
    assert_eq!(&api_key.unwrap()[12..28], TEXT_A);

    let refused = open(&known_account_key(KEY_B), &place.context(), &envelope);
    assert_eq!(refused.err(), Some(CryptoError::WrongCommitment));
}

#[test]
fn committing_to_the_other_key_only_changes_who_is_refused() {
    let place = Place::sample();
    let forgery = Forgery::make(&place, &KEY_A, &KEY_B);
    let envelope = forgery.committed_to(&forgery.dek_b, &place);

    let refused = open(&known_account_key(KEY_A), &place.context(), &envelope);
    assert_eq!(refused.err(), Some(CryptoError::WrongCommitment));
    // B gets past the commitment and fails at the padding, which the forger could not also shape.
    let refused = open(&known_account_key(KEY_B), &place.context(), &envelope);
    assert_eq!(refused.err(), Some(CryptoError::MalformedEnvelope));
}

#[test]
fn a_wrong_commitment_is_refused_before_any_column_is_decrypted() {
    let place = Place::sample();
    let key = known_account_key(KEY_A);
    let mut envelope = sealed(&key, &place, &["api_key"], "commitment");
    // With the column spoilt as well, whichever check comes first names the error.
    envelope.api_key.as_mut().unwrap()[500] ^= 1;
    let spoilt = open(&key, &place.context(), &envelope);
    assert_eq!(spoilt.err(), Some(CryptoError::Authentication));
    envelope.dek_envelope[99] ^= 1;
    let both = open(&key, &place.context(), &envelope);
    assert_eq!(both.err(), Some(CryptoError::WrongCommitment));
}

fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(a, b)| a ^ b).collect()
}
