//! A service that could not keep its promises does not start, and one that no longer can says that it is not ready.

use crate::harness::{TestApp, fresh_database, migrated_database, start_refusal};

#[tokio::test]
async fn a_database_without_the_schema_is_refused_with_the_remedy() {
    let refusal = start_refusal(&fresh_database());
    assert!(
        refusal.contains("behind") && refusal.contains("pushvault migrate"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_migration_of_another_text_is_refused() {
    let app = TestApp::spawn().await;
    sqlx::query("update _sqlx_migrations set checksum = '\\x00'")
        .execute(&app.pool)
        .await
        .unwrap();
    let refusal = start_refusal(&app.database);
    assert!(refusal.contains("is not the one that this binary has"), "{refusal}");
    let ready = app.anonymous().get("/readyz").await.json(503);
    assert_eq!(ready["checks"]["schema"], "failed");
    assert_eq!(ready["checks"]["database"], "ok");
    for check in ["keyring", "audit", "clock"] {
        assert_eq!(ready["checks"][check], "ok", "{check}");
    }
}

#[tokio::test]
async fn a_root_key_that_the_database_no_longer_expects_is_not_ready() {
    let app = TestApp::spawn_with(migrated_database(), |_| {}).await;
    sqlx::raw_sql("delete from signing_keys; update root_keys set kek_id = 'kek_0000000000000000'")
        .execute(&app.pool)
        .await
        .unwrap();
    let ready = app.anonymous().get("/readyz").await.json(503);
    assert_eq!(ready["checks"]["keyring"], "failed");
    for check in ["schema", "audit", "clock"] {
        assert_eq!(ready["checks"][check], "ok", "{check}");
    }
}

#[tokio::test]
async fn the_first_start_registers_the_root_key_once_and_records_it() {
    let mut app = TestApp::spawn().await;
    app.restart();
    app.replica(|vault| async move { assert!(vault.readiness().await.is_ready()) });
    let trail = app.audit_trail().await;
    let registered: Vec<_> = trail
        .iter()
        .filter(|event| event.action == "root_key.register")
        .collect();
    assert_eq!(registered.len(), 1);
    assert_eq!(registered[0].account_sid, "AC00000000000000000000000000000000");
    assert_eq!(
        (registered[0].actor_type.as_str(), registered[0].actor_sid.as_deref()),
        ("operator", Some("tests"))
    );
    assert!(
        registered[0]
            .target_sid
            .as_deref()
            .is_some_and(|sid| sid.starts_with("kek_"))
    );
}

#[tokio::test]
async fn two_that_start_at_once_on_a_new_database_agree_on_one_root_key() {
    let app = TestApp::spawn().await;
    sqlx::raw_sql("delete from signing_keys; delete from root_keys")
        .execute(&app.pool)
        .await
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| app.replica(|vault| async move { assert!(vault.readiness().await.is_ready()) }));
        }
    });
    let count: i64 = sqlx::query_scalar("select count(*) from root_keys")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(count, 1);
}
