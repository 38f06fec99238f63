//! Every refusal of a parameter, in one snapshot: code, status and message as callers see them.

use std::fmt::Write as _;

use super::{LIST, create, path, sid};
use crate::harness::{ENCRYPTED_KEY, TestApp, apns_pair, assert_matches_snapshot};

#[tokio::test]
async fn refusals_name_the_parameter_and_what_to_do_decisions_3_13_and_23() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let long = "x".repeat(65);
    let cases: [(&str, &[(&str, &str)]); 19] = [
        ("no Type", &[]),
        ("empty Type", &[("Type", "")]),
        ("unknown Type", &[("Type", "apns")]),
        ("Sandbox of another word", &[("Type", "apn"), ("Sandbox", "yes")]),
        ("Sandbox as a number", &[("Type", "apn"), ("Sandbox", "1")]),
        ("Sandbox where there is none", &[("Type", "fcm"), ("Sandbox", "x")]),
        ("65 characters", &[("Type", "apn"), ("FriendlyName", &long)]),
        ("a zero in a name", &[("Type", "apn"), ("FriendlyName", "a\0b")]),
        ("Secret on apn", &[("Type", "apn"), ("Secret", "x")]),
        ("ApiKey on apn", &[("Type", "apn"), ("ApiKey", "x")]),
        ("ApiKey on fcm", &[("Type", "fcm"), ("ApiKey", "x")]),
        ("Certificate on fcm", &[("Type", "fcm"), ("Certificate", apns_pair())]),
        ("Secret on gcm", &[("Type", "gcm"), ("Secret", "x")]),
        ("PrivateKey on gcm", &[("Type", "gcm"), ("PrivateKey", apns_pair())]),
        ("Certificate of nonsense", &[("Type", "apn"), ("Certificate", "x")]),
        (
            "Certificate that is a key",
            &[("Type", "apn"), ("Certificate", ENCRYPTED_KEY)],
        ),
        ("PrivateKey of nonsense", &[("Type", "apn"), ("PrivateKey", "x")]),
        (
            "PrivateKey with a passphrase",
            &[("Type", "apn"), ("PrivateKey", ENCRYPTED_KEY)],
        ),
        (
            "a good key in a bad company",
            &[("Type", "apn"), ("PrivateKey", apns_pair()), ("Certificate", "x")],
        ),
    ];
    let mut text = String::new();
    for (name, form) in cases {
        let body = owner.post(LIST, form).await.json(400);
        assert_eq!(body["code"], 20001, "{name}");
        writeln!(text, "{name}: {}", body["message"].as_str().unwrap()).unwrap();
    }
    assert_matches_snapshot!("refusals_on_create", text);
    let count: i64 = sqlx::query_scalar("select count(*) from credentials")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(count, 0, "a refused create left something");
}

#[tokio::test]
async fn refusals_on_update_are_the_same() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = create(&owner, &[("Type", "fcm"), ("Secret", "s")]).await;
    let long = "x".repeat(65);
    let cases: [(&str, &[(&str, &str)]); 6] = [
        ("another Type", &[("Type", "apn")]),
        ("unknown Type", &[("Type", "x")]),
        ("Sandbox of another word", &[("Sandbox", "yes")]),
        ("65 characters", &[("FriendlyName", &long)]),
        ("ApiKey on fcm", &[("ApiKey", "x")]),
        ("Certificate on fcm", &[("Certificate", apns_pair())]),
    ];
    let mut text = String::new();
    for (name, form) in cases {
        let body = owner.post(&path(&created), form).await.json(400);
        writeln!(text, "{name}: {}", body["message"].as_str().unwrap()).unwrap();
    }
    assert_matches_snapshot!("refusals_on_update", text);
    assert_eq!(app.opened(sid(&created)).await.len(), 1);
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_refused_by_the_parameters_name() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for parameter in [
        "Type",
        "FriendlyName",
        "Sandbox",
        "Certificate",
        "PrivateKey",
        "ApiKey",
        "Secret",
    ] {
        let body = format!("{parameter}=%ff%fe");
        let answer = owner.post_body(LIST, "application/x-www-form-urlencoded", body).await;
        let message = format!("Invalid value for parameter {parameter}: send text in UTF-8");
        answer.is_error(400, 20001, &message);
    }
}

#[tokio::test]
async fn a_secret_longer_than_can_be_sealed_is_refused_by_name() {
    // 65 532 bytes fit into an envelope; the body may have four times as many.
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for (push_service, parameter) in [("fcm", "Secret"), ("gcm", "ApiKey")] {
        let fits = "x".repeat(65_532);
        let created = create(&owner, &[("Type", push_service), (parameter, &fits)]).await;
        let too_long = "x".repeat(65_533);
        for target in [LIST.to_owned(), path(&created)] {
            let answer = owner
                .post(&target, &[("Type", push_service), (parameter, &too_long)])
                .await;
            let body = answer.json(400);
            assert_eq!(body["code"], 20001);
            assert!(body["message"].as_str().unwrap().contains(parameter), "{body}");
        }
    }
    let chain = crate::harness::apns_certificate().repeat(60);
    let answer = owner.post(LIST, &[("Type", "apn"), ("Certificate", &chain)]).await;
    assert!(answer.json(400)["message"].as_str().unwrap().contains("ertificate"));
}
