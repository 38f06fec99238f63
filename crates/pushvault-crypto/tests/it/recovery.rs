//! Copies of account keys for a recovery recipient: files of age, bound to the place of the key.

use proptest::prelude::*;
use pushvault_crypto::{AccountKey, AccountKeyContext, CryptoError, DeploymentId, RecoveryKey, RecoveryRecipient};
use secrecy::ExposeSecret;

const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes(*b"deployment-one--");
const OTHER_DEPLOYMENT: DeploymentId = DeploymentId::from_bytes(*b"deployment-two--");
const HOME: AccountKeyContext<'_> = AccountKeyContext {
    deployment_id: &DEPLOYMENT,
    account_sid: "AC00000000000000000000000000000001",
    version: 3,
};
const KEY: [u8; 32] = *b"frozen account key A, all public";

/// What the program `age` 1.1.1 wrote for the key pair in `identity.txt`, from the plaintext that `docs/crypto.md` tells of.
const BY_AGE: &[u8] = include_bytes!("../data/recovery/by_age.age");
const IDENTITY: &str = include_str!("../data/recovery/identity.txt");

fn frozen() -> RecoveryKey {
    RecoveryKey::parse(IDENTITY.lines().last().unwrap()).unwrap()
}

fn copy() -> Vec<u8> {
    let key = AccountKey::from_slice(&KEY).unwrap();
    frozen().recipient().wrap(&key, &HOME).unwrap()
}

fn failure(copy: &[u8], context: &AccountKeyContext<'_>) -> Option<CryptoError> {
    frozen().unwrap(copy, context).err()
}

#[test]
fn a_file_that_age_wrote_opens() {
    assert_eq!(*frozen().unwrap(BY_AGE, &HOME).unwrap().expose(), KEY);
}

#[test]
fn a_copy_opens_with_the_private_half_and_has_the_length_of_the_one_that_age_wrote() {
    let copy = copy();
    assert_eq!(*frozen().unwrap(&copy, &HOME).unwrap().expose(), KEY);
    assert_eq!(copy.len(), BY_AGE.len());
    assert!(copy.starts_with(b"age-encryption.org/v1\n-> X25519 "));
}

#[test]
fn a_key_pair_is_written_as_age_writes_it_and_read_back() {
    let mut lines = IDENTITY.lines();
    let (recipient, identity) = (lines.next().unwrap(), lines.next().unwrap());
    let recipient = recipient.strip_prefix("# public key: ").unwrap();
    assert_eq!(frozen().recipient().encode().unwrap(), recipient);
    assert_eq!(RecoveryRecipient::parse(recipient).unwrap(), frozen().recipient());
    assert_eq!(frozen().encode().unwrap().expose_secret(), identity);
    let drawn = RecoveryKey::generate().unwrap();
    let read = RecoveryKey::parse(drawn.encode().unwrap().expose_secret()).unwrap();
    assert_eq!(read.recipient(), drawn.recipient());
    assert_ne!(drawn.recipient(), frozen().recipient());
    assert_eq!(format!("{drawn:?}"), "RecoveryKey([REDACTED])");
}

#[test]
fn what_is_no_key_pair_is_refused() {
    let recipient = frozen().recipient().encode().unwrap();
    let identity = frozen().encode().unwrap().expose_secret().to_owned();
    for text in [
        "",
        "age1",
        &recipient.to_uppercase(),
        &recipient[..61],
        &recipient.replace('q', "p"),
        &format!("{recipient} "),
        &identity,
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    ] {
        assert_eq!(
            RecoveryRecipient::parse(text),
            Err(CryptoError::MalformedRecipient),
            "{text}"
        );
    }
    for text in [
        "",
        "AGE-SECRET-KEY-1",
        &identity[1..],
        &recipient,
        &format!("{identity}Q"),
    ] {
        assert_eq!(
            RecoveryKey::parse(text).err(),
            Some(CryptoError::MalformedIdentity),
            "{text}"
        );
    }
}

#[test]
fn a_copy_opens_in_its_place_only() {
    let copy = copy();
    for context in [
        AccountKeyContext {
            deployment_id: &OTHER_DEPLOYMENT,
            ..HOME
        },
        AccountKeyContext {
            account_sid: "AC00000000000000000000000000000002",
            ..HOME
        },
        AccountKeyContext { version: 4, ..HOME },
    ] {
        assert_eq!(failure(&copy, &context), Some(CryptoError::WrongPlace), "{context:?}");
    }
    assert_eq!(
        RecoveryKey::generate().unwrap().unwrap(&copy, &HOME).err(),
        Some(CryptoError::Authentication)
    );
}

#[test]
fn a_share_of_low_order_opens_nothing() {
    let copy = copy();
    let mut forged = copy.clone();
    forged[32..75].copy_from_slice(&[b'A'; 43]);
    assert_eq!(failure(&forged, &HOME), Some(CryptoError::Authentication));
}

#[test]
fn no_copy_opens_after_a_change_of_any_bit_or_length() {
    let copy = copy();
    for at in 0..copy.len() {
        for bit in 0..8 {
            let mut changed = copy.clone();
            changed[at] ^= 1 << bit;
            assert!(failure(&changed, &HOME).is_some(), "byte {at}, bit {bit}");
        }
        assert!(failure(&copy[..at], &HOME).is_some(), "{at} bytes");
    }
    assert!(failure(&[copy.as_slice(), b"\0"].concat(), &HOME).is_some());
}

#[test]
fn no_two_copies_are_alike() {
    assert_ne!(copy(), copy());
}

proptest! {
    #[test]
    fn rubbish_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0_usize..347) {
        prop_assert!(failure(&bytes, &HOME).is_some());
        let spliced = [&BY_AGE[..cut], &bytes].concat();
        prop_assert!(failure(&spliced, &HOME).is_some());
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(RecoveryRecipient::parse(&text).is_err() && RecoveryKey::parse(&text).is_err());
    }
}
