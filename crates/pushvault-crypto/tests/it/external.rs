//! What a provider that keeps the root key to itself is given, and what is taken back from it. The values were computed by
//! a script of a few lines, from `docs/crypto.md` alone.

use data_encoding::HEXLOWER;
use pushvault_crypto::{
    AccountKey, AccountKeyContext, CryptoError, DeploymentId, KekId, RootSeed, SigningKey, SigningKeyContext,
};

const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes(*b"deployment-one--");
const OTHER_DEPLOYMENT: DeploymentId = DeploymentId::from_bytes(*b"deployment-two--");
const HOME: AccountKeyContext<'_> = AccountKeyContext {
    deployment_id: &DEPLOYMENT,
    account_sid: "AC00000000000000000000000000000001",
    version: 1,
};
const OF_SIGNING_KEY: SigningKeyContext<'_> = SigningKeyContext {
    deployment_id: &DEPLOYMENT,
    key_id: "vault+00000000",
};

fn transit() -> KekId {
    KekId::external(&["transit", "", "transit", "pushvault"])
}

fn known_bytes() -> Vec<u8> {
    (0..32).collect()
}

#[test]
fn the_id_of_an_external_key_tells_its_names_apart() {
    let aws = KekId::external(&["aws-kms", "1234abcd-12ab-34cd-56ef-1234567890ab"]);
    let of_team = KekId::external(&["transit", "team", "transit", "pushvault"]);
    assert_eq!(transit().as_str(), "kek_977d99dfef36ba22");
    assert_eq!(aws.as_str(), "kek_effac6ff2a840f90");
    assert_eq!(of_team.as_str(), "kek_fc578cd9d79c90bf");
    assert_ne!(KekId::external(&["a", "bc"]), KekId::external(&["ab", "c"]));
}

#[test]
fn the_packed_keys_are_the_documented_ones() {
    let check = "3f10aa67805ea22bb340c02f09000fd99bd54b8e1d8f31fa281d31e5a9a9313d";
    let packed = AccountKey::from_slice(&known_bytes())
        .unwrap()
        .pack(&HOME, &transit())
        .unwrap();
    assert_eq!(packed[..32], known_bytes());
    assert_eq!(HEXLOWER.encode(&packed[32..]), check);
    assert_eq!(
        HEXLOWER.encode(&HOME.associated_data(&transit()).unwrap()),
        "0000000000000018707573687661756c742f76312f6163636f756e742d6b6579\
         00000000000000106465706c6f796d656e742d6f6e652d2d\
         000000000000002241433030303030303030303030303030303030303030303030303030303030303031\
         000000000000000400000001\
         00000000000000146b656b5f39373764393964666566333662613232"
    );

    let check = "c580994d417c6a1b16aab70e7b494d60fa35349ef520d1b447fe5dd220864d0e";
    let packed = [known_bytes(), HEXLOWER.decode(check.as_bytes()).unwrap()].concat();
    let seed = RootSeed::unpack(&packed, &transit()).unwrap();
    assert_eq!(*seed.pack(&transit()).unwrap(), packed);
    assert_eq!(
        HEXLOWER.encode(&RootSeed::associated_data(&transit())),
        "0000000000000016707573687661756c742f76312f726f6f742d73656564\
         00000000000000146b656b5f39373764393964666566333662613232"
    );
}

#[test]
fn the_packed_signing_key_is_the_documented_one() {
    let check = "30138f5a0c5501685d29ec33342b3f1fed6e659f7250c598b41425eb2ee5116e";
    let packed = SigningKey::from_slice(&known_bytes())
        .unwrap()
        .pack(&OF_SIGNING_KEY, &transit())
        .unwrap();
    assert_eq!(packed[..32], known_bytes());
    assert_eq!(HEXLOWER.encode(&packed[32..]), check);
    assert_eq!(
        HEXLOWER.encode(&OF_SIGNING_KEY.associated_data(&transit()).unwrap()),
        "0000000000000018707573687661756c742f76312f7369676e696e672d6b6579\
         00000000000000106465706c6f796d656e742d6f6e652d2d\
         000000000000000e7661756c742b3030303030303030\
         00000000000000146b656b5f39373764393964666566333662613232"
    );
}

#[test]
fn a_packed_signing_key_is_taken_back_in_its_place_only_and_is_no_account_key() {
    let key = SigningKey::generate().unwrap();
    let packed = key.pack(&OF_SIGNING_KEY, &transit()).unwrap();
    let back = SigningKey::unpack(&packed, &OF_SIGNING_KEY, &transit()).unwrap();
    assert_eq!(back.expose(), key.expose());

    let elsewhere = [
        SigningKeyContext {
            deployment_id: &OTHER_DEPLOYMENT,
            ..OF_SIGNING_KEY
        },
        SigningKeyContext {
            key_id: "vault+00000001",
            ..OF_SIGNING_KEY
        },
    ];
    for context in elsewhere {
        let refused = SigningKey::unpack(&packed, &context, &transit()).err();
        assert_eq!(refused, Some(CryptoError::Authentication), "{context:?}");
    }
    let other = KekId::external(&["transit", "", "transit", "other"]);
    assert!(SigningKey::unpack(&packed, &OF_SIGNING_KEY, &other).is_err());
    assert!(AccountKey::unpack(&packed, &HOME, &transit()).is_err());
    let nameless = SigningKeyContext {
        key_id: "",
        ..OF_SIGNING_KEY
    };
    let refused = key.pack(&nameless, &transit()).err();
    assert_eq!(refused, Some(CryptoError::MalformedContext));
}

#[test]
fn a_packed_key_is_taken_back_in_its_place_only() {
    let key = AccountKey::generate().unwrap();
    let packed = key.pack(&HOME, &transit()).unwrap();
    let back = AccountKey::unpack(&packed, &HOME, &transit()).unwrap();
    assert_eq!(back.expose(), key.expose());

    let elsewhere = [
        AccountKeyContext {
            deployment_id: &OTHER_DEPLOYMENT,
            ..HOME
        },
        AccountKeyContext {
            account_sid: "AC00000000000000000000000000000002",
            ..HOME
        },
        AccountKeyContext { version: 2, ..HOME },
    ];
    for context in elsewhere {
        let refused = AccountKey::unpack(&packed, &context, &transit()).err();
        assert_eq!(refused, Some(CryptoError::Authentication), "{context:?}");
    }
    let other = KekId::external(&["transit", "", "transit", "other"]);
    assert!(AccountKey::unpack(&packed, &HOME, &other).is_err());
    // An account key is no seed, and a seed no account key.
    assert!(RootSeed::unpack(&packed, &transit()).is_err());
    let seed = RootSeed::generate().unwrap().pack(&transit()).unwrap();
    assert!(AccountKey::unpack(&seed, &HOME, &transit()).is_err());
}

#[test]
fn no_altered_and_no_cut_byte_is_taken_back() {
    let packed = AccountKey::generate().unwrap().pack(&HOME, &transit()).unwrap();
    for at in 0..packed.len() {
        let mut altered = packed.clone();
        altered[at] ^= 1;
        assert!(AccountKey::unpack(&altered, &HOME, &transit()).is_err(), "byte {at}");
    }
    for length in 0..packed.len() {
        assert!(
            AccountKey::unpack(&packed[..length], &HOME, &transit()).is_err(),
            "{length}"
        );
    }
    let longer = [packed.as_slice(), &[0]].concat();
    assert!(AccountKey::unpack(&longer, &HOME, &transit()).is_err());
}

#[test]
fn a_seed_gives_the_page_token_key_that_the_same_root_key_would() {
    let check = "c580994d417c6a1b16aab70e7b494d60fa35349ef520d1b447fe5dd220864d0e";
    let packed = [known_bytes(), HEXLOWER.decode(check.as_bytes()).unwrap()].concat();
    let of_seed = RootSeed::unpack(&packed, &transit()).unwrap().page_token_key().unwrap();
    let kek = pushvault_crypto::KeyEncryptionKey::from_slice(&known_bytes()).unwrap();
    assert_eq!(of_seed.digest(&[b"x"]), kek.page_token_key().unwrap().digest(&[b"x"]));
}
