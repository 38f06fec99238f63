//! A stored envelope, altered: it opens exactly when nothing was altered, and never panics.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pushvault_crypto::{
    AccountKey, DeploymentId, EncryptionContext, Envelope, Plaintext, Secrets, WrappedKey, open, seal,
};

struct Sealed {
    key: AccountKey,
    deployment_id: DeploymentId,
    envelope: Envelope,
}

static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let key = AccountKey::generate().expect("randomness");
    let deployment_id = DeploymentId::from_bytes(*b"deployment-one--");
    let secrets = Secrets {
        api_key: Some(Plaintext::new(b"an api key".to_vec())),
        secret: Some(Plaintext::new(b"a secret".to_vec())),
        ..Secrets::default()
    };
    let envelope = seal(&key, 1, &context(&deployment_id), &secrets).expect("it seals");
    Sealed {
        key,
        deployment_id,
        envelope,
    }
});

fn context(deployment_id: &DeploymentId) -> EncryptionContext<'_> {
    EncryptionContext {
        deployment_id,
        account_sid: "AC00000000000000000000000000000001",
        credential_sid: "CR00000000000000000000000000000001",
        push_service: "fcm",
        sandbox: false,
        version: 1,
    }
}

/// Cuts off one instruction: which column, what to do with it, where, with which byte.
fn alter(envelope: &mut Envelope, instruction: [u8; 4]) {
    let [column, what, place, byte] = instruction;
    let target = match column % 5 {
        0 => &mut envelope.dek_envelope,
        1 => envelope.certificate.get_or_insert_default(),
        2 => envelope.private_key.get_or_insert_default(),
        3 => envelope.api_key.get_or_insert_default(),
        _ => envelope.secret.get_or_insert_default(),
    };
    // A ciphertext is a little longer than 4096 bytes: both of its ends are reached.
    let length = target.len();
    let index = if place < 128 { usize::from(place) } else { length.saturating_sub(256 - usize::from(place)) };
    match what % 4 {
        0 => {
            if let Some(value) = target.get_mut(index) {
                *value ^= byte;
            }
        }
        1 => target.truncate(index),
        2 => target.insert(index.min(length), byte),
        _ => target.push(byte),
    }
}

fuzz_target!(|data: &[u8]| {
    let sealed = &*SEALED;
    let mut envelope = sealed.envelope.clone();
    for instruction in data.as_chunks::<4>().0.iter().take(8) {
        alter(&mut envelope, *instruction);
    }
    let opened = open(&sealed.key, &context(&sealed.deployment_id), &envelope);
    assert_eq!(opened.is_ok(), envelope == sealed.envelope, "an altered envelope opened, or a whole one did not");

    // And what is no envelope at all.
    let (header, rest) = data.split_at(data.len().min(96));
    let garbage = Envelope {
        dek_envelope: header.to_vec(),
        certificate: None,
        private_key: None,
        api_key: Some(rest.to_vec()),
        secret: None,
    };
    assert!(open(&sealed.key, &context(&sealed.deployment_id), &garbage).is_err());
    let _ = garbage.account_key_version();
    let _ = WrappedKey::parse(data);
});
