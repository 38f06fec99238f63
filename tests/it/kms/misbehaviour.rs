//! A provider that is slow, down, or answers nonsense.

use std::time::{Duration, Instant};

use data_encoding::BASE64;
use pushvault::config::{KekSettings, TransitSettings};
use serde_json::json;

use super::fake::{Fake, Manner, TOKEN, http};
use super::{app_that_knows_a, app_with, create, fixed, in_file, is_unavailable, readiness, transit, until};
use crate::harness::{Log, TestApp, operator};

/// The engine of the tests, with little time to answer.
fn hasty(fake: &Fake) -> TransitSettings {
    TransitSettings {
        answer_time: Duration::from_millis(600),
        ..transit(&fake.url, fixed(TOKEN))
    }
}

fn plaintext(bytes: &[u8]) -> Manner {
    http(
        200,
        &json!({ "data": { "plaintext": BASE64.encode(bytes) } }).to_string(),
    )
}

/// Answers of a provider that does not serve, each with the word for it in the metrics, and some in the log.
fn bad_answers() -> Vec<(Manner, &'static str, &'static str)> {
    vec![
        (Manner::Hangs, "late", "does not answer in time"),
        (Manner::Says(String::new()), "unreachable", "cannot be reached"),
        (
            Manner::Says("canary-nonsense\r\n\r\n".to_owned()),
            "unreachable",
            "cannot be reached",
        ),
        (
            http(200, "<html>canary-nonsense</html>"),
            "garbled",
            "no answer of its kind",
        ),
        (
            http(200, r#"{"data":{"canary-nonsense":1}}"#),
            "garbled",
            "no answer of its kind",
        ),
        (
            http(200, r#"{"data":{"plaintext":"canary-nonsense"}}"#),
            "garbled",
            "no answer of its kind",
        ),
        (
            http(200, &"canary-nonsense".repeat(10_000)),
            "garbled",
            "no answer of its kind",
        ),
        (http(500, r#"{"errors":["canary-nonsense"]}"#), "failing", "status 500"),
        (
            http(503, r#"{"errors":["Vault is sealed"]}"#),
            "failing",
            "may be sealed",
        ),
        (http(307, ""), "failing", "status 307"),
        (http(429, ""), "failing", "status 429"),
        (
            http(403, r#"{"errors":["permission denied"]}"#),
            "denied",
            "renew the token",
        ),
        (http(404, r#"{"errors":[]}"#), "no_key", "no such key"),
        (
            http(400, r#"{"errors":["encryption key not found"]}"#),
            "no_key",
            "no such key",
        ),
        (
            http(400, r#"{"errors":["canary-nonsense"]}"#),
            "unusable",
            "aes256-gcm96",
        ),
    ]
}

#[tokio::test]
async fn what_needs_a_key_that_is_not_in_memory_is_503_and_all_else_is_served() {
    let fake = Fake::start();
    let app = app_that_knows_a(KekSettings::Transit(hasty(&fake))).await;
    for (manner, result, cause) in bad_answers() {
        fake.behaves(manner.clone());
        let log = Log::from_now();

        let answer = create(&app, "b").await;

        is_unavailable(&answer);
        let event = app.audit_event_of(&answer).await;
        assert_eq!((event.outcome.as_str(), event.error_code), ("failed", Some(20503)));
        let told: Vec<_> = log
            .text()
            .lines()
            .filter(|line| line.contains(answer.request_sid()))
            .map(str::to_owned)
            .collect();
        assert!(told.iter().any(|line| line.contains(cause)), "{manner:?}: {told:?}");
        assert!(told.iter().all(|line| !line.contains("canary")), "{told:?}");
        let measured = app.vault(|vault| async move { vault.measured() });
        let series = format!("operation=\"decrypt\",result=\"{result}\"}}");
        assert!(measured.contains(&series), "no {series}");

        create(&app, "a").await.json(201);
        app.account("b").get(super::LIST).await.json(200);
    }
    fake.behaves(Manner::Serves);
    create(&app, "b").await.json(201);
}

#[tokio::test]
async fn a_key_that_was_not_wrapped_is_never_sealed_under() {
    let fake = Fake::start();
    let app = app_that_knows_a(KekSettings::Transit(hasty(&fake))).await;
    for wrong in [vec![], vec![7; 32], vec![7; 64], vec![7; 65]] {
        fake.behaves(plaintext(&wrong));
        create(&app, "b").await.is_error(500, 20500, "Internal Server Error");
    }
    fake.behaves(Manner::Serves);
    create(&app, "b").await.json(201);
}

#[tokio::test]
async fn a_wrap_that_does_not_unwrap_again_is_not_stored() {
    let fake = Fake::start();
    let app = app_with(KekSettings::Transit(hasty(&fake))).await;
    fake.answers_next([http(200, r#"{"data":{"ciphertext":"vault:v1:999"}}"#)]);

    let refused = app.vault(|vault| async move { vault.create_account(&operator(), None).await });

    let refused = pushvault::telemetry::chain(&refused.err().unwrap());
    assert!(refused.contains("no answer of its kind"), "{refused}");
    let count: i64 = sqlx::query_scalar("select count(*) from account_keys")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_not() {
    let fake = Fake::start();
    let app = app_that_knows_a(KekSettings::Transit(transit(&fake.url, fixed(TOKEN)))).await;
    let failing = || http(500, "");
    for (answers, status, tries) in [
        (vec![http(403, r#"{"errors":["permission denied"]}"#)], 503, 1),
        (vec![failing(), failing(), failing()], 503, 3),
        (vec![failing(), Manner::Says(String::new())], 201, 3),
    ] {
        let before = fake.received().len();
        fake.answers_next(answers);
        assert_eq!(create(&app, "b").await.status, status);
        assert_eq!(fake.received().len() - before, tries);
    }
}

#[tokio::test]
async fn readiness_says_that_the_provider_is_away_and_stays_ready_and_it_passes_by_itself() {
    let fake = Fake::start();
    let app = app_that_knows_a(KekSettings::Transit(hasty(&fake))).await;
    fake.behaves(http(503, ""));
    let log = Log::from_now();

    assert_eq!(readiness(&app).await, (200, "failed".to_owned()));

    let told = log.text();
    assert!(told.contains("the root key transit/pushvault of transit cannot be used") && told.contains("status 503"));
    let asked = fake.received().len();
    readiness(&app).await;
    assert_eq!(
        fake.received().len(),
        asked,
        "the provider is asked now and then, whoever wants to know"
    );
    fake.behaves(Manner::Serves);
    until(|| async { (readiness(&app).await == (200, "ok".to_owned())).then_some(()) }).await;
}

#[tokio::test]
async fn a_start_without_the_provider_is_tried_for_a_while_and_then_refused_with_the_remedy() {
    let fake = Fake::start();
    let app = app_with(KekSettings::Transit(hasty(&fake))).await;
    fake.behaves(Manner::Hangs);
    let begin = Instant::now();

    let refusal = app.refusal(|_| {});

    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "it took {:?}",
        begin.elapsed()
    );
    for word in ["transit/pushvault", "transit", "does not answer in time"] {
        assert!(refusal.contains(word), "{refusal}");
    }
    fake.behaves(http(403, ""));
    let refusal = app.refusal(|_| {});
    assert!(
        refusal.contains("renew the token") && !refusal.contains(TOKEN),
        "{refusal}"
    );
    fake.behaves(Manner::Serves);
    app.another(|_| {});
}

#[tokio::test]
async fn another_key_than_the_one_in_use_is_refused_with_both_ids() {
    let fake = Fake::start();
    let settings = transit(&fake.url, fixed(TOKEN));
    let app = app_with(KekSettings::Transit(settings.clone())).await;
    let expected: String = sqlx::query_scalar("select kek_id from root_keys")
        .fetch_one(&app.pool)
        .await
        .unwrap();

    let refusal = app.refusal(|all| {
        all.kek = KekSettings::Transit(TransitSettings {
            key: "other".to_owned(),
            ..settings.clone()
        });
    });
    assert!(
        refusal.contains(&expected) && refusal.contains("transit/other"),
        "{refusal}"
    );

    // The same name elsewhere, where nothing is known of what the first one wrapped.
    let refusal = app.refusal(|all| {
        all.kek = KekSettings::Transit(transit(&Fake::start().url, fixed(TOKEN)));
    });
    assert!(
        refusal.contains("is not the key that it was") && refusal.contains(&expected),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_token_is_read_again_whenever_it_is_needed() {
    let (fake, directory) = (Fake::start(), tempfile::tempdir().unwrap());
    let (token, path) = in_file(&directory, TOKEN);
    let app = app_that_knows_a(KekSettings::Transit(transit(&fake.url, token))).await;
    fake.expects_token("canary-renewed");
    is_unavailable(&create(&app, "b").await);

    std::fs::write(&path, "canary-renewed\n").unwrap();
    create(&app, "b").await.json(201);

    for (content, cause) in [
        (&b""[..], "empty or no single line"),
        (b"a\nb", "empty or no single line"),
    ] {
        std::fs::write(&path, content).unwrap();
        let refusal = app.refusal(|_| {});
        assert!(refusal.contains(cause), "{refusal}");
    }
    std::fs::remove_file(&path).unwrap();
    let refusal = app.refusal(|_| {});
    assert!(refusal.contains(path.to_str().unwrap()), "{refusal}");
}

#[tokio::test]
async fn namespace_mount_key_and_place_are_told_and_no_secret_is_logged() {
    let (fake, log) = (Fake::start(), Log::from_now());
    let settings = TransitSettings {
        namespace: "team/push".to_owned(),
        mount: "engines/transit".to_owned(),
        key: "root".to_owned(),
        ..transit(&fake.url, fixed(TOKEN))
    };
    let app: TestApp = app_with(KekSettings::Transit(settings)).await;
    create(&app, "a").await.json(201);

    let received = fake.received();
    assert_eq!(received[0].path, "/v1/engines/transit/encrypt/root");
    let told = log.text();
    for request in &received {
        assert!(
            request.head.contains("x-vault-namespace: team/push\r\n"),
            "{}",
            request.head
        );
        assert!(!request.body["associated_data"].as_str().unwrap().is_empty());
        if let Some(key) = request.body["plaintext"].as_str() {
            assert!(!told.contains(key), "a key is in the log");
        }
    }
    assert!(!told.contains(TOKEN), "the token is in the log");
    assert!(!app.transcript().contains(TOKEN));
    let (provider, name, _) = super::registered(&app).await;
    assert_eq!(
        (provider.as_str(), name.as_str()),
        ("transit", "team/push/engines/transit/root")
    );
}

#[tokio::test]
async fn readiness_names_a_provider_that_hangs_and_does_not_hang_itself() {
    let fake = Fake::start();
    let app = app_that_knows_a(KekSettings::Transit(transit(&fake.url, fixed(TOKEN)))).await;
    fake.behaves(Manner::Hangs);
    let (log, begin) = (Log::from_now(), Instant::now());

    assert_eq!(readiness(&app).await, (200, "failed".to_owned()));

    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "it took {:?}",
        begin.elapsed()
    );
    let told = log.text();
    let cause = "the root key transit/pushvault of transit cannot be used: the provider does not answer in time";
    assert!(told.contains(cause), "nothing names the provider");
}
