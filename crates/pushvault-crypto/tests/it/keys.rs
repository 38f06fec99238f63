//! Root keys, account keys, and the ids of root keys.

use proptest::prelude::*;
use pushvault_crypto::{
    AccountKey, AccountKeyContext, Argon2Cost, CryptoError, DeploymentId, KekId, KeyEncryptionKey, Secrets, WrappedKey,
    open, seal,
};

use crate::{
    reference,
    support::{Place, known_account_key},
};

const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes(*b"deployment-one--");
const OTHER_DEPLOYMENT: DeploymentId = DeploymentId::from_bytes(*b"deployment-two--");
const HOME: AccountKeyContext<'_> = AccountKeyContext {
    deployment_id: &DEPLOYMENT,
    account_sid: "AC00000000000000000000000000000001",
    version: 1,
};
const CHEAP: Argon2Cost = Argon2Cost {
    memory_kib: 64,
    iterations: 2,
    parallelism: 2,
};

fn kek(byte: u8) -> KeyEncryptionKey {
    KeyEncryptionKey::from_slice(&[byte; 32]).unwrap()
}

fn unwrapping_fails(kek: &KeyEncryptionKey, wrapped: &WrappedKey, context: &AccountKeyContext<'_>) {
    let failure = kek.unwrap_account_key(wrapped, context).err();
    assert_eq!(failure, Some(CryptoError::Authentication), "{kek:?} {context:?}");
}

#[test]
fn an_unwrapped_account_key_is_the_one_that_was_wrapped() {
    let key = AccountKey::generate().unwrap();
    let wrapped = kek(1).wrap_account_key(&key, &HOME).unwrap();
    let unwrapped = kek(1).unwrap_account_key(&wrapped, &HOME).unwrap();
    let place = Place::sample();
    let envelope = seal(&key, 1, &place.context(), &Secrets::default()).unwrap();
    assert!(open(&unwrapped, &place.context(), &envelope).is_ok());
}

#[test]
fn an_account_key_is_the_same_as_itself_and_as_no_other() {
    let bytes = [0x5A; 32];
    let key = AccountKey::from_slice(&bytes).unwrap();
    assert!(key.is_same(&AccountKey::from_slice(&bytes).unwrap()));
    for bit in 0..256 {
        let mut other = bytes;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.is_same(&AccountKey::from_slice(&other).unwrap()), "bit {bit}");
    }
}

#[test]
fn the_wrap_is_the_documented_one() {
    let key = known_account_key([0x5A; 32]);
    let wrapped = kek(1).wrap_account_key(&key, &HOME).unwrap();
    let (nonce, sealed) = wrapped.as_bytes().split_at(12);
    let aad = reference::account_key_aad(HOME.deployment_id, HOME.account_sid, HOME.version, kek(1).id().as_str());
    let opened = reference::gcm_open(&[1; 32], nonce.try_into().unwrap(), &aad, sealed);
    assert_eq!(opened.unwrap(), [0x5A; 32]);
}

#[test]
fn a_wrapped_account_key_opens_under_its_root_key_and_in_its_place_only() {
    let key = AccountKey::generate().unwrap();
    let wrapped = kek(1).wrap_account_key(&key, &HOME).unwrap();
    unwrapping_fails(&kek(2), &wrapped, &HOME);
    let other_account = AccountKeyContext {
        account_sid: "AC2",
        ..HOME
    };
    unwrapping_fails(&kek(1), &wrapped, &other_account);
    let other_version = AccountKeyContext { version: 2, ..HOME };
    unwrapping_fails(&kek(1), &wrapped, &other_version);
    let other_deployment = AccountKeyContext {
        deployment_id: &OTHER_DEPLOYMENT,
        ..HOME
    };
    unwrapping_fails(&kek(1), &wrapped, &other_deployment);
}

#[test]
fn an_account_without_a_sid_is_refused() {
    let nobody = AccountKeyContext {
        account_sid: "",
        ..HOME
    };
    let key = AccountKey::generate().unwrap();
    let wrapped = kek(1).wrap_account_key(&key, &nobody);
    assert_eq!(wrapped.err(), Some(CryptoError::MalformedContext));
}

#[test]
fn no_bit_of_a_wrapped_account_key_can_be_flipped() {
    let key = AccountKey::generate().unwrap();
    let wrapped = kek(1).wrap_account_key(&key, &HOME).unwrap();
    for bit in 0..60 * 8 {
        let mut bytes = wrapped.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        unwrapping_fails(&kek(1), &WrappedKey::parse(&bytes).unwrap(), &HOME);
    }
}

#[test]
fn wrapping_twice_draws_two_nonces() {
    let key = AccountKey::generate().unwrap();
    let one = kek(1).wrap_account_key(&key, &HOME).unwrap();
    let other = kek(1).wrap_account_key(&key, &HOME).unwrap();
    assert_ne!(one.as_bytes()[..12], other.as_bytes()[..12]);
}

#[test]
fn lengths_are_checked_when_keys_come_in() {
    for length in (0..100).filter(|length| *length != 32) {
        let failure = KeyEncryptionKey::from_slice(&vec![1; length]).err();
        assert_eq!(failure, Some(CryptoError::KeyLength), "{length} bytes");
    }
    for length in (0..100).filter(|length| *length != 60) {
        let failure = WrappedKey::parse(&vec![1; length]).err();
        assert_eq!(failure, Some(CryptoError::MalformedWrappedKey), "{length} bytes");
    }
}

#[test]
fn the_id_of_a_root_key_is_frozen() {
    // Computed with the Python package `cryptography`, see `tests/decoder/open_envelope.py`.
    let counting: Vec<u8> = (0..32).collect();
    let id = KeyEncryptionKey::from_slice(&counting).unwrap().id();
    assert_eq!(id.as_str(), "kek_a184da120f2454fc");
    assert_eq!(kek(0).id().to_string(), "kek_b8b4490553d0fe10");
}

#[test]
fn the_key_of_a_passphrase_is_frozen() {
    // Computed with Argon2id of the Python package `cryptography`.
    let derived = KeyEncryptionKey::from_passphrase(b"correct horse battery staple", b"sixteen byte sal", CHEAP);
    assert_eq!(derived.unwrap().id().as_str(), "kek_e8c6c0dc1632b904");
}

#[test]
fn passphrase_salt_and_every_cost_change_the_key() {
    let derive =
        |passphrase: &[u8], salt: &[u8], cost| KeyEncryptionKey::from_passphrase(passphrase, salt, cost).unwrap().id();
    let ids = [
        derive(b"passphrase", &[1; 16], CHEAP),
        derive(b"Passphrase", &[1; 16], CHEAP),
        derive(b"passphrase", &[2; 16], CHEAP),
        derive(
            b"passphrase",
            &[1; 16],
            Argon2Cost {
                memory_kib: 72,
                ..CHEAP
            },
        ),
        derive(b"passphrase", &[1; 16], Argon2Cost { iterations: 3, ..CHEAP }),
        derive(
            b"passphrase",
            &[1; 16],
            Argon2Cost {
                parallelism: 1,
                ..CHEAP
            },
        ),
    ];
    for (index, id) in ids.iter().enumerate() {
        assert!(!ids[..index].contains(id), "{index}");
    }
}

#[test]
fn a_passphrase_that_is_no_secret_or_has_no_salt_is_refused() {
    for (passphrase, salt) in [(b"".as_slice(), [1; 16].as_slice()), (b"passphrase", &[1; 15])] {
        let failure = KeyEncryptionKey::from_passphrase(passphrase, salt, CHEAP).err();
        assert_eq!(failure, Some(CryptoError::PassphraseDerivation));
    }
}

#[test]
fn a_cost_out_of_range_is_refused_for_passphrases() {
    let costs = [
        Argon2Cost {
            memory_kib: Argon2Cost::MAX_PASSPHRASE_MEMORY_KIB + 1,
            ..CHEAP
        },
        Argon2Cost {
            iterations: Argon2Cost::MAX_ITERATIONS + 1,
            ..CHEAP
        },
        Argon2Cost {
            memory_kib: 1024,
            parallelism: Argon2Cost::MAX_PARALLELISM + 1,
            ..CHEAP
        },
        Argon2Cost {
            memory_kib: 15,
            ..CHEAP
        },
        Argon2Cost { iterations: 0, ..CHEAP },
        Argon2Cost {
            parallelism: 0,
            ..CHEAP
        },
        Argon2Cost {
            memory_kib: u32::MAX,
            iterations: u32::MAX,
            parallelism: u32::MAX,
        },
    ];
    for cost in costs {
        let failure = KeyEncryptionKey::from_passphrase(b"passphrase", &[1; 16], cost).err();
        assert_eq!(failure, Some(CryptoError::CostOutOfRange), "{cost:?}");
    }
}

#[test]
fn a_key_id_has_one_spelling() {
    let id = kek(7).id();
    assert_eq!(id.as_str().parse::<KekId>(), Ok(id.clone()));
    assert_eq!(format!("{id:?}"), format!("KekId({id})"));
    let long = format!("{id}0");
    for text in [
        "",
        "kek_",
        "a184da120f2454fc",
        "kek_a184da120f2454f",
        "kek_A184DA120F2454FC",
        "KEK_a184da120f2454fc",
        "kek_a184da120f2454fg",
        "kek_a184da120f2454é",
        " kek_a184da120f2454fc",
        &long,
    ] {
        assert_eq!(text.parse::<KekId>(), Err(CryptoError::MalformedKekId), "{text}");
    }
}

#[test]
fn debug_names_a_root_key_by_its_id_and_shows_no_key() {
    assert_eq!(format!("{:?}", kek(7)), format!("KeyEncryptionKey({})", kek(7).id()));
    assert_eq!(format!("{:?}", known_account_key([7; 32])), "AccountKey([REDACTED])");
}

proptest! {
    #[test]
    fn a_garbled_wrapped_key_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(wrapped) = WrappedKey::parse(&bytes) {
            prop_assert!(kek(1).unwrap_account_key(&wrapped, &HOME).is_err());
        }
    }

    #[test]
    fn the_id_of_a_root_key_is_the_documented_one(bytes in any::<[u8; 32]>()) {
        let id = KeyEncryptionKey::from_slice(&bytes).unwrap().id();
        prop_assert_eq!(id.as_str(), reference::kek_id(&bytes));
        prop_assert_eq!(id.as_str().parse::<KekId>().unwrap(), id);
    }
}
