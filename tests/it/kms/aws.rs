//! AWS KMS, as moto has it.

use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use pushvault::config::{AwsKmsSettings, KekSettings};
use serde_json::json;

use super::servers::Moto;
use super::{
    app_that_knows_a, app_with, create, findings, is_unavailable, move_key_of_a_to_b, readiness, registered, until,
    works_throughout,
};
use crate::harness::{Gate, Log};

fn settings(url: &str, arn: &str) -> AwsKmsSettings {
    AwsKmsSettings {
        key_id: arn.split_once(":key/").unwrap().1.to_owned(),
        region: Some("eu-central-1".to_owned()),
        endpoint: Some(url.to_owned()),
        answer_time: Duration::from_secs(3),
    }
}

#[tokio::test]
#[ignore = "needs moto, which tests/kms/run installs"]
async fn credentials_are_made_changed_and_verified_and_no_key_is_logged() {
    let (moto, log) = (Moto::start().await, Log::from_now());
    let settings = settings(&moto.url, &moto.new_key().await);
    let mut app = app_with(KekSettings::AwsKms(settings.clone())).await;

    works_throughout(&app).await;
    app.restart();
    works_throughout(&app).await;

    let (provider, name, _) = registered(&app).await;
    assert_eq!((provider, name), ("aws-kms".to_owned(), settings.key_id));
    assert_eq!(readiness(&app).await, (200, "ok".to_owned()));
    // The encryption context is the documented one, so that it opens for whoever follows the paper.
    let (account, wrapped, deployment, kek_id): (String, Vec<u8>, Vec<u8>, String) = sqlx::query_as(
        "select account_sid, wrapped_key, uuid_send(deployment_id), kek_id from account_keys, deployment",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap();
    let body = json!({
        "CiphertextBlob": BASE64.encode(&wrapped),
        "EncryptionContext": {
            "pushvault:purpose": "account-key",
            "pushvault:deployment-id": HEXLOWER.encode(&deployment),
            "pushvault:account-sid": account,
            "pushvault:account-key-version": "1",
            "pushvault:kek-id": kek_id,
        },
    });
    let (status, answer) = moto.ask("Decrypt", &body).await;
    assert_eq!(status, 200, "{answer}");
    let key = answer["Plaintext"].as_str().unwrap();
    assert_eq!(BASE64.decode(key.as_bytes()).unwrap().len(), 64);
    let told = log.text();
    assert!(!told.contains(key), "a key is in the log");
    assert!(
        !told.contains("canary-aws-secret"),
        "the secret access key is in the log"
    );
}

#[tokio::test]
#[ignore = "needs moto, which tests/kms/run installs"]
async fn another_key_is_refused_and_a_wrapped_key_opens_in_its_place_only() {
    let moto = Moto::start().await;
    let first = settings(&moto.url, &moto.new_key().await);
    let app = app_with(KekSettings::AwsKms(first.clone())).await;
    for account in ["a", "b"] {
        create(&app, account).await.json(201);
    }

    let second = settings(&moto.url, &moto.new_key().await);
    let refusal = app.refusal(|all| all.kek = KekSettings::AwsKms(second.clone()));
    assert!(
        refusal.contains("wrong root key") && refusal.contains(&second.key_id),
        "{refusal}"
    );

    move_key_of_a_to_b(&app).await;
    let b = app.account_named("b").sid.to_string();
    assert_eq!(
        findings(&app),
        [(
            b,
            "authenticated decryption failed: restore the row from a backup".to_owned()
        )]
    );
}

#[tokio::test]
#[ignore = "needs moto, which tests/kms/run installs"]
async fn while_it_is_away_keys_in_memory_serve_and_a_key_that_is_gone_is_told() {
    let moto = Moto::start().await;
    let gate = Gate::before_url(&moto.url.replace("http://", "postgres://"));
    let url = gate.url().replace("postgres://", "http://");
    let settings = AwsKmsSettings {
        answer_time: Duration::from_secs(1),
        ..settings(url.trim_end_matches('/'), &moto.new_key().await)
    };
    let app = app_that_knows_a(KekSettings::AwsKms(settings)).await;
    let log = Log::from_now();

    gate.shut();
    create(&app, "a").await.json(201);
    is_unavailable(&create(&app, "b").await);
    assert_eq!(readiness(&app).await, (200, "failed".to_owned()));
    gate.open();
    until(|| async { (readiness(&app).await == (200, "ok".to_owned())).then_some(()) }).await;
    moto.reset().await;
    is_unavailable(&create(&app, "b").await);
    create(&app, "a").await.json(201);

    let told = log.text();
    assert!(told.contains("cannot be reached") && told.contains("no such key"));
    let refusal = app.refusal(|_| {});
    assert!(refusal.contains("no such key"), "{refusal}");
}
