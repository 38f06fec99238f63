//! Who is let in, and who is not: at once, on every replica.

use pushvault::domain::account::AccountStatus;
use pushvault::domain::sid::ApiKeySid;
use pushvault::service::TokenRotation;
use reqwest::Method;
use secrecy::ExposeSecret as _;

use crate::harness::{Answer, Client, TestApp, operator};

const LIST: &str = "/v2/Credentials";

/// Moves the auth tokens of account `a` along, as `pushvault account rotate-token` does.
fn rotate(app: &TestApp, rotation: TokenRotation) -> Option<Client> {
    let account = app.account_named("a");
    let scope = account.scope();
    app.vault(|vault| async move { vault.rotate_token(&operator(), &scope, rotation).await })
        .unwrap()
        .map(|token| app.with_credentials(account.sid.as_str(), token.expose_secret()))
}

fn is_turned_away(answer: &Answer) {
    answer.is_error(401, 20003, "Authenticate");
}

#[tokio::test]
async fn an_account_is_let_in_with_its_sid_and_auth_token() {
    let app = TestApp::spawn().await;
    app.account("a").get(LIST).await.json(200);
}

#[tokio::test]
async fn an_api_key_is_let_in_and_acts_for_its_account() {
    let app = TestApp::spawn().await;
    let created = app.api_key("a").post(LIST, &[("Type", "gcm")]).await.json(201);
    assert_eq!(created["account_sid"], app.account_named("a").sid.as_str());
    let listed = app.account("a").get(LIST).await.json(200);
    assert_eq!(listed["credentials"][0], created);
    let listed = app.api_key("b").get(LIST).await.json(200);
    assert_eq!(listed["credentials"], serde_json::json!([]));
}

#[tokio::test]
async fn tokens_and_secrets_are_32_letters_and_digits_decision_25() {
    // The SDK for Go refuses to send anything else.
    let app = TestApp::spawn().await;
    for client in [app.account("a"), app.account("b"), app.api_key("a")] {
        let (_, secret) = client.credentials.unwrap();
        assert_eq!(secret.len(), 32);
        assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}

#[tokio::test]
async fn both_tokens_are_valid_during_a_roll_over_and_only_the_new_one_after_it() {
    let app = TestApp::spawn().await;
    let old = app.account("a");
    old.get(LIST).await.json(200);

    let new = rotate(&app, TokenRotation::Begin).unwrap();
    old.get(LIST).await.json(200);
    new.get(LIST).await.json(200);

    assert!(rotate(&app, TokenRotation::Finish).is_none());
    is_turned_away(&old.get(LIST).await);
    new.get(LIST).await.json(200);
}

#[tokio::test]
async fn a_second_roll_over_pushes_the_oldest_token_out() {
    let app = TestApp::spawn().await;
    let first = app.account("a");
    let second = rotate(&app, TokenRotation::Begin).unwrap();
    let third = rotate(&app, TokenRotation::Begin).unwrap();
    is_turned_away(&first.get(LIST).await);
    second.get(LIST).await.json(200);
    third.get(LIST).await.json(200);
}

#[tokio::test]
async fn a_leaked_token_is_replaced_at_once() {
    let app = TestApp::spawn().await;
    let old = app.account("a");
    old.get(LIST).await.json(200);
    let new = rotate(&app, TokenRotation::Replace).unwrap();
    is_turned_away(&old.get(LIST).await);
    new.get(LIST).await.json(200);
}

#[tokio::test]
async fn a_revoked_api_key_is_turned_away_from_the_next_request_on() {
    let app = TestApp::spawn().await;
    let (key, other) = (app.api_key("a"), app.api_key("a"));
    key.get(LIST).await.json(200);

    let scope = app.account_named("a").scope();
    let sid = ApiKeySid::parse(&key.credentials.clone().unwrap().0).unwrap();
    // Another replica revokes it: what this one remembers must not help.
    app.replica(|vault| async move { vault.revoke_api_key(&operator(), &scope, &sid).await })
        .unwrap();

    is_turned_away(&key.get(LIST).await);
    other.get(LIST).await.json(200);
    app.account("a").get(LIST).await.json(200);
}

#[tokio::test]
async fn a_suspended_account_is_refused_with_every_credential_and_let_in_again_without_a_restart() {
    let app = TestApp::spawn().await;
    let (account, key) = (app.account("a"), app.api_key("a"));
    let path = format!(
        "{LIST}/{}",
        account.post(LIST, &[("Type", "gcm")]).await.json(201)["sid"]
            .as_str()
            .unwrap()
    );

    app.set_status("a", AccountStatus::Suspended);
    for client in [&account, &key] {
        client.get(LIST).await.is_error(403, 20005, "Account is not active");
        client.delete(&path).await.is_error(403, 20005, "Account is not active");
    }
    // Whoever does not know the token does not learn that the account is suspended.
    let stranger = app.with_credentials(app.account_named("a").sid.as_str(), "wrong");
    is_turned_away(&stranger.get(LIST).await);
    app.account("b").get(LIST).await.json(200);

    app.set_status("a", AccountStatus::Active);
    account.get(&path).await.json(200);
    key.get(&path).await.json(200);
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_secret_are_answered_byte_for_byte_the_same() {
    let app = TestApp::spawn().await;
    let account = app.account_named("a");
    let (key_sid, key_secret) = app.api_key("a").credentials.unwrap();
    let other_secret = app.account_named("b").token;
    let unknown = "0123456789abcdef0123456789abcdef";
    let callers = [
        (account.sid.as_str(), "wrong"),
        (account.sid.as_str(), ""),
        (account.sid.as_str(), &other_secret),
        (account.sid.as_str(), &key_secret),
        (account.sid.as_str(), &account.token.to_lowercase()),
        (&key_sid, "wrong"),
        (&key_sid, &account.token),
        (&format!("AC{unknown}"), &account.token),
        (&format!("SK{unknown}"), &key_secret),
        // The account of the deployment itself is nobody's.
        ("AC00000000000000000000000000000000", ""),
        (&account.sid.as_str().to_uppercase(), &account.token),
        ("", ""),
        ("admin", "admin"),
        ("AC' or 1=1 --", "x"),
    ];
    let nobody = app.anonymous().get(LIST).await;
    for (user_name, secret) in callers {
        let answer = app.with_credentials(user_name, secret).get(LIST).await;
        is_turned_away(&answer);
        assert_eq!(answer.body, nobody.body, "{user_name}");
        assert_eq!(answer.header("www-authenticate"), nobody.header("www-authenticate"));
    }
}

#[tokio::test]
async fn a_header_that_is_not_basic_lets_nobody_in() {
    let app = TestApp::spawn().await;
    let good = app.account("a").authorization();
    let encoded = good.trim_start_matches("Basic ");
    let token = app.account_named("a").token;
    for value in [
        String::new(),
        "Basic".to_owned(),
        "Basic ".to_owned(),
        format!("Bearer {token}"),
        format!("Basic{encoded}"),
        encoded.to_owned(),
        format!("Basic {encoded}!"),
        format!("Basic {}", data_encoding::BASE64.encode(token.as_bytes())),
        format!("Basic {}", data_encoding::BASE64.encode(b"\xff\xfe:\xff")),
        format!("Digest {encoded}"),
    ] {
        let anonymous = app.anonymous();
        let request = anonymous.request(Method::GET, LIST).header("authorization", &value);
        is_turned_away(&anonymous.send(request).await);
    }
    // RFC 9110: the scheme's name has no case.
    let anonymous = app.anonymous();
    let request = anonymous
        .request(Method::GET, LIST)
        .header("authorization", format!("bAsIc {encoded}"));
    anonymous.send(request).await.json(200);
}

#[tokio::test]
async fn a_secret_in_the_query_or_the_body_lets_nobody_in() {
    let app = TestApp::spawn().await;
    let account = app.account_named("a");
    let query = format!("{LIST}?AccountSid={}&AuthToken={}", account.sid, account.token);
    is_turned_away(&app.anonymous().get(&query).await);
    let form = [
        ("AccountSid", account.sid.as_str()),
        ("AuthToken", &account.token),
        ("Type", "gcm"),
    ];
    is_turned_away(&app.anonymous().post(LIST, &form).await);
}

#[tokio::test]
async fn only_hashes_of_tokens_and_secrets_are_stored() {
    let app = TestApp::spawn().await;
    app.account("a");
    app.api_key("a");
    rotate(&app, TokenRotation::Begin);
    let hashes: Vec<String> = sqlx::query_scalar(
        "select primary_token_hash from accounts union all select secondary_token_hash from accounts
        union all select secret_hash from api_keys",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    assert_eq!(hashes.len(), 3);
    for hash in hashes {
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
    }
}
