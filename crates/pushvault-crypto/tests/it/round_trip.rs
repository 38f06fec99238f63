//! What was sealed opens in the same place, and what is stored tells little.

use proptest::prelude::*;
use pushvault_crypto::{AccountKey, CryptoError, Plaintext, Secrets, open, rewrap, seal};

use crate::{
    reference,
    support::{ACCOUNT_KEY_VERSION, COLUMNS, Place, column_sets, exposed, known_account_key, sealed, secrets_of},
};

#[test]
fn every_set_of_columns_comes_back() {
    let key = AccountKey::generate().unwrap();
    let place = Place::sample();
    for columns in column_sets() {
        let envelope = sealed(&key, &place, &columns, "round trip");
        let opened = open(&key, &place.context(), &envelope).unwrap();
        assert_eq!(
            exposed(&opened),
            exposed(&secrets_of(&columns, "round trip")),
            "{columns:?}"
        );
    }
}

#[test]
fn an_empty_secret_is_not_an_absent_one() {
    let key = AccountKey::generate().unwrap();
    let place = Place::sample();
    let secrets = Secrets {
        secret: Some(Plaintext::new(Vec::new())),
        ..Secrets::default()
    };
    let envelope = seal(&key, 1, &place.context(), &secrets).unwrap();
    let opened = open(&key, &place.context(), &envelope).unwrap();
    assert_eq!(exposed(&opened), [None, None, None, Some(Vec::new())]);
}

#[test]
fn the_reference_implementation_reads_what_the_crate_writes() {
    let account_key = [0xA1; 32];
    let place = Place {
        sandbox: true,
        ..Place::sample()
    };
    let envelope = sealed(&known_account_key(account_key), &place, &["certificate", "secret"], "x");
    let (head, commitment) = envelope.dek_envelope.split_at(68);
    let (nonce, wrapped) = head[8..].split_at(12);
    let dek = reference::gcm_open(
        &account_key,
        nonce.try_into().unwrap(),
        &reference::dek_aad(&place, ACCOUNT_KEY_VERSION),
        wrapped,
    );
    let dek: [u8; 32] = dek.unwrap().try_into().unwrap();
    assert_eq!(commitment, reference::commitment(&dek, &place, 1 | 8));

    let column = envelope.secret.unwrap();
    let (nonce, sealed_column) = column.split_at(12);
    let key = reference::encryption_key(&dek, &place, 1 | 8);
    let aad = reference::column_aad(&place, "secret");
    let padded = reference::gcm_open(&key, nonce.try_into().unwrap(), &aad, sealed_column).unwrap();
    assert_eq!(padded[..4], 11_u32.to_be_bytes());
    assert_eq!(&padded[4..15], b"secret of x");
    assert_eq!(padded[15..], [0; 4096 - 15]);
}

#[test]
fn the_length_of_a_ciphertext_tells_a_step_and_not_a_size() {
    let key = AccountKey::generate().unwrap();
    let length_of = |plaintext: usize| {
        let secrets = Secrets {
            api_key: Some(Plaintext::new(vec![b'x'; plaintext])),
            ..Secrets::default()
        };
        let envelope = seal(&key, 1, &Place::sample().context(), &secrets).unwrap();
        envelope.api_key.unwrap().len()
    };
    // Nothing, a server key, PEM keys (elliptic, RSA of 2048 and of 4096 bits), a service account.
    for plaintext in [0, 152, 241, 1704, 2350, 3272, 4092] {
        assert_eq!(length_of(plaintext), 12 + 4096 + 16);
    }
    assert_eq!(length_of(4093), 12 + 8192 + 16);
}

#[test]
fn a_secret_too_long_for_the_format_is_refused() {
    let key = AccountKey::generate().unwrap();
    let place = Place::sample();
    let seal_length = |length| {
        let secrets = Secrets {
            private_key: Some(Plaintext::new(vec![1; length])),
            ..Secrets::default()
        };
        seal(&key, 1, &place.context(), &secrets)
    };
    let longest = seal_length(65_532).unwrap();
    let opened = open(&key, &place.context(), &longest).unwrap();
    assert_eq!(opened.private_key.unwrap().expose_secret().len(), 65_532);
    assert_eq!(seal_length(65_533), Err(CryptoError::PlaintextLength));
}

#[test]
fn sealing_the_same_secrets_twice_shares_no_bytes() {
    let key = AccountKey::generate().unwrap();
    let place = Place::sample();
    let one = sealed(&key, &place, &COLUMNS, "same");
    let other = sealed(&key, &place, &COLUMNS, "same");
    assert_ne!(one.dek_envelope[8..20], other.dek_envelope[8..20], "wrap nonce");
    assert_ne!(one.dek_envelope[20..68], other.dek_envelope[20..68], "DEK");
    assert_ne!(one.dek_envelope[68..], other.dek_envelope[68..], "commitment");
    let nonces = [&one, &other].map(|envelope| {
        [
            &envelope.certificate,
            &envelope.private_key,
            &envelope.api_key,
            &envelope.secret,
        ]
        .map(|column| column.as_ref().unwrap()[..12].to_vec())
    });
    let mut nonces = nonces.concat();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 8, "every column has a nonce of its own");
}

#[test]
fn no_stored_byte_string_holds_a_plaintext() {
    let key = AccountKey::generate().unwrap();
    let place = Place::sample();
    let envelope = sealed(&key, &place, &COLUMNS, "canary-4711");
    let stored = [
        Some(envelope.dek_envelope),
        envelope.certificate,
        envelope.private_key,
        envelope.api_key,
        envelope.secret,
    ];
    for bytes in stored.into_iter().flatten() {
        assert!(!bytes.windows(11).any(|window| window == b"canary-4711"));
    }
}

#[test]
fn the_header_names_the_account_key_version() {
    let key = AccountKey::generate().unwrap();
    let place = Place::sample();
    for version in [0, 1, 0x0102_0304, u32::MAX] {
        let envelope = seal(&key, version, &place.context(), &Secrets::default()).unwrap();
        assert_eq!(envelope.account_key_version(), Ok(version));
        assert_eq!(envelope.dek_envelope.len(), 100);
    }
}

#[test]
fn an_empty_context_field_is_refused_and_not_bound() {
    let key = AccountKey::generate().unwrap();
    let place = Place::sample();
    let envelope = sealed(&key, &place, &["secret"], "context");
    let empty = [
        Place {
            account_sid: String::new(),
            ..place.clone()
        },
        Place {
            credential_sid: String::new(),
            ..place.clone()
        },
        Place {
            push_service: String::new(),
            ..place.clone()
        },
    ];
    for place in empty {
        let sealed = seal(&key, 1, &place.context(), &Secrets::default());
        assert_eq!(sealed.err(), Some(CryptoError::MalformedContext));
        let opened = open(&key, &place.context(), &envelope);
        assert_eq!(opened.err(), Some(CryptoError::MalformedContext));
    }
}

#[test]
fn the_digest_is_the_documented_one_and_covers_every_byte_and_every_absence() {
    let key = AccountKey::generate().unwrap();
    let place = Place::sample();
    let mut digests = Vec::new();
    for columns in column_sets() {
        let envelope = sealed(&key, &place, &columns, "digest");
        assert_eq!(envelope.digest(), reference::digest(&envelope));
        digests.push(envelope.digest());
        for column in columns {
            let mut other = envelope.clone();
            *crate::support::column_mut(&mut other, column) = None;
            digests.push(other.digest());
            *crate::support::column_mut(&mut other, column) = Some(Vec::new());
            digests.push(other.digest());
        }
        let mut other = envelope.clone();
        other.dek_envelope[50] ^= 1;
        digests.push(other.digest());
    }
    let count = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), count, "two different envelopes share a digest");
}

#[test]
fn rewrapping_moves_an_envelope_to_another_account_key_and_leaves_its_columns() {
    let old = AccountKey::generate().unwrap();
    let new = AccountKey::generate().unwrap();
    let place = Place::sample();
    for columns in column_sets() {
        let before = sealed(&old, &place, &columns, "rewrap");
        let after = rewrap(&old, &new, 4, &place.context(), &before).unwrap();

        let opened = open(&new, &place.context(), &after).unwrap();
        assert_eq!(exposed(&opened), exposed(&secrets_of(&columns, "rewrap")));
        let refused = open(&old, &place.context(), &after);
        assert_eq!(refused.err(), Some(CryptoError::Authentication));

        assert_eq!(after.account_key_version(), Ok(4));
        assert_eq!(after.dek_envelope[68..], before.dek_envelope[68..], "commitment");
        assert_ne!(after.dek_envelope[8..20], before.dek_envelope[8..20], "nonce");
        let header = before.dek_envelope.clone();
        assert_eq!(
            pushvault_crypto::Envelope {
                dek_envelope: header,
                ..after
            },
            before,
            "columns"
        );
    }
}

#[test]
fn rewrapping_does_not_launder_what_does_not_open() {
    let old = AccountKey::generate().unwrap();
    let new = AccountKey::generate().unwrap();
    let place = Place::sample();
    let envelope = sealed(&old, &place, &COLUMNS, "rewrap");

    let elsewhere = Place {
        version: 2,
        ..place.clone()
    };
    let moved = rewrap(&old, &new, 4, &elsewhere.context(), &envelope);
    assert_eq!(moved, Err(CryptoError::Authentication));

    let wrong_key = rewrap(&new, &old, 4, &place.context(), &envelope);
    assert_eq!(wrong_key, Err(CryptoError::Authentication));

    let mut dropped = envelope.clone();
    dropped.secret = None;
    let dropped = rewrap(&old, &new, 4, &place.context(), &dropped);
    assert_eq!(dropped, Err(CryptoError::WrongCommitment));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_secrets_in_any_place_come_back(
        columns in proptest::array::uniform4(proptest::option::of(
            proptest::collection::vec(any::<u8>(), 0..3000),
        )),
        deployment in any::<[u8; 16]>(),
        texts in proptest::array::uniform3(".{1,40}"),
        sandbox in any::<bool>(),
        versions in any::<(u32, u32)>(),
    ) {
        let [account_sid, credential_sid, push_service] = texts;
        let place = Place {
            deployment_id: pushvault_crypto::DeploymentId::from_bytes(deployment),
            account_sid,
            credential_sid,
            push_service,
            sandbox,
            version: versions.0,
        };
        let [certificate, private_key, api_key, secret] =
            columns.clone().map(|column| column.map(Plaintext::new));
        let secrets = Secrets { certificate, private_key, api_key, secret };
        let key = AccountKey::generate().unwrap();
        let envelope = seal(&key, versions.1, &place.context(), &secrets).unwrap();
        prop_assert_eq!(envelope.account_key_version(), Ok(versions.1));
        let opened = open(&key, &place.context(), &envelope).unwrap();
        prop_assert_eq!(exposed(&opened), columns);
    }
}
