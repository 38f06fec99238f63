//! Signing keys, and the signed notes that they write.

use data_encoding::{BASE64, HEXLOWER};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pushvault_crypto::{
    AccountKeyContext, CryptoError, DeploymentId, KeyEncryptionKey, SignaturePublicKey, SigningKey, SigningKeyContext,
    WrappedKey,
};

use sha2::Sha256;

use crate::reference;

const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes(*b"deployment-one--");
const OTHER_DEPLOYMENT: DeploymentId = DeploymentId::from_bytes(*b"deployment-two--");
const HOME: SigningKeyContext<'_> = SigningKeyContext {
    deployment_id: &DEPLOYMENT,
    key_id: "vault+00000000",
};

fn kek(byte: u8) -> KeyEncryptionKey {
    KeyEncryptionKey::from_slice(&[byte; 32]).unwrap()
}

/// The key of the second test of RFC 8032, section 7.1.
fn known() -> SigningKey {
    let seed = HEXLOWER.decode(b"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    SigningKey::from_slice(&seed.unwrap()).unwrap()
}

#[test]
fn the_public_key_is_that_of_rfc_8032() {
    let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    assert_eq!(HEXLOWER.encode(known().public_key().as_bytes()), public);
}

#[test]
fn the_public_key_in_pem_is_that_of_rfc_8410() {
    let seed = HEXLOWER.decode(b"d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842");
    let key = SigningKey::from_slice(&seed.unwrap()).unwrap();
    let spki = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    assert_eq!(key.public_key().spki(), spki);
}

/// The key pair and the note in the documentation of the first program that signed notes, Go's `sumdb/note`.
#[test]
fn a_note_of_another_program_verifies_and_is_signed_in_the_same_way() {
    let seed = BASE64.decode(b"AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz").unwrap();
    let key = SigningKey::from_slice(&seed[1..]).unwrap();
    let public = BASE64.decode(b"ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
    assert_eq!(key.public_key().as_bytes().as_slice(), &public[1..]);
    assert_eq!(key.public_key().id("PeterNeumann"), "PeterNeumann+c74f20a3");

    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    let note = format!(
        "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    );
    assert_eq!(key.public_key().verify_note("PeterNeumann", &note), Ok(text));
    assert_eq!(key.sign_note("PeterNeumann", text).unwrap(), note);
}

#[test]
fn a_verifier_key_is_read_as_it_is_written_and_no_other_text_is_one() {
    // The verifier key in the documentation of Go's `sumdb/note`.
    let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let (name, key) = SignaturePublicKey::parse_verifier_key(text).unwrap();
    assert_eq!((name, key.verifier_key(name).as_str()), ("PeterNeumann", text));
    for other in [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumanN+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
    ] {
        assert!(SignaturePublicKey::parse_verifier_key(other).is_err(), "{other}");
    }
}

#[test]
fn the_key_of_audit_events_is_the_documented_one() {
    let info = reference::field(b"pushvault/v1/audit-mac");
    let mut key = [0; 64];
    Hkdf::<Sha256>::new(None, known().expose())
        .expand(&info, &mut key)
        .unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(&[reference::field(b"tag"), reference::field(b"event")].concat());
    let digest = known().audit_mac_key().unwrap().digest(&[b"tag", b"event"]);
    assert_eq!(digest.as_slice(), mac.finalize().into_bytes().as_slice());
}

#[test]
fn a_note_verifies_and_a_changed_one_does_not() {
    let (key, text) = (known(), "first line\n\nlast line\n");
    let note = key.sign_note("vault", text).unwrap();
    assert!(note.starts_with("first line\n\nlast line\n\n\u{2014} vault "), "{note}");
    assert_eq!(key.public_key().verify_note("vault", &note), Ok(text));

    let other = SigningKey::generate().unwrap();
    assert!(other.public_key().verify_note("vault", &note).is_err());
    assert!(key.public_key().verify_note("other", &note).is_err());
    for changed in [
        note.replace("first", "other"),
        note.replace("vault", "vaults"),
        format!("{note}\n"),
        note.trim_end().to_owned(),
        text.to_owned(),
        String::new(),
        note.replacen("AAA", "AAB", 1)
            .replace("\u{2014} vault ", "\u{2014} vault A"),
    ] {
        assert_eq!(
            key.public_key().verify_note("vault", &changed),
            Err(CryptoError::Authentication),
            "{changed}"
        );
    }
}

#[test]
fn what_is_no_note_is_not_signed() {
    for (name, text) in [
        ("vault", "no end"),
        ("", "t\n"),
        ("a b", "t\n"),
        ("a+b", "t\n"),
        ("a\nb", "t\n"),
        ("vault", ""),
    ] {
        assert_eq!(known().sign_note(name, text).err(), Some(CryptoError::MalformedContext));
    }
}

#[test]
fn the_wrap_is_the_documented_one() {
    let wrapped = kek(1).wrap_signing_key(&known(), &HOME).unwrap();
    let (nonce, sealed) = wrapped.as_bytes().split_at(12);
    let aad = [
        reference::field(b"pushvault/v1/signing-key"),
        reference::field(DEPLOYMENT.as_bytes()),
        reference::field(HOME.key_id.as_bytes()),
        reference::field(kek(1).id().as_str().as_bytes()),
    ];
    let opened = reference::gcm_open(&[1; 32], nonce.try_into().unwrap(), &aad.concat(), sealed);
    assert_eq!(opened.unwrap(), known().expose());
}

#[test]
fn a_wrapped_signing_key_opens_in_its_place_only_and_is_no_account_key() {
    let wrapped = kek(1).wrap_signing_key(&known(), &HOME).unwrap();
    let opened = kek(1).unwrap_signing_key(&wrapped, &HOME).unwrap();
    assert_eq!(opened.public_key(), known().public_key());
    let fails = |kek: &KeyEncryptionKey, wrapped: &WrappedKey, context: &SigningKeyContext<'_>| {
        assert_eq!(
            kek.unwrap_signing_key(wrapped, context).err(),
            Some(CryptoError::Authentication)
        );
    };
    fails(&kek(2), &wrapped, &HOME);
    fails(
        &kek(1),
        &wrapped,
        &SigningKeyContext {
            key_id: "vault+00000001",
            ..HOME
        },
    );
    let elsewhere = SigningKeyContext {
        deployment_id: &OTHER_DEPLOYMENT,
        ..HOME
    };
    fails(&kek(1), &wrapped, &elsewhere);
    let account = AccountKeyContext {
        deployment_id: &DEPLOYMENT,
        account_sid: HOME.key_id,
        version: 1,
    };
    assert!(kek(1).unwrap_account_key(&wrapped, &account).is_err());
    assert_eq!(format!("{opened:?}"), "SigningKey([REDACTED])");
}
