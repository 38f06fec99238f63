//! What a page costs the database: the same wherever in the list it is. The statements are those that the service was
//! built with, because its build reads them from `.sqlx/` too.

use serde_json::Value;
use sqlx::AssertSqlSafe;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, Postgres};
use sqlx::types::Json;

use crate::harness::TestApp;

/// How many credentials each of the two accounts has.
const ROWS: i64 = 10_000;

/// The rows that the service asks for: a page of the default size, and one more.
const LIMIT: i64 = 51;

/// How many blocks more than the first page another one may touch: its rows may be spread a little wider. What grows with
/// the place in the list would be hundreds.
const MORE_BLOCKS: i64 = 10;

/// The three statements of the list, and how Postgres has to run each, whatever the values are.
const FIRST: &str = "
Limit
  ->  Index Scan using credentials_newest_first on credentials
        Index Cond: (account_sid = $1)";
const AFTER: &str = "
Limit
  ->  Index Scan using credentials_newest_first on credentials
        Index Cond: ((account_sid = $1) AND (ROW(created_at, credential_sid) < ROW($2, $3)))";
const BEFORE: &str = "
Limit
  ->  Index Scan Backward using credentials_newest_first on credentials
        Index Cond: ((account_sid = $1) AND (ROW(created_at, credential_sid) > ROW($2, $3)))";

/// A page: the statement that reads it, behind how many rows it begins, and how many rows it reads.
struct Page {
    name: &'static str,
    statement: &'static str,
    row: i64,
    limit: i64,
    reads: i64,
}

#[rustfmt::skip]
const PAGES: [Page; 7] = [
    Page { name: "the first page", statement: "first", row: 1, limit: LIMIT, reads: LIMIT },
    Page { name: "the second page", statement: "after", row: 50, limit: LIMIT, reads: LIMIT },
    Page { name: "a page in the middle", statement: "after", row: ROWS / 2, limit: LIMIT, reads: LIMIT },
    Page { name: "the last page", statement: "after", row: ROWS - 50, limit: LIMIT, reads: 50 },
    Page { name: "back to a page in the middle", statement: "before", row: ROWS / 2, limit: LIMIT, reads: LIMIT },
    Page { name: "back from the last row", statement: "before", row: ROWS, limit: LIMIT, reads: LIMIT },
    Page { name: "the look at the other side", statement: "before", row: ROWS / 2, limit: 1, reads: 1 },
];

#[tokio::test]
async fn a_page_costs_the_same_wherever_it_is_decision_10() {
    let app = TestApp::spawn().await;
    // One account got its rows one after the other, three at each moment; the other one all in one moment.
    let accounts = ["spread", "at once"].map(|name| app.account_named(name).sid.to_string());
    fill(&app.pool, &accounts).await;
    let mut connection = app.pool.acquire().await.unwrap();
    prepare_statements(&mut connection).await;

    // Postgres plans a statement anew for its values at first, and later perhaps once for all values.
    for mode in ["force_custom_plan", "force_generic_plan"] {
        run(&mut connection, format!("set plan_cache_mode = {mode}")).await;
        for account_sid in &accounts {
            let mut first = None;
            for page in &PAGES {
                let plan = analyzed(&mut connection, account_sid, page).await;
                let blocks = plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap();
                let first = *first.get_or_insert(blocks);

                let told = format!(
                    "{mode}, {}, {blocks} blocks; the first page {first}: {plan:#}",
                    page.name
                );
                assert_eq!(plan["Node Type"], "Limit", "{told}");
                let [scan] = plan["Plans"].as_array().unwrap().as_slice() else {
                    panic!("{told}");
                };
                assert!(scan["Plans"].is_null(), "something is below the scan: {told}");
                let kind = scan["Node Type"].as_str().unwrap();
                assert!(["Index Scan", "Index Only Scan"].contains(&kind), "{told}");
                assert_eq!(scan["Index Name"], "credentials_newest_first", "{told}");
                // Rows that were read and thrown away would be a cost that grows.
                assert!(scan["Filter"].is_null(), "{told}");
                assert_eq!(rows(scan), page.reads, "{told}");
                assert!(blocks <= first + MORE_BLOCKS, "{told}");
            }
        }
    }
}

#[tokio::test]
async fn every_page_is_read_from_the_index_in_its_order_decision_10() {
    let app = TestApp::spawn().await;
    let accounts = ["a", "b"].map(|name| app.account_named(name).sid.to_string());
    fill(&app.pool, &accounts).await;
    let mut connection = app.pool.acquire().await.unwrap();
    prepare_statements(&mut connection).await;
    run(&mut connection, "set plan_cache_mode = force_generic_plan".to_owned()).await;

    for (statement, expected) in [("first", FIRST), ("after", AFTER), ("before", BEFORE)] {
        let page = PAGES.iter().find(|page| page.statement == statement).unwrap();
        let execute = execution(&mut connection, &accounts[0], page).await;
        let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("explain (costs off) {execute}")))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        assert_eq!(plan.join("\n"), expected.trim_start(), "{statement}");
    }
}

/// Gives both accounts their rows, and in between as many deleted ones that no page may stumble over.
async fn fill(pool: &PgPool, accounts: &[String; 2]) {
    sqlx::query(
        "insert into credentials (account_sid, credential_sid, push_service, sandbox, current_version, created_at,
            deleted_at)
        select account_sid, 'CR' || md5(account_sid || number), 'gcm', false, 1,
            timestamptz '2026-01-01 00:00:00+00' + pace * (number / 3) * interval '1 second',
            case when number % 2 = 0 then now() end
        from generate_series(1, 2 * $1) as number, (values ($2, 1), ($3, 0)) as accounts (account_sid, pace)",
    )
    .bind(ROWS)
    .bind(&accounts[0])
    .bind(&accounts[1])
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("analyze credentials").execute(pool).await.unwrap();
}

/// Prepares what `Store::credentials` runs, as `first`, `after` and `before`.
async fn prepare_statements(connection: &mut PoolConnection<Postgres>) {
    let mut names = Vec::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let described: Value = serde_json::from_str(&text).unwrap();
        let sql = described["query"].as_str().unwrap();
        let is_of_the_list = sql.contains("current_version") && sql.contains("order by created_at");
        if !(sql.contains("from credentials") && is_of_the_list) {
            continue;
        }
        let types: Vec<_> = described["describe"]["parameters"]["Left"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let name = match (types.len(), sql.contains("order by created_at desc")) {
            (2, true) => "first",
            (4, true) => "after",
            (4, false) => "before",
            _ => panic!("a statement of the list that this test does not know: {sql}"),
        };
        run(connection, format!("prepare {name} ({}) as {sql}", types.join(", "))).await;
        names.push(name);
    }
    names.sort_unstable();
    assert_eq!(names, ["after", "before", "first"]);
}

async fn run(connection: &mut PoolConnection<Postgres>, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut **connection)
        .await
        .unwrap();
}

/// Runs the page and answers the plan with what it did.
async fn analyzed(connection: &mut PoolConnection<Postgres>, account_sid: &str, page: &Page) -> Value {
    let execute = execution(connection, account_sid, page).await;
    let statement = format!("explain (analyze, buffers, timing off, format json) {execute}");
    let Json(explained): Json<Value> = sqlx::query_scalar(AssertSqlSafe(statement))
        .fetch_one(&mut **connection)
        .await
        .unwrap();
    explained[0]["Plan"].clone()
}

/// The statement of a page with its values, which can be no parameters in an `execute`.
async fn execution(connection: &mut PoolConnection<Postgres>, account_sid: &str, page: &Page) -> String {
    let (statement, limit) = (page.statement, page.limit);
    let (instant, sid): (String, String) = sqlx::query_as(
        "select created_at::text, credential_sid from credentials where account_sid = $1 and deleted_at is null
        order by created_at desc, credential_sid desc offset $2 - 1 limit 1",
    )
    .bind(account_sid)
    .bind(page.row)
    .fetch_one(&mut **connection)
    .await
    .unwrap();
    match statement {
        "first" => format!("execute first ('{account_sid}', {limit})"),
        _ => format!("execute {statement} ('{account_sid}', '{instant}', '{sid}', {limit})"),
    }
}

/// How many rows a node of a plan gave. Newer Postgres writes it with decimals.
fn rows(node: &Value) -> i64 {
    let text = node["Actual Rows"].to_string();
    text.split('.').next().unwrap().parse().unwrap()
}
