//! A real OpenBao.

use std::time::{Duration, Instant};

use pushvault::config::{KekSettings, TransitSettings};
use reqwest::Method;
use serde_json::json;

use super::servers::OpenBao;
use super::{
    app_that_knows_a, app_with, app_without_root_key, create, findings, fixed, in_file, is_unavailable,
    move_key_of_a_to_b, readiness, registered, transit, until, works_throughout,
};
use crate::harness::{Gate, Log};

#[tokio::test]
#[ignore = "needs OpenBao, which tests/kms/run installs"]
async fn credentials_are_made_changed_and_verified_with_a_token_that_may_only_wrap() {
    let bao = OpenBao::start().await;
    let token = bao.token().await;
    let (log, settings) = (Log::from_now(), transit(&bao.url, fixed(&token)));
    let mut app = app_with(KekSettings::Transit(settings)).await;

    works_throughout(&app).await;
    // And again with nothing in memory, after the key was rotated where it is.
    bao.ask("transit/keys/pushvault/rotate", &json!({})).await;
    app.restart();
    works_throughout(&app).await;

    let (provider, name, seed) = registered(&app).await;
    assert_eq!((provider.as_str(), name.as_str()), ("transit", "transit/pushvault"));
    assert!(seed.starts_with(b"vault:v1:"));
    assert_eq!(readiness(&app).await, (200, "ok".to_owned()));
    assert!(!log.text().contains(&token), "the token is in the log");
}

#[tokio::test]
#[ignore = "needs OpenBao, which tests/kms/run installs"]
async fn a_wrapped_key_opens_in_its_place_only() {
    let bao = OpenBao::start().await;
    let app = app_with(KekSettings::Transit(transit(&bao.url, fixed(&bao.token().await)))).await;
    for account in ["a", "b"] {
        create(&app, account).await.json(201);
    }
    let wrapped: Vec<u8> = sqlx::query_scalar("select wrapped_key from account_keys limit 1")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    // The engine itself holds it to its place.
    let body = json!({ "ciphertext": String::from_utf8(wrapped).unwrap() });
    let (status, answer) = bao.call(Method::POST, "transit/decrypt/pushvault", &body).await;
    assert_eq!(status, 400, "{answer}");

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
#[ignore = "needs OpenBao, which tests/kms/run installs"]
async fn another_key_is_refused_whatever_its_name() {
    let bao = OpenBao::start().await;
    let settings = transit(&bao.url, fixed(&bao.token().await));
    let app = app_with(KekSettings::Transit(settings.clone())).await;

    let refusal = app.refusal(|all| {
        all.kek = KekSettings::Transit(TransitSettings {
            key: "other".to_owned(),
            ..settings.clone()
        });
    });
    assert!(
        refusal.contains("wrong root key") && refusal.contains("transit/other"),
        "{refusal}"
    );

    bao.ask("transit/keys/pushvault/config", &json!({ "deletion_allowed": true }))
        .await;
    bao.call(Method::DELETE, "transit/keys/pushvault", &json!({})).await;
    bao.ask("transit/keys/pushvault", &json!({})).await;
    let refusal = app.refusal(|_| {});
    assert!(refusal.contains("is not the key that it was"), "{refusal}");
}

#[tokio::test]
#[ignore = "needs OpenBao, which tests/kms/run installs"]
async fn keys_that_cannot_wrap_with_associated_data_are_refused_with_the_remedy() {
    let bao = OpenBao::start().await;
    for (name, kind) in [
        ("rsa", json!({ "type": "rsa-2048" })),
        ("derived", json!({ "derived": true })),
        ("signing", json!({ "type": "ed25519" })),
    ] {
        bao.ask(&format!("transit/keys/{name}"), &kind).await;
        let policy = "path \"transit/*\" { capabilities = [\"update\"] }";
        bao.ask("sys/policies/acl/pushvault", &json!({ "policy": policy }))
            .await;
        let settings = TransitSettings {
            key: name.to_owned(),
            ..transit(&bao.url, fixed(&bao.token().await))
        };
        let app = app_without_root_key().await;
        let refusal = app.refusal(|all| all.kek = KekSettings::Transit(settings));
        assert!(refusal.contains("aes256-gcm96"), "{name}: {refusal}");
    }
}

#[tokio::test]
#[ignore = "needs OpenBao, which tests/kms/run installs"]
async fn while_it_is_away_keys_in_memory_serve_and_it_is_found_again_by_itself() {
    let bao = OpenBao::start().await;
    let gate = Gate::before_url(&bao.url.replace("http://", "postgres://"));
    let url = gate.url().replace("postgres://", "http://");
    let settings = TransitSettings {
        answer_time: Duration::from_secs(1),
        ..transit(url.trim_end_matches('/'), fixed(&bao.token().await))
    };
    let app = app_that_knows_a(KekSettings::Transit(settings)).await;
    let log = Log::from_now();

    for is_silent in [false, true] {
        if is_silent {
            gate.hold();
        } else {
            gate.shut();
        }
        create(&app, "a").await.json(201);
        is_unavailable(&create(&app, "b").await);
        let begin = Instant::now();
        let refusal = app.refusal(|_| {});
        assert!(
            refusal.contains("transit/pushvault") && begin.elapsed() < Duration::from_secs(5),
            "{refusal}"
        );
        until(|| async { (readiness(&app).await == (200, "failed".to_owned())).then_some(()) }).await;
        gate.open();
        gate.release();
        until(|| async { (readiness(&app).await == (200, "ok".to_owned())).then_some(()) }).await;
    }

    create(&app, "b").await.json(201);
    assert!(log.text().contains("the key provider does not serve"));
}

#[tokio::test]
#[ignore = "needs OpenBao, which tests/kms/run installs"]
async fn a_token_that_is_renewed_in_its_file_is_taken_over() {
    let (bao, directory) = (OpenBao::start().await, tempfile::tempdir().unwrap());
    let first = bao.token().await;
    let (token, path) = in_file(&directory, &first);
    let app = app_that_knows_a(KekSettings::Transit(transit(&bao.url, token))).await;
    bao.revoke(&first).await;
    let log = Log::from_now();
    is_unavailable(&create(&app, "b").await);
    assert!(log.text().contains("renew the token"));

    std::fs::write(&path, bao.token().await).unwrap();

    create(&app, "b").await.json(201);
}

#[tokio::test]
#[ignore = "needs OpenBao, which tests/kms/run installs"]
async fn a_key_that_is_deleted_is_told_and_what_is_in_memory_serves_on() {
    let bao = OpenBao::start().await;
    let app = app_that_knows_a(KekSettings::Transit(transit(&bao.url, fixed(&bao.token().await)))).await;
    bao.ask("transit/keys/pushvault/config", &json!({ "deletion_allowed": true }))
        .await;
    bao.call(Method::DELETE, "transit/keys/pushvault", &json!({})).await;
    let log = Log::from_now();

    is_unavailable(&create(&app, "b").await);
    create(&app, "a").await.json(201);
    assert_eq!(readiness(&app).await, (200, "failed".to_owned()));

    assert!(log.text().contains("no such key"));
    let refusal = app.refusal(|_| {});
    assert!(refusal.contains("no such key"), "{refusal}");
}

#[tokio::test]
#[ignore = "needs OpenBao, which tests/kms/run installs"]
async fn over_tls_it_is_believed_with_its_ca_alone() {
    let bao = OpenBao::start_with_tls();
    let ca_file = bao.ca_file.clone().unwrap();
    until(|| async { ca_file.exists().then_some(()) }).await;
    let settings = |ca_file| TransitSettings {
        ca_file,
        ..transit(&bao.url, fixed("canary-wrong-token"))
    };
    let app = app_without_root_key().await;

    // With the CA it gets as far as the token.
    let kek = KekSettings::Transit(settings(Some(ca_file)));
    until(|| async {
        let refusal = app.refusal(|all| all.kek = kek.clone());
        refusal.contains("renew the token").then_some(())
    })
    .await;
    let without = app.refusal(|all| all.kek = KekSettings::Transit(settings(None)));
    assert!(without.contains("certificate"), "{without}");
}
