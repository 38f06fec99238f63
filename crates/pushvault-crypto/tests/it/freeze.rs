//! Writes new vectors in the form of `tests/data/*.json`, for a new format or a new way to fail.
//!
//! `cargo test -p pushvault-crypto --test it freeze -- --ignored` writes them below the target
//! directory. From there they are copied by hand, once: a file in `tests/data` is never replaced,
//! because what it proves is that envelopes written long ago still open.

use std::{fs, path::PathBuf};

use data_encoding::HEXLOWER;
use pushvault_crypto::{
    AccountKey, AccountKeyContext, DeploymentId, Envelope, KeyEncryptionKey, Plaintext, Secrets, open, rewrap, seal,
};

use crate::{
    commitment::Forgery,
    reference,
    support::{ACCOUNT_KEY_VERSION, COLUMNS, Place, exposed, known_account_key, sealed},
    vector_file::{Columns, Context, VectorFile, WrappedAccountKey},
};

const KEK: [u8; 32] = *b"frozen root key, public for ever";
const KEY_A: [u8; 32] = *b"frozen account key A, all public";
const KEY_B: [u8; 32] = *b"frozen account key B, all public";
const DEK: [u8; 32] = *b"frozen data key, made for damage";

/// A vector under construction: the envelope, and where and with what it is opened.
struct Draft {
    name: &'static str,
    about: &'static str,
    envelope: Envelope,
    place: Place,
    account_key: [u8; 32],
    wrapped_version: u32,
    kek: [u8; 32],
    unwrap_version: u32,
}

impl Draft {
    fn new(name: &'static str, about: &'static str, envelope: Envelope) -> Self {
        Self {
            name,
            about,
            envelope,
            place: Place::sample(),
            account_key: KEY_A,
            wrapped_version: ACCOUNT_KEY_VERSION,
            kek: KEK,
            unwrap_version: ACCOUNT_KEY_VERSION,
        }
    }

    /// Opens the draft as a reader of the file would, and writes down what happened.
    fn finish(self) -> VectorFile {
        let context = |version| AccountKeyContext {
            deployment_id: &self.place.deployment_id,
            account_sid: "AC00000000000000000000000000000001",
            version,
        };
        let home = AccountKeyContext {
            deployment_id: &DeploymentId::from_bytes(*b"deployment-one--"),
            ..context(self.wrapped_version)
        };
        // A vector about a foreign deployment fails at the account key, as it would in life.
        let wrapped = KeyEncryptionKey::from_slice(&KEK)
            .unwrap()
            .wrap_account_key(&known_account_key(self.account_key), &home)
            .unwrap();
        let kek = KeyEncryptionKey::from_slice(&self.kek).unwrap();
        let opened = kek
            .unwrap_account_key(&wrapped, &context(self.unwrap_version))
            .and_then(|key: AccountKey| open(&key, &self.place.context(), &self.envelope));
        let Envelope {
            certificate,
            private_key,
            api_key,
            secret,
            dek_envelope,
        } = &self.envelope;
        VectorFile {
            made_by: "tests/it/freeze.rs, format 1; frozen, not to be made again".to_owned(),
            about: self.about.to_owned(),
            kek: HEXLOWER.encode(&self.kek),
            kek_id: kek.id().to_string(),
            account_key: WrappedAccountKey {
                account_sid: home.account_sid.to_owned(),
                version: self.unwrap_version,
                wrapped: HEXLOWER.encode(wrapped.as_bytes()),
            },
            context: Context {
                deployment_id: HEXLOWER.encode(self.place.deployment_id.as_bytes()),
                account_sid: self.place.account_sid.clone(),
                credential_sid: self.place.credential_sid.clone(),
                push_service: self.place.push_service.clone(),
                sandbox: self.place.sandbox,
                version: self.place.version,
            },
            dek_envelope: HEXLOWER.encode(dek_envelope),
            columns: columns([certificate, private_key, api_key, secret].map(Clone::clone)),
            digest: HEXLOWER.encode(&self.envelope.digest()),
            error: opened.as_ref().err().map(|error| format!("{error:?}")),
            plaintexts: opened.ok().map(|secrets| columns(exposed(&secrets))),
        }
    }
}

#[test]
#[ignore = "writes files; run by hand when vectors are added"]
fn freeze_new_vectors() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("frozen");
    fs::create_dir_all(&directory).unwrap();
    let drafts = that_open()
        .into_iter()
        .chain(moved())
        .chain(rearranged())
        .chain(wrong_keys())
        .chain(altered())
        .chain(forged());
    for draft in drafts {
        let name = draft.name;
        let vector = draft.finish();
        assert_eq!(name.starts_with("fail_"), vector.error.is_some(), "{name}");
        let text = serde_json::to_string_pretty(&vector).unwrap() + "\n";
        fs::write(directory.join(format!("{name}.json")), text).unwrap();
    }
}

fn that_open() -> Vec<Draft> {
    let key = known_account_key(KEY_A);
    let home = Place::sample();
    let fcm = Place {
        push_service: "fcm".to_owned(),
        sandbox: false,
        ..home.clone()
    };
    let apn = Place {
        sandbox: true,
        version: 2,
        ..home.clone()
    };
    let unicode = Place {
        credential_sid: "CR-ключ-鍵".to_owned(),
        version: u32::MAX,
        ..home.clone()
    };
    let lengths = Secrets {
        certificate: Some(Plaintext::new(vec![b'c'; 8189])),
        private_key: Some(Plaintext::new(vec![b'p'; 4093])),
        api_key: Some(Plaintext::new(vec![b'a'; 4092])),
        secret: Some(Plaintext::new(Vec::new())),
    };
    let lengths = seal(&key, ACCOUNT_KEY_VERSION, &home.context(), &lengths).unwrap();
    let old = known_account_key(KEY_B);
    let rewrapped = sealed(&old, &home, &COLUMNS, "rewrapped");
    let rewrapped = rewrap(&old, &key, u32::MAX, &home.context(), &rewrapped).unwrap();
    let draft = |name, about, place: Place, names: &[&str]| Draft {
        place: place.clone(),
        ..Draft::new(name, about, sealed(&key, &place, names, about))
    };
    vec![
        draft("open_fcm_secret", "a secret for FCM", fcm, &["secret"]),
        draft("open_apn_sandbox", "the pair for the APNs sandbox", apn, &COLUMNS[..2]),
        draft("open_all_columns", "all four columns", home.clone(), &COLUMNS),
        draft("open_no_columns", "a header alone", home.clone(), &[]),
        draft("open_unicode_context", "fields beyond ASCII", unicode, &["api_key"]),
        Draft::new("open_padding_lengths", "the edges of padding", lengths),
        Draft {
            wrapped_version: u32::MAX,
            unwrap_version: u32::MAX,
            ..Draft::new("open_rewrapped", "re-wrapped from another account key", rewrapped)
        },
    ]
}

fn moved() -> Vec<Draft> {
    let home = Place::sample();
    let moved = |name, about, place: Place| Draft {
        place,
        ..Draft::new(name, about, lone_api_key("moved"))
    };
    let deployment_id = DeploymentId::from_bytes(*b"deployment-two--");
    let account_sid = "AC00000000000000000000000000000002".to_owned();
    let credential_sid = "CR00000000000000000000000000000002".to_owned();
    let push_service = "gcm".to_owned();
    let deployment = Place {
        deployment_id,
        ..home.clone()
    };
    let account = Place {
        account_sid,
        ..home.clone()
    };
    let credential = Place {
        credential_sid,
        ..home.clone()
    };
    let push_service = Place {
        push_service,
        ..home.clone()
    };
    let sandbox = Place {
        sandbox: true,
        ..home.clone()
    };
    let version = Place { version: 2, ..home };
    vec![
        moved("fail_other_deployment", "opened in another deployment", deployment),
        moved("fail_other_account", "opened for another account", account),
        moved("fail_other_credential", "opened for another credential", credential),
        moved(
            "fail_other_push_service",
            "opened for another push service",
            push_service,
        ),
        moved("fail_other_sandbox", "opened for the sandbox", sandbox),
        moved("fail_other_version", "opened as another version", version),
    ]
}

fn rearranged() -> Vec<Draft> {
    let key = known_account_key(KEY_A);
    let home = Place::sample();
    let mut exchanged = sealed(&key, &home, &COLUMNS, "exchanged");
    std::mem::swap(&mut exchanged.certificate, &mut exchanged.private_key);
    let mut renamed = lone_api_key("renamed");
    renamed.secret = renamed.api_key.take();
    let mut dropped = sealed(&key, &home, &COLUMNS[2..], "dropped");
    dropped.secret = None;
    let mut added = lone_api_key("added");
    added.secret = sealed(&key, &home, &["secret"], "added").secret;
    let mut other_row = lone_api_key("newer");
    other_row.api_key = lone_api_key("older").api_key;
    vec![
        Draft::new("fail_columns_exchanged", "two columns exchanged", exchanged),
        Draft::new("fail_column_renamed", "a column under another name", renamed),
        Draft::new("fail_column_dropped", "a column set to NULL", dropped),
        Draft::new("fail_column_added", "a column from another envelope", added),
        Draft::new("fail_column_of_other_row", "a column of an older envelope", other_row),
    ]
}

fn wrong_keys() -> Vec<Draft> {
    let kek = Draft {
        kek: [1; 32],
        ..Draft::new("fail_wrong_kek", "another root key", lone_api_key("key"))
    };
    let account_key = Draft {
        account_key: KEY_B,
        ..Draft::new("fail_wrong_account_key", "another account key", lone_api_key("key"))
    };
    let version = Draft {
        unwrap_version: 4,
        ..Draft::new(
            "fail_wrong_account_key_version",
            "the account key unwrapped as another version",
            lone_api_key("key"),
        )
    };
    vec![kek, account_key, version]
}

fn lone_api_key(mark: &str) -> Envelope {
    sealed(&known_account_key(KEY_A), &Place::sample(), &["api_key"], mark)
}

fn altered() -> Vec<Draft> {
    let key = known_account_key(KEY_A);
    let altered = |name, about, alter: fn(&mut Vec<u8>, &mut Vec<u8>)| {
        let mut envelope = sealed(&key, &Place::sample(), &["api_key"], "altered");
        alter(&mut envelope.dek_envelope, envelope.api_key.as_mut().unwrap());
        Draft::new(name, about, envelope)
    };
    vec![
        altered("fail_magic", "another magic", |header, _| header[0] = b'p'),
        altered("fail_format", "format 2", |header, _| header[2] = 2),
        altered("fail_suite", "suite 2", |header, _| header[3] = 2),
        altered("fail_header_version", "key version in header", |header, _| {
            header[7] ^= 1;
        }),
        altered("fail_header_nonce", "a bit of the wrap nonce", |header, _| {
            header[8] ^= 1;
        }),
        altered("fail_header_dek", "a bit of the wrapped DEK", |header, _| {
            header[20] ^= 1;
        }),
        altered("fail_header_tag", "a bit of the wrap tag", |header, _| {
            header[67] ^= 0x80;
        }),
        altered("fail_header_commitment", "a bit of it", |header, _| header[99] ^= 1),
        altered("fail_header_short", "99 bytes of header", |header, _| {
            header.truncate(99);
        }),
        altered("fail_header_long", "101 bytes of header", |header, _| header.push(0)),
        altered("fail_header_empty", "no header", |header, _| header.clear()),
        altered("fail_column_nonce", "a bit of the nonce", |_, column| column[0] ^= 1),
        altered("fail_column_text", "a bit of the text", |_, column| column[16] ^= 1),
        altered("fail_column_tag", "a bit of the tag", |_, column| column[1051] ^= 1),
        altered("fail_column_short", "a byte too few", |_, column| column.truncate(1051)),
        altered("fail_column_long", "a byte too many", |_, column| column.push(0)),
        altered("fail_column_empty", "an empty column", |_, column| column.clear()),
    ]
}

fn forged() -> Vec<Draft> {
    let home = Place::sample();
    let forgery = Forgery::make(&home, &KEY_A, &KEY_B);
    let for_a = forgery.committed_to(&forgery.dek_a, &home);
    let for_b = forgery.committed_to(&forgery.dek_b, &home);
    let padded = |name, about, padded: &[u8]| Draft::new(name, about, authentic(padded));
    let mut stained = vec![0; 4096];
    stained[4095] = 1;
    let mut beyond = vec![0; 4096];
    beyond[..4].copy_from_slice(&4093_u32.to_be_bytes());
    vec![
        Draft::new(
            "open_two_keys_first",
            "the two-key forgery, committed to A",
            for_a.clone(),
        ),
        Draft {
            account_key: KEY_B,
            ..Draft::new("fail_two_keys_second", "committed to A, opened by B", for_a)
        },
        Draft::new("fail_two_keys_first", "committed to B, opened by A", for_b),
        padded("fail_padding_not_zero", "the last byte of padding is 1", &stained),
        padded("fail_padding_too_long", "a step more than needed", &[0; 8192]),
        padded("fail_padding_length", "a length beyond the column", &beyond),
    ]
}

/// An envelope that is authentic in every tag, around a padded plaintext of the caller's making.
fn authentic(padded: &[u8]) -> Envelope {
    let home = Place::sample();
    let nonce = [0x44; 12];
    let aad = reference::dek_aad(&home, ACCOUNT_KEY_VERSION);
    let wrapped = reference::gcm_seal(&KEY_A, &nonce, &aad, &DEK);
    let commitment = reference::commitment(&DEK, &home, 4);
    let key = reference::encryption_key(&DEK, &home, 4);
    let aad = reference::column_aad(&home, "api_key");
    let column = reference::gcm_seal(&key, &nonce, &aad, padded);
    Envelope {
        dek_envelope: reference::header(ACCOUNT_KEY_VERSION, &nonce, &wrapped, &commitment),
        certificate: None,
        private_key: None,
        api_key: Some([nonce.to_vec(), column].concat()),
        secret: None,
    }
}

fn columns(values: [Option<Vec<u8>>; 4]) -> Columns {
    let [certificate, private_key, api_key, secret] = values.map(|value| value.map(|bytes| HEXLOWER.encode(&bytes)));
    Columns {
        certificate,
        private_key,
        api_key,
        secret,
    }
}
