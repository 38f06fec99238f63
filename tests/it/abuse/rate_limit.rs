//! Decision 19: what is beyond a limit is answered 429 and when to come again, is not looked at, and leaves no trace.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use pushvault::config::{Rate, RateLimitSettings, Settings};
use serde_json::json;

use super::LIST;
use crate::harness::{Answer, Client, Log, TestApp, at_once, migrated_database};

const PLENTY: Rate = rate(10_000, 10_000);

const fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

const fn rate(per_second: u32, burst: u32) -> Rate {
    Rate {
        per_second: count(per_second),
        burst: count(burst),
    }
}

/// A service with these limits, behind a proxy that tells it the callers' addresses.
async fn limited(address: Rate, account: Rate, failures: u32) -> TestApp {
    TestApp::spawn_with(migrated_database(), |settings| {
        limit(settings, address, account, failures);
    })
    .await
}

fn limit(settings: &mut Settings, address: Rate, account: Rate, failures: u32) {
    settings.rate_limit = Some(RateLimitSettings {
        account,
        address,
        failed_authentications_per_minute: count(failures),
    });
    settings.server.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
}

async fn get_from(client: &Client, address: &str) -> Answer {
    let request = client.request(reqwest::Method::GET, LIST);
    client.send(request.header("x-forwarded-for", address)).await
}

async fn create_from(client: &Client, address: &str) -> Answer {
    let request = client.request(reqwest::Method::POST, LIST);
    let request = request.header("x-forwarded-for", address);
    client.send(request.form(&[("Type", "gcm")])).await
}

/// How long the answer says to wait.
#[track_caller]
fn is_turned_away(answer: &Answer) -> u64 {
    answer.is_error(429, 20429, "Too Many Requests");
    let seconds: u64 = answer.header("retry-after").expect("a Retry-After").parse().unwrap();
    assert!(seconds >= 1, "{seconds}");
    seconds
}

/// Asks from these addresses in turn until it is turned away, and answers how long it is told to wait. Not before the
/// burst is used up, and soon after: each second lets one more in, and a busy machine may take a few.
async fn until_turned_away(clients: &[&Client], addresses: &[&str], burst: u64) -> u64 {
    let begun = Instant::now();
    let mut let_in = 0;
    let turns = clients.iter().cycle().zip(addresses.iter().cycle());
    for (client, address) in turns {
        let answer = get_from(client, address).await;
        if answer.status == 429 {
            assert!(let_in >= burst, "turned away after {let_in}");
            return is_turned_away(&answer);
        }
        answer.json(200);
        let_in += 1;
        assert!(let_in <= burst + begun.elapsed().as_secs() + 1, "{let_in} were let in");
    }
    panic!("the turns do not end")
}

/// Asks once the burst is used up, and again where the machine was so busy that the next one was let in by then.
async fn once_turned_away(drain: impl AsyncFn(), ask: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..20 {
        drain().await;
        let answer = ask().await;
        if answer.status == 429 {
            is_turned_away(&answer);
            return answer;
        }
    }
    panic!("it is always let in")
}

#[tokio::test]
async fn requests_of_one_address_beyond_its_burst_are_turned_away_until_it_waited_decision_19() {
    let app = limited(rate(1, 4), PLENTY, 1000).await;
    let (owner, other) = (app.account("a"), app.account("b"));
    // Whoever asks, the address is the same.
    let seconds = until_turned_away(&[&owner, &other], &["192.0.2.1"], 4).await;
    let drain = async || {
        until_turned_away(&[&owner], &["192.0.2.1"], 0).await;
    };
    once_turned_away(drain, async || get_from(&app.anonymous(), "192.0.2.1").await).await;
    get_from(&owner, "192.0.2.2").await.json(200);
    assert_eq!(seconds, 1);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    get_from(&owner, "192.0.2.1").await.json(200);
}

#[tokio::test]
async fn an_ipv6_network_is_one_address_decision_19() {
    let app = limited(rate(1, 2), PLENTY, 1000).await;
    let owner = app.account("a");
    until_turned_away(&[&owner], &["2001:db8::1", "2001:db8::ffff:2"], 2).await;
    let drain = async || {
        until_turned_away(&[&owner], &["2001:db8::1"], 0).await;
    };
    once_turned_away(drain, async || get_from(&owner, "2001:db8::3").await).await;
    get_from(&owner, "2001:db8:0:1::1").await.json(200);
}

#[tokio::test]
async fn requests_of_one_account_beyond_its_burst_are_turned_away_from_wherever_they_come_decision_19() {
    let app = limited(PLENTY, rate(1, 3), 1000).await;
    let (owner, key, other) = (app.account("a"), app.api_key("a"), app.account("b"));
    until_turned_away(&[&owner, &key], &["192.0.2.1", "192.0.2.2", "192.0.2.3"], 3).await;
    let drain = async || {
        until_turned_away(&[&owner], &["192.0.2.1"], 0).await;
    };
    for client in [&owner, &key] {
        once_turned_away(drain, async || get_from(client, "192.0.2.9").await).await;
    }
    get_from(&other, "192.0.2.9").await.json(200);
    // Whoever only names the account uses nothing of what is its own.
    let stranger = app.with_credentials(app.account_named("b").sid.as_str(), "wrong");
    for _ in 0..5 {
        assert_eq!(get_from(&stranger, "192.0.2.10").await.status, 401);
    }
    get_from(&other, "192.0.2.9").await.json(200);
}

#[tokio::test]
async fn what_is_turned_away_changes_nothing_and_leaves_no_event_decision_19() {
    let log = Log::from_now();
    let app = limited(rate(1, 1), PLENTY, 1000).await;
    let owner = app.account("a");
    let created = create_from(&owner, "192.0.2.2").await.json(201);
    let path = format!("{LIST}/{}", created["sid"].as_str().unwrap());
    let count = async || {
        let query = "select count(*) from credentials where deleted_at is null";
        let rows: i64 = sqlx::query_scalar(query).fetch_one(&app.pool).await.unwrap();
        (app.audit_count().await, rows)
    };
    let before = Cell::new(count().await);
    let drain = async || {
        until_turned_away(&[&owner], &["192.0.2.1"], 0).await;
    };
    for (method, target) in [("POST", LIST), ("POST", &path), ("DELETE", &path)] {
        let answer = once_turned_away(drain, async || {
            before.set(count().await);
            let request = owner.request(method.parse().unwrap(), target);
            let request = request.header("x-forwarded-for", "192.0.2.1");
            let request = if method == "POST" {
                request.form(&[("Type", "gcm")])
            } else {
                request
            };
            owner.send(request).await
        })
        .await;
        assert_eq!(count().await, before.get(), "{method} {target}");
        let line = log
            .events("access")
            .into_iter()
            .find(|line| line.to_string().contains(answer.request_sid()));
        let line = line.expect("a line in the access log");
        assert_eq!((&line["status"], &line["error_code"]), (&json!(429), &json!(20429)));
        assert_eq!(line["limit"], "address");
    }
    // Probes are asked by nobody who could be told to wait.
    for _ in 0..5 {
        app.anonymous().get("/healthz").await.json(200);
    }
}

#[tokio::test]
async fn guesses_beyond_the_limit_keep_new_tokens_out_and_let_known_ones_in_decision_19() {
    let app = limited(PLENTY, PLENTY, 3).await;
    let (known, unknown, elsewhere) = (app.account("a"), app.account("b"), app.account("c"));
    get_from(&known, "192.0.2.1").await.json(200);
    let guess_at = |name: &str| app.with_credentials(app.account_named(name).sid.as_str(), "a guess");
    let guess = guess_at("b");
    for number in 0..4 {
        let answer = create_from(&guess, "192.0.2.1").await;
        answer.is_error(401, 20003, "Authenticate");
        assert_eq!(app.audit_events_of(&answer).await.len(), 1, "the guess number {number}");
    }
    let events = app.audit_count().await;
    for client in [&guess, &unknown] {
        let seconds = is_turned_away(&create_from(client, "192.0.2.1").await);
        assert!(seconds <= 60, "{seconds}");
    }
    assert_eq!(
        app.audit_count().await,
        events,
        "a guess that was not looked at leaves no event"
    );
    get_from(&known, "192.0.2.1").await.json(200);
    // Who comes under another name from there is looked at, known or not.
    get_from(&app.account("d"), "192.0.2.1").await.json(200);
    assert_eq!(get_from(&guess_at("d"), "192.0.2.1").await.status, 401);
    // Another address has nothing to do with it.
    get_from(&elsewhere, "192.0.2.2").await.json(200);
    assert_eq!(get_from(&guess, "192.0.2.2").await.status, 401);
    // And what was right elsewhere is known here, unless one of the four accounts was told of as new in that moment.
    for _ in 0..4 {
        get_from(&unknown, "192.0.2.2").await.json(200);
        let answer = get_from(&unknown, "192.0.2.1").await;
        if answer.status == 200 {
            return;
        }
        is_turned_away(&answer);
    }
    get_from(&unknown, "192.0.2.2").await.json(200);
    get_from(&unknown, "192.0.2.1").await.json(200);
}

#[tokio::test]
async fn an_address_that_guesses_under_many_names_is_kept_out_under_all_decision_19() {
    let app = limited(PLENTY, PLENTY, 1).await;
    for name in 0..=10 {
        let guess = app.with_credentials(&format!("AC{name:032x}"), "a guess");
        assert_eq!(get_from(&guess, "192.0.2.1").await.status, 401, "{name}");
    }
    is_turned_away(&get_from(&app.account("a"), "192.0.2.1").await);
    get_from(&app.account("a"), "192.0.2.2").await.json(200);
}

#[tokio::test]
async fn one_who_shows_nothing_is_turned_away_and_keeps_nobody_else_out_decision_19() {
    let app = limited(PLENTY, PLENTY, 2).await;
    for _ in 0..3 {
        assert_eq!(create_from(&app.anonymous(), "192.0.2.1").await.status, 401);
    }
    let events = app.audit_count().await;
    is_turned_away(&create_from(&app.anonymous(), "192.0.2.1").await);
    assert_eq!(app.audit_count().await, events);
    get_from(&app.account("a"), "192.0.2.1").await.json(200);
}

#[tokio::test]
async fn guesses_at_the_same_time_are_counted_before_the_next_is_looked_at_decision_19() {
    // Slow enough for all of them to wait before the first has failed.
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        limit(settings, PLENTY, PLENTY, 3);
        settings.authentication.argon2.memory_kib = 19_456;
        settings.authentication.argon2.iterations = 4;
    })
    .await;
    let guess = app.with_credentials(app.account_named("a").sid.as_str(), "a guess");
    let answers = at_once(40, |_| {
        let guess = guess.clone();
        async move { create_from(&guess, "192.0.2.1").await }
    })
    .await;
    let refused = answers.iter().filter(|answer| answer.status == 401).count();
    // Three, the one that was too many, and what ran beside it.
    assert!((4..=4 + 2).contains(&refused), "{refused} of 40 were looked at");
    assert!(answers.iter().all(|answer| [401, 429].contains(&answer.status)));
    let events: i64 = sqlx::query_scalar("select count(*) from audit_events where action = 'credential.create'")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(usize::try_from(events).unwrap(), refused);
}

#[tokio::test]
async fn a_suspended_account_is_counted_like_any_other_decision_19() {
    use pushvault::domain::account::AccountStatus;
    let app = limited(PLENTY, rate(1, 1), 100).await;
    app.account_named("a");
    app.set_status("a", AccountStatus::Suspended);
    let client = app.account("a");
    let log = Log::from_now();
    let drain = async || assert_eq!(get_from(&client, "192.0.2.1").await.status, 403);
    let refused = once_turned_away(drain, async || get_from(&client, "192.0.2.1").await).await;
    let lines = log.events("access");
    let line = lines
        .iter()
        .find(|line| line.to_string().contains(refused.request_sid()));
    let line = line.expect("a line in the access log");
    assert_eq!(line["limit"], "account");
    assert_eq!(line["account_sid"], app.account_named("a").sid.as_str());
}

#[tokio::test]
async fn a_suspended_account_is_no_guess_decision_19() {
    use pushvault::domain::account::AccountStatus;
    let app = limited(PLENTY, PLENTY, 1).await;
    app.account_named("a");
    app.set_status("a", AccountStatus::Suspended);
    for _ in 0..5 {
        assert_eq!(get_from(&app.account("a"), "192.0.2.1").await.status, 403);
    }
    get_from(&app.account("b"), "192.0.2.1").await.json(200);
}

#[tokio::test]
async fn without_limits_nobody_is_turned_away_decision_19() {
    let app = TestApp::spawn_with(migrated_database(), |settings| settings.rate_limit = None).await;
    let guess = app.with_credentials(app.account_named("a").sid.as_str(), "a guess");
    for _ in 0..60 {
        assert_eq!(guess.get(LIST).await.status, 401);
    }
    app.account("a").get(LIST).await.json(200);
}
