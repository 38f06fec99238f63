//! A frozen envelope, altered: it opens exactly when nothing was altered, and never panics. So does its account key.
#![no_main]

use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use libfuzzer_sys::fuzz_target;
use pushvault_crypto::{
    AccountKey, AccountKeyContext, DeploymentId, EncryptionContext, Envelope, KeyEncryptionKey, WrappedKey, open,
    rewrap,
};
use serde_json::Value;

/// What one of the kernel's frozen files holds.
struct Frozen {
    root_key: KeyEncryptionKey,
    wrapped_key: Vec<u8>,
    account_key: AccountKey,
    place: Place,
    envelope: Envelope,
}

struct Place {
    deployment_id: DeploymentId,
    account_sid: String,
    account_key_version: u32,
    credential_sid: String,
    push_service: String,
    sandbox: bool,
    version: u32,
}

impl Place {
    fn of_account_key(&self) -> AccountKeyContext<'_> {
        AccountKeyContext {
            deployment_id: &self.deployment_id,
            account_sid: &self.account_sid,
            version: self.account_key_version,
        }
    }

    fn of_envelope(&self) -> EncryptionContext<'_> {
        EncryptionContext {
            deployment_id: &self.deployment_id,
            account_sid: &self.account_sid,
            credential_sid: &self.credential_sid,
            push_service: &self.push_service,
            sandbox: self.sandbox,
            version: self.version,
        }
    }
}

/// Frozen, and not sealed anew, so that an input that failed once fails again.
static FROZEN: LazyLock<Frozen> = LazyLock::new(|| {
    let text = include_str!("../../crates/pushvault-crypto/tests/data/open_all_columns.json");
    let file: Value = serde_json::from_str(text).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let bytes = |value: &Value| HEXLOWER.decode(text(value).as_bytes()).expect("hexadecimal");
    let number = |value: &Value| u32::try_from(value.as_u64().expect("a number")).expect("32 bits");
    let (context, columns) = (&file["context"], &file["columns"]);
    let place = Place {
        deployment_id: DeploymentId::from_bytes(bytes(&context["deployment_id"]).try_into().expect("16 bytes")),
        account_sid: text(&context["account_sid"]),
        account_key_version: number(&file["account_key"]["version"]),
        credential_sid: text(&context["credential_sid"]),
        push_service: text(&context["push_service"]),
        sandbox: context["sandbox"].as_bool().expect("yes or no"),
        version: number(&context["version"]),
    };
    let root_key = KeyEncryptionKey::from_slice(&bytes(&file["kek"])).expect("32 bytes");
    let wrapped_key = bytes(&file["account_key"]["wrapped"]);
    let account_key = WrappedKey::parse(&wrapped_key)
        .and_then(|wrapped| root_key.unwrap_account_key(&wrapped, &place.of_account_key()))
        .expect("it unwraps");
    Frozen {
        root_key,
        wrapped_key,
        account_key,
        place,
        envelope: Envelope {
            dek_envelope: bytes(&file["dek_envelope"]),
            certificate: Some(bytes(&columns["certificate"])),
            private_key: Some(bytes(&columns["private_key"])),
            api_key: Some(bytes(&columns["api_key"])),
            secret: Some(bytes(&columns["secret"])),
        },
    }
});

/// One instruction: in which part, what to do, where, with which byte.
fn alter(envelope: &mut Envelope, wrapped_key: &mut Vec<u8>, instruction: [u8; 4]) {
    let [part, what, place, byte] = instruction;
    let target = match part % 6 {
        0 => wrapped_key,
        1 => &mut envelope.dek_envelope,
        2 => envelope.certificate.get_or_insert_default(),
        3 => envelope.private_key.get_or_insert_default(),
        4 => envelope.api_key.get_or_insert_default(),
        _ => envelope.secret.get_or_insert_default(),
    };
    // A column is a little longer than 4096 bytes: both of its ends are reached.
    let length = target.len();
    let index = if place < 128 {
        usize::from(place)
    } else {
        length.saturating_sub(256 - usize::from(place))
    };
    match what % 5 {
        0 => {
            if let Some(value) = target.get_mut(index) {
                *value ^= byte;
            }
        }
        1 => target.truncate(index),
        2 => target.insert(index.min(length), byte),
        3 => target.resize(length + 4096, byte),
        _ => match part % 6 {
            2 => std::mem::swap(&mut envelope.certificate, &mut envelope.private_key),
            3 => envelope.private_key = None,
            4 => std::mem::swap(&mut envelope.api_key, &mut envelope.secret),
            5 => envelope.secret = None,
            _ => target.push(byte),
        },
    }
}

fuzz_target!(|data: &[u8]| {
    let frozen = &*FROZEN;
    let (key, context) = (&frozen.account_key, frozen.place.of_envelope());
    let (mut envelope, mut wrapped_key) = (frozen.envelope.clone(), frozen.wrapped_key.clone());
    for instruction in data.as_chunks::<4>().0.iter().take(8) {
        alter(&mut envelope, &mut wrapped_key, *instruction);
    }
    let opened = open(key, &context, &envelope);
    assert_eq!(
        opened.is_ok(),
        envelope == frozen.envelope,
        "an altered envelope opened, or a whole one did not"
    );
    if opened.is_ok() {
        let again = rewrap(key, key, 9, &context, &envelope).expect("a whole one is wrapped again");
        assert!(open(key, &context, &again).is_ok());
    }
    let unwrapped = WrappedKey::parse(&wrapped_key).and_then(|wrapped| {
        frozen
            .root_key
            .unwrap_account_key(&wrapped, &frozen.place.of_account_key())
    });
    assert_eq!(
        unwrapped.is_ok(),
        wrapped_key == frozen.wrapped_key,
        "an altered account key opened, or a whole one did not"
    );

    // And what is no envelope at all.
    let (header, rest) = data.split_at(data.len().min(100));
    let garbage = Envelope {
        dek_envelope: header.to_vec(),
        certificate: None,
        private_key: None,
        api_key: Some(rest.to_vec()),
        secret: None,
    };
    assert!(open(key, &context, &garbage).is_err());
    assert!(rewrap(key, key, 9, &context, &garbage).is_err());
    let _ = garbage.account_key_version();
    let _ = garbage.digest();
});
