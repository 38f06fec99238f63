//! What is counted, under which labels, and that no caller makes a label.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pushvault::config::{Rate, RateLimitSettings};
use pushvault::http::endpoints;

use super::{LIST, is, is_same, scrape, value};
use crate::harness::{TestApp, migrated_database, raw_request, with_admin};
use crate::process::wait_until;

/// Asserts that one series, and no other of its name, grew by so much.
#[track_caller]
fn grew(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, series: &str, by: f64) {
    let name = series.split('{').next().unwrap();
    let changed: Vec<_> = after
        .iter()
        .filter(|(other, now)| other.split('{').next() == Some(name) && **now > value(before, other))
        .collect();
    let [(only, now)] = changed[..] else {
        panic!("{changed:?} grew, and not {series} alone");
    };
    assert_eq!(only, series);
    is_same(*now, value(before, series) + by);
}

#[tokio::test]
async fn a_request_is_counted_by_method_template_and_status_and_its_time_is_measured() {
    let app = TestApp::spawn_with_admin().await;
    let owner = app.account("a");
    let created = owner.post(LIST, &[("Type", "gcm"), ("ApiKey", "k")]).await.json(201);
    let path = format!("{LIST}/{}", created["sid"].as_str().unwrap());
    let before = scrape(&app).await;

    owner.get(&path).await.json(200);

    let after = scrape(&app).await;
    let route = "/v2/Credentials/{sid}";
    let counted = format!("pushvault_http_requests_total{{method=\"GET\",route=\"{route}\",status=\"200\"}}");
    grew(&before, &after, &counted, 1.0);
    let timed = format!("pushvault_http_request_duration_seconds_count{{method=\"GET\",route=\"{route}\"}}");
    grew(&before, &after, &timed, 1.0);
    is(&after, "pushvault_http_requests_in_flight", 0);
}

#[tokio::test]
async fn requests_under_way_are_told_and_those_at_the_admin_listener_are_not() {
    let app = TestApp::spawn_with_admin().await;
    let authorization = format!("Authorization: {}", app.account("a").authorization());
    let mut connection = app.connect();
    connection.send(&raw_request(
        &[
            "POST /v2/Credentials HTTP/1.1",
            "Host: x",
            &authorization,
            "Content-Type: application/x-www-form-urlencoded",
            "Content-Length: 8",
        ],
        "Type",
    ));
    let under_way = |samples: &BTreeMap<String, f64>| value(samples, "pushvault_http_requests_in_flight");
    while under_way(&scrape(&app).await) < 1.0 {
        tokio::task::yield_now().await;
    }
    is(&scrape(&app).await, "pushvault_http_requests_in_flight", 1);

    connection.send(b"=gcm");
    connection.answer().json(201);

    while under_way(&scrape(&app).await) > 0.0 {
        tokio::task::yield_now().await;
    }
    let samples = scrape(&app).await;
    assert!(samples.keys().all(|series| !series.contains("/metrics")), "{samples:?}");
}

/// Requests that nobody would think of, each different in each round.
async fn garbage(app: &TestApp, round: usize) {
    let anonymous = app.anonymous();
    for number in 0..40 {
        let word = format!("garbage-{round}-{number}");
        anonymous.get(&format!("/{word}")).await;
        anonymous.get(&format!("/v2/Credentials/{word}?{word}={word}")).await;
        anonymous
            .send(anonymous.request(word.to_uppercase().parse().unwrap(), LIST))
            .await;
        app.with_credentials(&word, &word).post(LIST, &[("Type", &word)]).await;
        app.raw(format!("{word}\r\n\r\n").as_bytes());
        app.raw(format!("GET / HTTP/1.1\r\n{word}: {}\r\n\r\n", "x".repeat(20_000)).as_bytes());
        app.raw(&raw_request(
            &[
                "GET / HTTP/1.1",
                &format!("Host: {word}.example.com"),
                &format!("{word}: {word}"),
            ],
            "",
        ));
    }
}

#[tokio::test]
async fn no_caller_makes_a_label_and_so_no_series() {
    let app = TestApp::spawn_with_admin().await;
    garbage(&app, 1).await;
    let before: BTreeSet<_> = scrape(&app).await.into_keys().collect();

    garbage(&app, 2).await;

    let after: BTreeSet<_> = scrape(&app).await.into_keys().collect();
    assert_eq!(before, after);
    let routes: BTreeSet<_> = endpoints().into_iter().map(|endpoint| endpoint.path).collect();
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
    for series in after {
        assert!(!series.contains("arbage"), "{series}");
        let label = |name: &str| series.split(&format!("{name}=\"")).nth(1)?.split('"').next();
        if let Some(route) = label("route") {
            assert!(route == "none" || routes.contains(route), "{series}");
            assert!(methods.contains(&label("method").unwrap()), "{series}");
        }
    }
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_counted_too() {
    let app = TestApp::spawn_with_admin().await;
    let before = scrape(&app).await;
    app.raw(b"what is this\r\n\r\n");
    let after = scrape(&app).await;
    let series = "pushvault_http_requests_total{method=\"other\",route=\"none\",status=\"400\"}";
    grew(&before, &after, series, 1.0);
}

#[tokio::test]
async fn tokens_and_account_keys_are_found_in_memory_or_not() {
    let app = TestApp::spawn_with_admin().await;
    let is_at_least_one = async |series: &str| value(&scrape(&app).await, series) >= 1.0;
    wait_until("the channel is open", async || {
        is_at_least_one("pushvault_key_channel_up").await
    })
    .await;
    let owner = app.account("a");
    // What is told of a new account makes the vault forget; it must not come in the middle.
    wait_until("it is told of", async || {
        is_at_least_one("pushvault_key_channel_invalidations_total").await
    })
    .await;
    let before = scrape(&app).await;

    owner.post(LIST, &[("Type", "gcm"), ("ApiKey", "k")]).await.json(201);
    let first = scrape(&app).await;
    grew(&before, &first, "pushvault_token_memo_total{result=\"miss\"}", 1.0);
    grew(
        &before,
        &first,
        "pushvault_account_key_cache_total{result=\"miss\"}",
        1.0,
    );
    grew(&before, &first, "pushvault_argon2_seconds_count", 1.0);
    is(&first, "pushvault_account_key_cache_entries", 1);
    let recorded = "pushvault_audit_events_total{action=\"credential.create\",outcome=\"success\"}";
    grew(&before, &first, recorded, 1.0);

    owner.post(LIST, &[("Type", "gcm"), ("ApiKey", "k")]).await.json(201);
    let second = scrape(&app).await;
    grew(&first, &second, "pushvault_token_memo_total{result=\"hit\"}", 1.0);
    grew(
        &first,
        &second,
        "pushvault_account_key_cache_total{result=\"hit\"}",
        1.0,
    );
    let runs = "pushvault_argon2_seconds_count";
    is_same(value(&second, runs), value(&first, runs));

    app.anonymous().post(LIST, &[]).await;
    let third = scrape(&app).await;
    let denied = "pushvault_audit_events_total{action=\"credential.create\",outcome=\"denied\"}";
    grew(&second, &third, denied, 1.0);
    for gauge in ["pushvault_argon2_waiting", "pushvault_argon2_running"] {
        is(&third, gauge, 0);
    }
}

#[tokio::test]
async fn each_limit_counts_whom_it_keeps_out() {
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        with_admin(settings);
        let rate = |burst: u32| Rate {
            per_second: 1.try_into().unwrap(),
            burst: burst.try_into().unwrap(),
        };
        settings.rate_limit = Some(RateLimitSettings {
            account: rate(1),
            address: rate(10),
            failed_authentications_per_minute: 1.try_into().unwrap(),
        });
    })
    .await;
    let before = scrape(&app).await;
    for limit in ["account", "address", "failed_authentications"] {
        let series = format!("pushvault_rate_limited_total{{limit=\"{limit}\"}}");
        is(&before, &series, 0);
    }

    let owner = app.account("a");
    owner.get(LIST).await.json(200);
    assert_eq!(owner.get(LIST).await.status, 429);
    let after = scrape(&app).await;
    grew(&before, &after, "pushvault_rate_limited_total{limit=\"account\"}", 1.0);

    let guesser = app.with_credentials(app.account_named("b").sid.as_str(), "no");
    while guesser.get(LIST).await.status != 429 {}
    let kept_out = scrape(&app).await;
    let series = "pushvault_rate_limited_total{limit=\"failed_authentications\"}";
    grew(&after, &kept_out, series, 1.0);

    while scrape(&app).await["pushvault_rate_limited_total{limit=\"address\"}"] < 1.0 {
        app.anonymous().get(LIST).await;
    }
}

#[tokio::test]
async fn connections_are_counted_and_so_is_waiting_for_one_in_vain() {
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        with_admin(settings);
        settings.database.acquire_timeout = Duration::from_secs(1);
        settings.database.max_connections = 1;
    })
    .await;
    let owner = app.account("a");
    owner.get(LIST).await.json(200);
    let before = scrape(&app).await;
    is(&before, "pushvault_db_connections_max", 1);
    let open = |state: &str| value(&before, &format!("pushvault_db_connections{{state=\"{state}\"}}"));
    is_same(open("idle") + open("used"), 1.0);

    // A change that waits for a lock keeps the only connection.
    let mut lock = app.pool.begin().await.unwrap();
    sqlx::query("lock table audit_events")
        .execute(&mut *lock)
        .await
        .unwrap();
    let change = tokio::spawn({
        let owner = owner.clone();
        async move { owner.post(LIST, &[("Type", "gcm")]).await }
    });
    while owner.get(LIST).await.status != 503 {}

    let after = scrape(&app).await;
    is(&after, "pushvault_db_connections{state=\"used\"}", 1);
    let timeouts = "pushvault_db_pool_timeouts_total";
    assert!(value(&after, timeouts) > value(&before, timeouts), "{after:?}");
    lock.rollback().await.unwrap();
    change.await.unwrap().json(201);
}

#[tokio::test]
async fn the_version_and_the_process_are_told() {
    let app = TestApp::spawn_with_admin().await;
    let samples = scrape(&app).await;
    let version = format!("pushvault_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    is(&samples, &version, 1);
    assert!(samples["process_resident_memory_bytes"] > 1e6);
    assert!(samples["process_open_fds"] > 3.0);
    assert!(samples["process_start_time_seconds"] > 1.7e9);
}
