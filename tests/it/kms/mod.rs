//! Root keys that never leave their provider. `misbehaviour` has a provider of the tests' own that does what no real one
//! should; `openbao` and `aws` ask a real OpenBao and moto's AWS, which `tests/kms/run` installs.

mod aws;
mod fake;
mod misbehaviour;
mod openbao;
mod servers;

use std::path::PathBuf;
use std::time::Duration;

use pushvault::config::{KekSettings, TransitSettings, TransitToken};
use secrecy::SecretString;

pub(crate) use servers::OpenBao;

use crate::harness::{Answer, TestApp, migrated_database};

const LIST: &str = "/v2/Credentials";

/// A key named `pushvault` in an engine at that address.
fn transit(url: &str, token: TransitToken) -> TransitSettings {
    TransitSettings {
        url: url.to_owned(),
        namespace: String::new(),
        mount: "transit".to_owned(),
        key: "pushvault".to_owned(),
        token,
        ca_file: None,
        answer_time: Duration::from_secs(3),
    }
}

fn fixed(token: &str) -> TransitToken {
    TransitToken::Fixed(SecretString::from(token))
}

/// A token in a file of a directory.
fn in_file(directory: &tempfile::TempDir, token: &str) -> (TransitToken, PathBuf) {
    let path = directory.path().join("token");
    std::fs::write(&path, format!("{token}\n")).unwrap();
    (TransitToken::File(path.clone()), path)
}

/// A service whose root key is there.
async fn app_with(kek: KekSettings) -> TestApp {
    TestApp::spawn_with(migrated_database(), |settings| settings.kek = kek).await
}

/// A service with accounts `a` and `b`, of which only the key of `a` is in memory.
async fn app_that_knows_a(kek: KekSettings) -> TestApp {
    let mut app = app_with(kek).await;
    app.account_named("a");
    app.account_named("b");
    app.restart();
    // Until it hears of changed keys it keeps none.
    until(|| async {
        let measured = app.vault(|vault| async move { vault.measured() });
        measured.contains("pushvault_key_channel_up 1").then_some(())
    })
    .await;
    create(&app, "a").await.json(201);
    app
}

/// A service whose database knows no root key any more: the next one to start there registers its own.
async fn app_without_root_key() -> TestApp {
    let app = TestApp::spawn().await;
    sqlx::raw_sql("delete from signing_keys; delete from root_keys")
        .execute(&app.pool)
        .await
        .unwrap();
    app
}

/// Creates a credential, for which the account's key is needed.
async fn create(app: &TestApp, account: &str) -> Answer {
    app.account(account)
        .post(LIST, &[("Type", "gcm"), ("ApiKey", "first")])
        .await
}

/// Asks until the answer is the expected one: a provider that is back is not noticed at once.
async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    for _ in 0..300 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come to be within 30 seconds")
}

/// What readiness says of the keyring, and whether the replica is to be asked.
async fn readiness(app: &TestApp) -> (u16, String) {
    let answer = app.anonymous().get("/readyz").await;
    let checks = &answer.json(answer.status)["checks"];
    (answer.status, checks["keyring"].as_str().unwrap().to_owned())
}

/// The one answer to a change for which the account's key is not to be had.
#[track_caller]
fn is_unavailable(answer: &Answer) {
    answer.is_error(503, 20503, "Service Unavailable");
    assert!(answer.header("retry-after").is_some());
}

/// What `kek verify` finds, with nothing in memory from before: the problem of each row that does not open.
fn findings(app: &TestApp) -> Vec<(String, String)> {
    let report = app.replica(|vault| async move { vault.verify().await.unwrap() });
    let findings = report.findings.into_iter();
    findings
        .map(|finding| (finding.account_sid.to_string(), finding.problem))
        .collect()
}

/// Creates, fetches, lists, updates and proves that all of it opens.
async fn works_throughout(app: &TestApp) {
    let created = create(app, "a").await.json(201);
    let sid = created["sid"].as_str().unwrap();
    let path = format!("{LIST}/{sid}");
    let form = [("FriendlyName", "new"), ("ApiKey", "second")];
    app.account("a").post(&path, &form).await.json(200);
    assert_eq!(app.account("a").get(&path).await.json(200)["friendly_name"], "new");
    app.account("a").get(LIST).await.json(200);
    assert_eq!(findings(app), []);
}

/// Puts the wrapped key of account `a` into the row of account `b`.
async fn move_key_of_a_to_b(app: &TestApp) {
    let (a, b) = (app.account_named("a").sid, app.account_named("b").sid);
    sqlx::query(
        "update account_keys set wrapped_key = (select wrapped_key from account_keys where account_sid = $1)
        where account_sid = $2",
    )
    .bind(a.as_str())
    .bind(b.as_str())
    .execute(&app.pool)
    .await
    .unwrap();
}

/// The columns of the root key that the database knows: provider, name, and the seed as text where it is text.
async fn registered(app: &TestApp) -> (String, String, Vec<u8>) {
    sqlx::query_as("select provider, name, wrapped_seed from root_keys")
        .fetch_one(&app.pool)
        .await
        .unwrap()
}
