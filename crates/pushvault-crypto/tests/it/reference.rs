//! A second implementation of `docs/crypto.md`, for known answers and for forgeries.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use data_encoding::HEXLOWER;
use hkdf::Hkdf;
use pushvault_crypto::{DeploymentId, Envelope};
use sha2::{Digest, Sha256};

use crate::support::Place;

/// `u64_be(len(x)) ‖ x`.
pub(crate) fn field(bytes: &[u8]) -> Vec<u8> {
    let length = u64::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

/// The nine fields that all ciphertexts of an envelope share.
pub(crate) fn binding(place: &Place) -> Vec<u8> {
    [
        field(b"pushvault/v1/envelope"),
        field(&[1]),
        field(&[1]),
        field(place.deployment_id.as_bytes()),
        field(place.account_sid.as_bytes()),
        field(place.credential_sid.as_bytes()),
        field(place.push_service.as_bytes()),
        field(&[u8::from(place.sandbox)]),
        field(&place.version.to_be_bytes()),
    ]
    .concat()
}

/// The AAD of the wrapped DEK.
pub(crate) fn dek_aad(place: &Place, account_key_version: u32) -> Vec<u8> {
    let version = account_key_version.to_be_bytes();
    [binding(place), field(&version), field(b"dek")].concat()
}

/// The AAD of a column.
pub(crate) fn column_aad(place: &Place, column: &str) -> Vec<u8> {
    [binding(place), field(b""), field(column.as_bytes())].concat()
}

/// The AAD of a wrapped account key.
pub(crate) fn account_key_aad(deployment_id: &DeploymentId, account_sid: &str, version: u32, kek_id: &str) -> Vec<u8> {
    [
        field(b"pushvault/v1/account-key"),
        field(deployment_id.as_bytes()),
        field(account_sid.as_bytes()),
        field(&version.to_be_bytes()),
        field(kek_id.as_bytes()),
    ]
    .concat()
}

/// The id of a root key.
pub(crate) fn kek_id(kek: &[u8; 32]) -> String {
    let mut id = [0; 8];
    Hkdf::<Sha256>::new(None, kek)
        .expand(&field(b"pushvault/v1/kek-id"), &mut id)
        .unwrap();
    format!("kek_{}", HEXLOWER.encode(&id))
}

/// The columns' key.
pub(crate) fn encryption_key(dek: &[u8; 32], place: &Place, columns: u8) -> [u8; 32] {
    derive(dek, b"pushvault/v1/encryption-key", place, columns)
}

/// The commitment.
pub(crate) fn commitment(dek: &[u8; 32], place: &Place, columns: u8) -> [u8; 32] {
    derive(dek, b"pushvault/v1/commitment", place, columns)
}

/// The digest of an envelope.
pub(crate) fn digest(envelope: &Envelope) -> [u8; 32] {
    let column = |column: &Option<Vec<u8>>| match column {
        None => vec![0],
        Some(bytes) => [vec![1], field(bytes)].concat(),
    };
    let input = [
        field(b"pushvault/v1/envelope-digest"),
        field(&envelope.dek_envelope),
        column(&envelope.certificate),
        column(&envelope.private_key),
        column(&envelope.api_key),
        column(&envelope.secret),
    ]
    .concat();
    Sha256::digest(input).into()
}

/// A header around a wrapped DEK (ciphertext and tag).
pub(crate) fn header(account_key_version: u32, nonce: &[u8; 12], wrapped_dek: &[u8], commitment: &[u8; 32]) -> Vec<u8> {
    [
        b"PV\x01\x01".as_slice(),
        &account_key_version.to_be_bytes(),
        nonce,
        wrapped_dek,
        commitment,
    ]
    .concat()
}

/// Plain AES-256-GCM: ciphertext and tag.
pub(crate) fn gcm_seal(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], msg: &[u8]) -> Vec<u8> {
    Aes256Gcm::new(key.into())
        .encrypt(nonce.into(), Payload { msg, aad })
        .unwrap()
}

/// Plain AES-256-GCM: what any reader without a commitment would do.
pub(crate) fn gcm_open(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], msg: &[u8]) -> Option<Vec<u8>> {
    Aes256Gcm::new(key.into())
        .decrypt(nonce.into(), Payload { msg, aad })
        .ok()
}

fn derive(dek: &[u8; 32], tag: &[u8], place: &Place, columns: u8) -> [u8; 32] {
    let info = [field(tag), binding(place), field(&[columns])].concat();
    let mut output = [0; 32];
    Hkdf::<Sha256>::new(None, dek).expand(&info, &mut output).unwrap();
    output
}
