//! Lists are read from a replica of the database, where there is one and it answers.

use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::Value;
use sqlx::{PgPool, types::Uuid};

use super::{LIST, PATIENCE, until};
use crate::harness::{Client, Gate, Log, TestApp, TestDatabase, migrated_database};

/// An app whose lists come from another database by way of a gate. It stands in for a replica; that its rows differ shows
/// where an answer came from.
struct Stage {
    app: TestApp,
    client: Client,
    gate: Gate,
    replica: PgPool,
    /// Lists that came from the primary before the first one came from the replica.
    before: u64,
    _database: TestDatabase,
}

impl Stage {
    /// The replica is the one that lists come from.
    async fn set() -> Self {
        let mut stage = Self::prepare().await;
        // The first list connects, which may take longer than a list waits.
        stage.comes_from_the_replica().await;
        stage.before = stage.fallbacks();
        stage
    }

    /// No list was asked for yet.
    async fn prepare() -> Self {
        let database = migrated_database();
        let gate = Gate::before(&database);
        let url = SecretString::from(gate.url());
        let app = TestApp::spawn_with(migrated_database(), |settings| settings.database.list_url = Some(url)).await;
        let replica = PgPool::connect(database.url()).await.unwrap();
        let client = app.account("a");
        let form = [("Type", "gcm"), ("ApiKey", "k"), ("FriendlyName", "primary")];
        let created = client.post(LIST, &form).await.json(201);

        let deployment_id: Uuid = sqlx::query_scalar("select deployment_id from deployment")
            .fetch_one(&app.pool)
            .await
            .unwrap();
        sqlx::query("update deployment set deployment_id = $1")
            .bind(deployment_id)
            .execute(&replica)
            .await
            .unwrap();
        sqlx::query(
            "with account as (insert into accounts (account_sid, primary_token_hash) values ($1, 'x'))
            insert into credentials (account_sid, credential_sid, friendly_name, push_service, sandbox, current_version)
            values ($1, $2, 'replica', 'gcm', false, 1)",
        )
        .bind(created["account_sid"].as_str())
        .bind(created["sid"].as_str())
        .execute(&replica)
        .await
        .unwrap();
        Self {
            app,
            client,
            gate,
            replica,
            before: 0,
            _database: database,
        }
    }

    async fn comes_from_the_replica(&self) {
        until("lists come from the replica", PATIENCE, async || {
            self.source().await == "replica"
        })
        .await;
    }

    /// Which database the list comes from, by the name of its row.
    async fn source(&self) -> String {
        let list = self.client.get(LIST).await.json(200);
        list["credentials"][0]["friendly_name"].as_str().unwrap().to_owned()
    }

    fn fallbacks(&self) -> u64 {
        let all = self
            .app
            .vault(|vault| async move { vault.metrics().list_replica_fallbacks.get() });
        all - self.before
    }
}

#[tokio::test]
async fn a_list_comes_from_the_replica_and_nothing_else_does() {
    let stage = Stage::set().await;
    for _ in 0..5 {
        assert_eq!(stage.source().await, "replica");
    }
    // The replica has none of the events yet, and the database has.
    let newest = stage.app.newest_event_of("a").await;
    for list in ["/vault/v1/AuditEvents", "/v1/Events"] {
        let page = stage.client.get(list).await.json(200);
        let key = page["meta"]["key"].as_str().unwrap();
        assert_eq!(page[key], Value::Array(vec![]), "{list}");
        stage.client.get(&format!("{list}/{newest}")).await.json(200);
    }
    assert_eq!(stage.fallbacks(), 0);

    let list = stage.client.get(LIST).await.json(200);
    let path = format!("{LIST}/{}", list["credentials"][0]["sid"].as_str().unwrap());
    assert_eq!(stage.client.get(&path).await.json(200)["friendly_name"], "primary");
    let changed = stage.client.post(&path, &[("FriendlyName", "changed")]).await.json(200);
    assert_eq!(changed["friendly_name"], "changed");
    assert_eq!(stage.source().await, "replica", "a list may lag behind");
}

#[tokio::test]
async fn every_page_comes_from_the_replica() {
    let stage = Stage::set().await;
    sqlx::query(
        "insert into credentials (account_sid, credential_sid, friendly_name, push_service, sandbox, current_version)
        select account_sid, 'CR' || md5(number::text), 'replica', 'gcm', false, 1
        from accounts, generate_series(1, 9) as number",
    )
    .execute(&stage.replica)
    .await
    .unwrap();
    let names = |page: &Value| {
        let rows = page["credentials"].as_array().unwrap();
        rows.iter().map(|row| row["friendly_name"].clone()).collect::<Vec<_>>()
    };
    let first = stage.client.get(&format!("{LIST}?PageSize=4")).await.json(200);
    let path = |page: &Value, key: &str| {
        let url = page["meta"][key].as_str().unwrap();
        url.trim_start_matches(stage.app.origin()).to_owned()
    };
    let second = stage.client.get(&path(&first, "next_page_url")).await.json(200);
    let back = stage.client.get(&path(&second, "previous_page_url")).await.json(200);
    for page in [&first, &second, &back] {
        assert_eq!(names(page), ["replica"; 4]);
    }
    assert_eq!(stage.fallbacks(), 0);
}

#[tokio::test]
async fn a_replica_that_is_gone_costs_one_list_a_moment_and_is_used_again_when_it_is_back() {
    let stage = Stage::set().await;

    stage.gate.shut();
    for _ in 0..20 {
        let begin = Instant::now();
        assert_eq!(stage.source().await, "primary");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    }
    assert_eq!(stage.fallbacks(), 20);

    stage.gate.open();
    stage.comes_from_the_replica().await;
}

#[tokio::test]
async fn a_replica_that_falls_silent_does_not_keep_its_callers() {
    let stage = Stage::set().await;

    stage.gate.hold();
    let begin = Instant::now();
    let lists: Vec<_> = (0..20)
        .map(|_| {
            let client = stage.client.clone();
            tokio::spawn(async move { client.get(LIST).await.json(200) })
        })
        .collect();
    for list in lists {
        assert_eq!(list.await.unwrap()["credentials"][0]["friendly_name"], "primary");
    }
    // Half a second is what the replica gets; the rest is for a machine that is busy.
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
    let begin = Instant::now();
    for _ in 0..10 {
        assert_eq!(stage.source().await, "primary");
    }
    assert!(begin.elapsed() < Duration::from_millis(4500), "{:?}", begin.elapsed());

    // Its connections stay stuck for good, and new ones are made.
    stage.gate.silence();
    stage.gate.release();
    stage.comes_from_the_replica().await;
}

#[tokio::test]
async fn a_replica_that_lags_behind_a_migration_is_passed_over() {
    let stage = Stage::set().await;
    sqlx::raw_sql("alter table credentials rename column sandbox to not_yet")
        .execute(&stage.replica)
        .await
        .unwrap();
    assert_eq!(stage.source().await, "primary");
}

#[tokio::test]
async fn another_deployments_database_is_no_replica() {
    let log = Log::from_now();
    let stage = Stage::prepare().await;
    sqlx::query("update deployment set deployment_id = gen_random_uuid()")
        .execute(&stage.replica)
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(stage.source().await, "primary");
    }
    assert_eq!(stage.fallbacks(), 3);
    until("that is told", PATIENCE, async || {
        assert_eq!(stage.source().await, "primary");
        log.text()
            .contains("database.list_url leads to another deployment's database")
    })
    .await;
    let told = log.text();
    assert!(!told.contains(stage.gate.url()));
}

#[tokio::test]
async fn a_service_starts_without_the_replica_that_it_is_told_of() {
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        settings.database.list_url = Some(SecretString::from("postgres://nobody@127.0.0.1:1/nothing"));
    })
    .await;
    app.account("a").get(LIST).await.json(200);
}
