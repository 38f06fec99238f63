//! Envelopes of format 1 that were frozen when the format was made. They open for ever, and those
//! whose file name begins with `fail_` fail for ever, each with the error it was frozen with.
//!
//! `tests/decoder/open_envelope.py` reads the same files and shares no code with this crate.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "it/vector_file.rs"]
mod vector_file;

use std::{fs, path::Path};

use data_encoding::HEXLOWER;
use pushvault_crypto::{
    AccountKeyContext, CryptoError, DeploymentId, EncryptionContext, Envelope, KekId, KeyEncryptionKey, Plaintext,
    Secrets, WrappedKey, open,
};

use vector_file::{Columns, VectorFile};

/// How many files there are, so that one that disappears is missed.
const FILES_THAT_OPEN: usize = 8;
/// How many files there are that must fail.
const FILES_THAT_FAIL: usize = 36;

#[test]
fn frozen_envelopes_open_for_ever_and_broken_ones_never() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let (mut opened, mut failed) = (0, 0);
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let vector: VectorFile = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(!vector.made_by.is_empty() && !vector.about.is_empty(), "{name}");
        check_public_values(name, &vector);
        match (open_vector(&vector), &vector.plaintexts, &vector.error) {
            (Ok(secrets), Some(expected), None) if !name.starts_with("fail_") => {
                assert_eq!(exposed(&secrets), bytes_of(expected), "{name}");
                opened += 1;
            }
            (Err(error), None, Some(expected)) if name.starts_with("fail_") => {
                assert_eq!(&format!("{error:?}"), expected, "{name}");
                failed += 1;
            }
            (result, _, expected) => {
                panic!("{name}: {:?} instead of {expected:?}", result.err())
            }
        }
    }
    assert_eq!((opened, failed), (FILES_THAT_OPEN, FILES_THAT_FAIL));
}

fn check_public_values(name: &str, vector: &VectorFile) {
    assert_eq!(HEXLOWER.encode(&envelope_of(vector).digest()), vector.digest, "{name}");
    let kek = KeyEncryptionKey::from_slice(&hex(&vector.kek)).unwrap();
    assert_eq!(Ok(kek.id()), vector.kek_id.parse::<KekId>(), "{name}");
}

fn open_vector(vector: &VectorFile) -> Result<Secrets, CryptoError> {
    let deployment_id = DeploymentId::from_bytes(hex(&vector.context.deployment_id).try_into().unwrap());
    let account_key = KeyEncryptionKey::from_slice(&hex(&vector.kek))?.unwrap_account_key(
        &WrappedKey::parse(&hex(&vector.account_key.wrapped))?,
        &AccountKeyContext {
            deployment_id: &deployment_id,
            account_sid: &vector.account_key.account_sid,
            version: vector.account_key.version,
        },
    )?;
    let context = EncryptionContext {
        deployment_id: &deployment_id,
        account_sid: &vector.context.account_sid,
        credential_sid: &vector.context.credential_sid,
        push_service: &vector.context.push_service,
        sandbox: vector.context.sandbox,
        version: vector.context.version,
    };
    open(&account_key, &context, &envelope_of(vector))
}

fn envelope_of(vector: &VectorFile) -> Envelope {
    let [certificate, private_key, api_key, secret] = bytes_of(&vector.columns);
    let dek_envelope = hex(&vector.dek_envelope);
    Envelope {
        dek_envelope,
        certificate,
        private_key,
        api_key,
        secret,
    }
}

fn exposed(secrets: &Secrets) -> [Option<Vec<u8>>; 4] {
    let expose = |column: &Option<Plaintext>| column.as_ref().map(|it| it.expose_secret().to_vec());
    [
        expose(&secrets.certificate),
        expose(&secrets.private_key),
        expose(&secrets.api_key),
        expose(&secrets.secret),
    ]
}

fn bytes_of(columns: &Columns) -> [Option<Vec<u8>>; 4] {
    [
        &columns.certificate,
        &columns.private_key,
        &columns.api_key,
        &columns.secret,
    ]
    .map(|column| column.as_deref().map(hex))
}

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}
