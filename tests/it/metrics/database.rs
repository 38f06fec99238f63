//! What only the database can tell, and a scrape that does not wait for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::{LIST, is, scrape};
use crate::harness::{Gate, TestApp, migrated_database, with_admin};

/// Adds so many credentials to an account, every third of them deleted.
async fn add_rows(app: &TestApp, count: i32) {
    sqlx::query(
        "insert into credentials (account_sid, credential_sid, push_service, sandbox, current_version, deleted_at)
        select $1, 'CR' || lpad(to_hex(number), 32, '0'), case when number % 2 = 0 then 'apn' else 'fcm' end, false, 1,
            case when number % 3 = 0 then now() end
        from generate_series(1, $2) as number",
    )
    .bind(app.account_named("a").sid.as_str())
    .bind(count)
    .execute(&app.pool)
    .await
    .unwrap();
}

/// The credentials of each type, as they are told after they were counted so.
async fn counted(app: &TestApp, counted_bytes: u32) -> BTreeMap<String, f64> {
    app.vault(|vault| async move { vault.count_credentials(counted_bytes).await })
        .unwrap();
    scrape(app).await
}

/// Asserts how many there are of each type.
#[track_caller]
fn are(samples: &BTreeMap<String, f64>, apn: u32, fcm: u32, gcm: u32) {
    for (name, count) in [("apn", apn), ("fcm", fcm), ("gcm", gcm)] {
        is(samples, &format!("pushvault_credentials{{type=\"{name}\"}}"), count);
    }
}

#[tokio::test]
async fn credentials_are_counted_by_type_without_the_deleted_ones() {
    let app = TestApp::spawn_with_admin().await;
    are(&counted(&app, u32::MAX).await, 0, 0, 0);
    add_rows(&app, 6).await;
    app.account("b").post(LIST, &[("Type", "gcm")]).await.json(201);
    are(&counted(&app, u32::MAX).await, 2, 2, 1);
}

#[tokio::test]
async fn of_a_large_table_a_sample_is_read_and_the_rest_estimated() {
    let app = TestApp::spawn_with_admin().await;
    add_rows(&app, 60_000).await;
    let bytes: i64 = sqlx::query_scalar("select pg_relation_size('credentials')")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    let estimated = counted(&app, u32::try_from(bytes / 4).unwrap()).await;
    for name in ["apn", "fcm"] {
        let count = estimated[&format!("pushvault_credentials{{type=\"{name}\"}}")];
        assert!((10_000.0..40_000.0).contains(&count), "{count} instead of about 20,000");
    }
    is(&estimated, "pushvault_credentials{type=\"gcm\"}", 0);
    are(&counted(&app, u32::MAX).await, 20_000, 20_000, 0);
}

#[tokio::test]
async fn a_database_that_hangs_does_not_hang_a_scrape_and_readiness_tells_what_it_is() {
    let database = migrated_database();
    let gate = Gate::before(&database);
    let url = SecretString::from(gate.url());
    let app = TestApp::spawn_with(database, |settings| {
        with_admin(settings);
        settings.database.url = url;
    })
    .await;
    app.admin().get("/readyz").await.json(200);
    is(&scrape(&app).await, "pushvault_ready{check=\"database\"}", 1);

    gate.hold();
    let begun = Instant::now();
    let (admin, anonymous) = (app.admin(), app.anonymous());
    let (at_the_admin, at_the_api) = tokio::join!(admin.get("/readyz"), anonymous.get("/readyz"));
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    for ready in [at_the_admin.json(503), at_the_api.json(503)] {
        for check in ["database", "schema", "keyring", "audit", "clock"] {
            assert_eq!(ready["checks"][check], "failed", "{check}");
        }
    }

    // As long as it hangs, every scrape is answered out of memory.
    let begun = Instant::now();
    for _ in 0..10 {
        is(&scrape(&app).await, "pushvault_ready{check=\"database\"}", 0);
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    gate.release();
}
