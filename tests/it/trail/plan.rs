//! What a page of the trail costs the database: an index has its rows in their order, whatever the values are. The statements
//! are those that the service was built with.

use serde_json::Value;
use sqlx::AssertSqlSafe;
use sqlx::pool::PoolConnection;
use sqlx::postgres::Postgres;
use sqlx::types::Json;

use crate::harness::TestApp;

/// How many events the account has; every hundredth is of one credential.
const EVENTS: i32 = 20_000;

/// The rows that the service asks for: a page of the default size, and one more.
const LIMIT: i64 = 51;

/// A statement, whether it asks for one target, and the index that must answer it.
const STATEMENTS: [(&str, bool, &str); 4] = [
    ("older", false, "audit_events_newest_first"),
    ("newer", false, "audit_events_newest_first"),
    ("older_of", true, "audit_events_by_target"),
    ("newer_of", true, "audit_events_by_target"),
];

#[tokio::test]
async fn a_page_of_the_trail_is_read_from_an_index_and_costs_the_same_wherever_it_is() {
    let app = TestApp::spawn().await;
    let account_sid = app.account_named("a").sid.to_string();
    let target = format!("CR{}", "0".repeat(32));
    sqlx::query(
        "insert into audit_events (account_sid, event_sid, occurred_at, actor_type, action, outcome, target_sid)
        select $1, 'AE' || md5(number::text), timestamptz '2026-01-01 00:00:00+00' + number / 3 * interval '1 second',
            'operator', 'credential.update', 'success',
            case when number % 100 = 0 then $2 else 'CR' || md5(number::text) end
        from generate_series(1, $3) as number",
    )
    .bind(&account_sid)
    .bind(&target)
    .bind(EVENTS)
    .execute(&app.pool)
    .await
    .unwrap();
    sqlx::query("analyze audit_events").execute(&app.pool).await.unwrap();
    let mut connection = app.pool.acquire().await.unwrap();
    prepare_statements(&mut connection).await;

    for mode in ["force_custom_plan", "force_generic_plan"] {
        run(&mut connection, format!("set plan_cache_mode = {mode}")).await;
        for (name, has_target, index) in STATEMENTS {
            // The first page has no position; another one begins in the middle.
            for position in ["null, null", "'2026-01-01 01:00:00+00', 'AE0'"] {
                let target = if has_target {
                    format!(", '{target}'")
                } else {
                    String::new()
                };
                let execute = format!(
                    "execute {name} ('{account_sid}', {position}, null, null, null, null, null, null, {LIMIT}{target})"
                );
                let plan = analyzed(&mut connection, &execute).await;
                let told = format!("{mode}, {execute}: {plan:#}");
                let scan = scan_of(&plan);
                assert_eq!(scan["Index Name"], index, "{told}");
                // What one target has may be read whole and sorted: never more than that.
                let most = if has_target { i64::from(EVENTS / 100) } else { LIMIT };
                assert!((LIMIT..=most).contains(&rows(scan)), "{told}");
            }
        }
    }
}

/// The scan at the bottom of a plan that has one.
fn scan_of(plan: &Value) -> &Value {
    match plan["Plans"].as_array().map(Vec::as_slice) {
        None => plan,
        Some([below]) => scan_of(below),
        Some(_) => panic!("more than one scan: {plan:#}"),
    }
}

async fn prepare_statements(connection: &mut PoolConnection<Postgres>) {
    let mut names = Vec::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let described: Value = serde_json::from_str(&text).unwrap();
        let sql = described["query"].as_str().unwrap();
        let is_page = sql.contains("from audit_events") && sql.contains("order by occurred_at");
        // What is in no leaf is asked for by `audit verify`, of all accounts.
        if !is_page || sql.contains("audit_leaves") {
            continue;
        }
        let types: Vec<_> = described["describe"]["parameters"]["Left"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let name = match (types.len(), sql.contains("order by occurred_at desc")) {
            (10, true) => "older",
            (10, false) => "newer",
            (11, true) => "older_of",
            (11, false) => "newer_of",
            _ => panic!("a statement of the list that this test does not know: {sql}"),
        };
        run(connection, format!("prepare {name} ({}) as {sql}", types.join(", "))).await;
        names.push(name);
    }
    names.sort_unstable();
    assert_eq!(names, ["newer", "newer_of", "older", "older_of"]);
}

async fn run(connection: &mut PoolConnection<Postgres>, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut **connection)
        .await
        .unwrap();
}

/// Runs the page and answers the plan with what it did.
async fn analyzed(connection: &mut PoolConnection<Postgres>, execute: &str) -> Value {
    let statement = format!("explain (analyze, timing off, format json) {execute}");
    let Json(explained): Json<Value> = sqlx::query_scalar(AssertSqlSafe(statement))
        .fetch_one(&mut **connection)
        .await
        .unwrap();
    explained[0]["Plan"].clone()
}

/// How many rows a node of a plan gave. Newer Postgres writes it with decimals.
fn rows(node: &Value) -> i64 {
    let text = node["Actual Rows"].to_string();
    text.split('.').next().unwrap().parse().unwrap()
}
