//! Decision 5: PEM as people paste it.

use super::{LIST, create, sid};
use crate::harness::{
    ENCRYPTED_KEY, OTHER_KEY, TestApp, apns_certificate, apns_pair, apns_private_key, canonical_pem, percent_encoded,
};

#[tokio::test]
async fn what_a_paste_does_to_pem_is_undone() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let (certificate, key) = (apns_certificate(), apns_private_key());
    let damages: [fn(&str) -> String; 7] = [
        str::to_owned,
        |pem| pem.trim_end().to_owned(),
        |pem| pem.replace('\n', "\r\n"),
        |pem| pem.replace('\n', "\\n"),
        |pem| pem.replace('\n', ""),
        |pem| pem.replace('\n', " "),
        |pem| format!("Bag Attributes\n    friendlyName: x\n{pem}trailing words"),
    ];
    for (number, damage) in damages.iter().enumerate() {
        let form = [
            ("Type", "apn"),
            ("Certificate", &damage(&certificate)),
            ("PrivateKey", &damage(&key)),
        ];
        let created = create(&owner, &form).await;
        let opened = app.opened(sid(&created)).await;
        assert_eq!(opened[0].certificate.as_ref(), Some(&certificate), "damage {number}");
        assert_eq!(opened[0].private_key.as_ref(), Some(&key), "damage {number}");
    }
}

#[tokio::test]
async fn a_second_form_encoding_and_an_unescaped_plus_are_undone() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let key = apns_private_key();
    assert!(key.contains('+') && key.contains('/'), "the fixture shows nothing");
    for value in [percent_encoded(key.as_bytes()), key.replace('+', " ")] {
        let created = create(&owner, &[("Type", "apn"), ("PrivateKey", &value)]).await;
        assert_eq!(app.opened(sid(&created)).await[0].private_key.as_ref(), Some(&key));
    }
}

#[tokio::test]
async fn keys_of_every_usual_header_are_taken() {
    let app = TestApp::spawn().await;
    let elliptic = include_str!("../../data/ec-sec1-key.pem");
    for (pem, label) in [
        (apns_pair(), "PRIVATE KEY"),
        (OTHER_KEY, "RSA PRIVATE KEY"),
        (elliptic, "EC PRIVATE KEY"),
    ] {
        let created = create(&app.account("a"), &[("Type", "apn"), ("PrivateKey", pem)]).await;
        assert_eq!(
            app.opened(sid(&created)).await[0].private_key,
            Some(canonical_pem(pem, label))
        );
    }
}

#[tokio::test]
async fn a_pair_that_does_not_match_is_accepted_by_default() {
    let app = TestApp::spawn().await;
    let form = [("Type", "apn"), ("Certificate", apns_pair()), ("PrivateKey", OTHER_KEY)];
    create(&app.account("a"), &form).await;
}

#[tokio::test]
async fn what_cannot_be_parsed_is_refused_in_the_contracts_words_with_what_to_do() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let cut_off = apns_certificate().replacen("MII", "MI", 1);
    let certificate = "Could not parse certificate";
    let key = "Could not parse private key";
    for (parameter, value, begins, says) in [
        ("Certificate", "nonsense", certificate, "-----BEGIN CERTIFICATE-----"),
        ("Certificate", &cut_off, certificate, "not a whole X.509 certificate"),
        ("Certificate", OTHER_KEY, certificate, "send that as PrivateKey"),
        ("PrivateKey", "nonsense", key, "-----BEGIN PRIVATE KEY-----"),
        ("PrivateKey", &apns_certificate(), key, "send that as Certificate"),
        ("PrivateKey", ENCRYPTED_KEY, key, "encrypted with a passphrase"),
    ] {
        let answer = owner.post(LIST, &[("Type", "apn"), (parameter, value)]).await;
        let body = answer.json(400);
        let message = body["message"].as_str().unwrap();
        assert!(
            message.starts_with(begins) && message.contains(says),
            "{parameter}: {message}"
        );
        answer.is_error(400, 20001, message);
    }
}
