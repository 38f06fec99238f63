//! The key that vouches for rows, and the verifiers of tokens: held against formulas that are written down a second time.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pushvault_crypto::{
    AccountKey, AccountKeyContext, CryptoError, DeploymentId, IntegrityKey, IntegrityKeyContext, KekId,
    KeyEncryptionKey, RecoveryKey, WrappedKey,
};
use sha2::Sha256;

const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes(*b"deployment-one--");
const OTHER_DEPLOYMENT: DeploymentId = DeploymentId::from_bytes(*b"deployment-two--");

fn kek(byte: u8) -> KeyEncryptionKey {
    KeyEncryptionKey::from_slice(&[byte; 32]).unwrap()
}

fn context<'a>(deployment_id: &'a DeploymentId, key_id: &'a str) -> IntegrityKeyContext<'a> {
    IntegrityKeyContext { deployment_id, key_id }
}

fn field(bytes: &[u8]) -> Vec<u8> {
    [&u64::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// HMAC-SHA-256 under a key that HKDF gives, over fields.
fn reference(seed: &[u8], tag: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = [0; 64];
    let info = field(tag.as_bytes());
    Hkdf::<Sha256>::new(None, seed).expand(&info, &mut key).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(&field(tag.as_bytes()));
    for part in parts {
        mac.update(&field(part));
    }
    mac.finalize().into_bytes().to_vec()
}

/// The seed of a key, as the recovery recipient is given it.
fn seed_of(packed: &[u8]) -> &[u8] {
    &packed[..32]
}

#[test]
fn macs_and_verifiers_are_what_the_formulas_say() {
    let key = IntegrityKey::generate().unwrap();
    let name = key.name();
    let packed = key.pack(&context(&DEPLOYMENT, &name), &kek(1).id()).unwrap();
    let seed = seed_of(&packed);
    assert_eq!(
        key.row_mac(b"a row").as_slice(),
        reference(seed, "pushvault/v1/row-mac", &[b"a row"])
    );
    assert_eq!(
        key.token_verifier("AC1", "SK1", "token").as_slice(),
        reference(seed, "pushvault/v1/token-verifier", &[b"AC1", b"SK1", b"token"])
    );
    let mut id = [0; 8];
    Hkdf::<Sha256>::new(None, seed)
        .expand(&field(b"pushvault/v1/integrity-key-id"), &mut id)
        .unwrap();
    assert_eq!(key.id(), id);
}

#[test]
fn a_mac_fits_its_row_and_its_key_alone() {
    let (key, other) = (IntegrityKey::generate().unwrap(), IntegrityKey::generate().unwrap());
    let mac = key.row_mac(b"a row");
    assert!(key.verify_row(b"a row", &mac));
    assert!(!key.verify_row(b"a rox", &mac));
    assert!(!other.verify_row(b"a row", &mac));
    for length in 0..mac.len() {
        assert!(!key.verify_row(b"a row", &mac[..length]), "{length} bytes");
    }
    for bit in 0..256 {
        let mut flipped = mac;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.verify_row(b"a row", &flipped), "bit {bit}");
    }
}

#[test]
fn a_verifier_fits_its_account_its_owner_and_its_token_alone() {
    let key = IntegrityKey::generate().unwrap();
    let verifier = key.token_verifier("AC1", "SK1", "token");
    assert!(key.verify_token("AC1", "SK1", "token", &verifier));
    for (account, owner, token) in [
        ("AC2", "SK1", "token"),
        ("AC1", "SK2", "token"),
        ("AC1", "SK1", "tokem"),
        ("AC1", "SK1t", "oken"),
        ("AC1S", "K1", "token"),
        ("AC1", "SK1", ""),
    ] {
        assert!(
            !key.verify_token(account, owner, token, &verifier),
            "{account} {owner} {token}"
        );
    }
    assert!(!key.verify_token("AC1", "SK1", "token", &verifier[..31]));
    assert!(
        !IntegrityKey::generate()
            .unwrap()
            .verify_token("AC1", "SK1", "token", &verifier)
    );
    assert!(!key.verify_row(b"token", &verifier));
}

#[test]
fn a_wrapped_key_comes_back_in_its_place_only() {
    let key = IntegrityKey::generate().unwrap();
    let name = key.name();
    let home = context(&DEPLOYMENT, &name);
    let wrapped = kek(1).wrap_integrity_key(&key, &home).unwrap();
    assert!(kek(1).unwrap_integrity_key(&wrapped, &home).unwrap().is_same(&key));
    let lost = |result: Result<IntegrityKey, CryptoError>| assert_eq!(result.err(), Some(CryptoError::Authentication));
    lost(kek(2).unwrap_integrity_key(&wrapped, &home));
    lost(kek(1).unwrap_integrity_key(&wrapped, &context(&OTHER_DEPLOYMENT, &name)));
    lost(kek(1).unwrap_integrity_key(&wrapped, &context(&DEPLOYMENT, "ik_0")));
    for index in 0..wrapped.as_bytes().len() {
        let mut bytes = wrapped.as_bytes().to_vec();
        bytes[index] ^= 1;
        lost(kek(1).unwrap_integrity_key(&WrappedKey::parse(&bytes).unwrap(), &home));
    }
    // A key of another kind does not pass for one.
    let account = AccountKeyContext {
        deployment_id: &DEPLOYMENT,
        account_sid: &name,
        version: 1,
    };
    let of_account = kek(1).wrap_account_key(&AccountKey::generate().unwrap(), &account);
    lost(kek(1).unwrap_integrity_key(&of_account.unwrap(), &home));
}

#[test]
fn a_packed_key_comes_back_in_its_place_only() {
    let key = IntegrityKey::generate().unwrap();
    let name = key.name();
    let home = context(&DEPLOYMENT, &name);
    let kek_id = KekId::external(&["transit", "one"]);
    let packed = key.pack(&home, &kek_id).unwrap();
    assert!(IntegrityKey::unpack(&packed, &home, &kek_id).unwrap().is_same(&key));
    for (context, kek_id) in [
        (context(&OTHER_DEPLOYMENT, &name), &kek_id),
        (context(&DEPLOYMENT, "ik_0"), &kek_id),
        (home, &KekId::external(&["transit", "two"])),
    ] {
        let unpacked = IntegrityKey::unpack(&packed, &context, kek_id);
        assert_eq!(unpacked.err(), Some(CryptoError::Authentication));
    }
}

#[test]
fn a_recovery_copy_opens_for_its_recipient_and_its_place_only() {
    let (key, recovery) = (IntegrityKey::generate().unwrap(), RecoveryKey::generate().unwrap());
    let name = key.name();
    let home = context(&DEPLOYMENT, &name);
    let copy = recovery.recipient().wrap_integrity_key(&key, &home).unwrap();
    assert!(recovery.unwrap_integrity_key(&copy, &home).unwrap().is_same(&key));
    for place in [context(&OTHER_DEPLOYMENT, &name), context(&DEPLOYMENT, "ik_0")] {
        assert_eq!(
            recovery.unwrap_integrity_key(&copy, &place).err(),
            Some(CryptoError::WrongPlace)
        );
    }
    assert!(
        RecoveryKey::generate()
            .unwrap()
            .unwrap_integrity_key(&copy, &home)
            .is_err()
    );
    // The copy of an account key is none of an integrity key, and the other way round.
    let account = AccountKeyContext {
        deployment_id: &DEPLOYMENT,
        account_sid: &name,
        version: 1,
    };
    assert!(recovery.unwrap(&copy, &account).is_err());
    let of_account = recovery
        .recipient()
        .wrap(&AccountKey::generate().unwrap(), &account)
        .unwrap();
    assert!(recovery.unwrap_integrity_key(&of_account, &home).is_err());
}

#[test]
fn nothing_of_the_key_is_printed() {
    let key = IntegrityKey::generate().unwrap();
    assert_eq!(format!("{key:?}"), format!("IntegrityKey({})", key.name()));
}
