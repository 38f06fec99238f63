//! The database is gone, and comes back.

use std::time::Duration;

use pushvault::http::endpoints;
use secrecy::SecretString;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{LIST, credential, everything, is_unavailable};
use crate::harness::{Client, Gate, Log, TestApp, migrated_database};
use crate::process::{Deployment, wait_until};

/// The connections that the service under test keeps.
const CONNECTIONS: u32 = 3;

/// A service whose way to the database can be cut.
async fn behind_a_gate() -> (TestApp, Gate) {
    let database = migrated_database();
    let gate = Gate::before(&database);
    let url = SecretString::from(gate.url());
    let app = TestApp::spawn_with(database, |settings| {
        settings.database.url = url;
        settings.database.acquire_timeout = Duration::from_secs(3);
        settings.database.max_connections = CONNECTIONS;
    })
    .await;
    (app, gate)
}

/// Asks until the service has noticed that the database is there again. Each connection that died in its pocket costs one
/// refusal and no more.
async fn once_it_is_back(client: &Client, path: &str) -> Value {
    for _ in 0..CONNECTIONS {
        let answer = client.get(path).await;
        if answer.status == 200 {
            return answer.json(200);
        }
        assert_eq!(answer.status, 503);
    }
    client.get(path).await.json(200)
}

#[tokio::test]
async fn without_the_database_every_authenticated_route_is_503_and_with_it_again_everything_is_as_before() {
    let log = Log::from_now();
    let (app, gate) = behind_a_gate().await;
    let path = credential(&app).await;
    let sid = path.rsplit_once('/').unwrap().1;
    let client = app.account("a");
    let before = everything(&app).await;

    gate.shut();
    // All at once: they wait for the same thing.
    let requests: Vec<_> = endpoints()
        .into_iter()
        .filter(|endpoint| endpoint.right.is_some())
        .map(|endpoint| {
            let client = client.clone();
            let request = client.request(endpoint.method.parse().unwrap(), &endpoint.path.replace("{sid}", sid));
            let request = match endpoint.method.as_str() {
                "POST" => request.form(&[("Type", "gcm"), ("ApiKey", "l")]),
                _ => request,
            };
            tokio::spawn(async move { client.send(request).await })
        })
        .collect();
    assert_eq!(requests.len(), 46);
    for request in requests {
        is_unavailable(&request.await.unwrap());
    }

    gate.open();
    assert_eq!(everything(&app).await, before);
    once_it_is_back(&client, &path).await;
    client.post(&path, &[("ApiKey", "l")]).await.json(200);
    assert!(log.events("panic").is_empty(), "{:?}", log.events("panic"));
}

#[tokio::test]
async fn without_the_database_the_service_is_alive_and_not_ready_and_says_why() {
    let (app, gate) = behind_a_gate().await;
    gate.shut();
    let anonymous = app.anonymous();
    assert_eq!(anonymous.get("/healthz").await.json(200)["status"], "alive");
    let ready = anonymous.get("/readyz").await.json(503);
    assert_eq!(ready["status"], "not ready");
    for check in ["database", "schema", "keyring", "audit", "clock"] {
        assert_eq!(ready["checks"][check], "failed", "{check}");
    }
    gate.open();
    assert_eq!(once_it_is_back(&anonymous, "/readyz").await["status"], "ready");
}

#[tokio::test]
async fn without_the_database_a_refused_mutation_is_503_because_it_cannot_be_recorded() {
    let (app, gate) = behind_a_gate().await;
    let path = credential(&app).await;
    let before = everything(&app).await;
    gate.shut();
    let anonymous = app.anonymous();
    is_unavailable(&anonymous.post(LIST, &[("Type", "gcm")]).await);
    is_unavailable(&anonymous.delete(&path).await);
    // A read leaves no event, so nothing stands in the way of refusing it.
    anonymous.get(&path).await.is_error(401, 20003, "Authenticate");
    anonymous.get("/nowhere").await.is_not_found("/nowhere");
    gate.open();
    assert_eq!(everything(&app).await, before);
}

#[tokio::test]
async fn nothing_of_the_fault_is_told_to_the_caller_and_the_log_has_its_cause_decision_32() {
    let log = Log::from_now();
    let (app, gate) = behind_a_gate().await;
    app.account_named("a");
    gate.shut();
    let answer = app.account("a").get(LIST).await;
    is_unavailable(&answer);
    for word in ["sqlx", "connection", "postgres", "pool", "127.0.0.1", "pushvault_test"] {
        assert!(!answer.body.contains(word), "{word}: {}", answer.body);
    }
    let told = log.text();
    let line = told
        .lines()
        .find(|line| line.contains(answer.request_sid()) && line.contains("request failed"))
        .expect("the failure is logged with its request");
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["level"], "ERROR");
    let cause = line["cause"].as_str().unwrap();
    assert!(
        cause.starts_with("the store is unavailable: the database is unavailable: "),
        "{cause}"
    );
}

#[tokio::test]
async fn the_log_says_why_no_connection_was_to_be_had() {
    // A process of its own, with a log of its own: in the log of the tests other services say the same.
    let deployment = Deployment::migrated();
    let gate = Gate::before_url(deployment.setting("DATABASE__URL"));
    let owner = deployment.database().await;
    let deployment = deployment
        .with("DATABASE__URL", gate.url())
        .with("DATABASE__STATEMENT_TIMEOUT_SECONDS", "30")
        .with("DATABASE__ACQUIRE_TIMEOUT_SECONDS", "1")
        .with("DATABASE__MAX_CONNECTIONS", &CONNECTIONS.to_string());
    let account = deployment.create_account();
    let service = deployment.serve();
    let caller = service.caller(&account);
    let sid = caller.register("a-name").await;
    let says = |reason: &str| {
        let log = service.program.stdout();
        log.lines()
            .any(|line| line.contains("not ready") && line.contains(reason))
    };

    owner.execute("begin").await;
    owner.execute("lock table credentials in access exclusive mode").await;
    let waiting: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (caller, sid) = (caller.clone(), sid.clone());
            tokio::spawn(async move { caller.fetch(&sid).await })
        })
        .collect();
    wait_until("it says that all connections are in use", async || {
        caller.get("/readyz").await;
        assert!(!waiting.iter().all(JoinHandle::is_finished), "nobody was told why");
        says("all of the pool's connections are in use")
    })
    .await;
    owner.execute("rollback").await;
    for answer in waiting {
        answer.await.unwrap();
    }

    assert!(!says("Connection refused"));
    gate.shut();
    wait_until("it says that none is let in", async || {
        assert_eq!(caller.get("/readyz").await.status, 503);
        says("Connection refused")
    })
    .await;
}

#[tokio::test]
async fn after_a_restart_of_the_database_the_service_recovers_by_itself() {
    let (app, gate) = behind_a_gate().await;
    let path = credential(&app).await;
    app.account("a").get(&path).await.json(200);
    gate.shut();
    gate.open();
    once_it_is_back(&app.account("a"), &path).await;
    for _ in 0..5 {
        app.account("a").get(&path).await.json(200);
    }
    app.account("a").post(&path, &[("ApiKey", "l")]).await.json(200);
}

#[tokio::test]
async fn a_database_that_hangs_does_not_hang_its_callers() {
    let (app, gate) = behind_a_gate().await;
    let path = credential(&app).await;
    let before = everything(&app).await;
    gate.hold();
    let owner = app.account("a");
    let answers = async { tokio::join!(owner.get(&path), owner.post(&path, &[("ApiKey", "l")])) };
    let (read, changed) = tokio::time::timeout(Duration::from_secs(20), answers)
        .await
        .expect("the callers are told within 20 seconds");
    is_unavailable(&read);
    is_unavailable(&changed);
    gate.release();
    assert_eq!(everything(&app).await, before);
}

#[tokio::test]
async fn one_connection_is_enough_for_everything() {
    // Whoever held one and waited for a second would wait for themselves.
    let mut app = TestApp::spawn_with(migrated_database(), |settings| settings.database.max_connections = 1).await;
    let path = credential(&app).await;
    app.restart();
    let owner = app.account("a");
    owner.post(&path, &[("ApiKey", "l")]).await.json(200);
    app.restart();
    let owner = app.account("a");
    owner.post(LIST, &[("Type", "gcm"), ("ApiKey", "m")]).await.json(201);
    owner.get(LIST).await.json(200);
    owner.post(LIST, &[]).await.json(400);
    assert_eq!(owner.delete(&path).await.status, 204);
}
