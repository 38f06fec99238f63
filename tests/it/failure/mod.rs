//! Promise 2 when something is broken: what cannot be done, or cannot be recorded, is refused, and nothing is half done.

mod audit;
mod database;
mod privileges;
mod readiness;
mod silence;
mod start;

use serde_json::Value;

use crate::harness::{Answer, TestApp};

const LIST: &str = "/v2/Credentials";

/// The one answer to everything that the database is needed for and cannot do (decision 32).
#[track_caller]
fn is_unavailable(answer: &Answer) {
    answer.is_error(503, 20503, "Service Unavailable");
    let seconds = answer.header("retry-after").expect("a Retry-After");
    assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds >= 1), "{seconds}");
}

/// Every row that a request could change, and every event.
async fn everything(app: &TestApp) -> Vec<Value> {
    sqlx::query_scalar(
        "select to_jsonb(accounts) from accounts
        union all select to_jsonb(credentials) from credentials
        union all select to_jsonb(credential_versions) from credential_versions
        union all select to_jsonb(audit_events) from audit_events order by 1",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap()
}

/// A credential of account `a`: its path.
async fn credential(app: &TestApp) -> String {
    let form = [("Type", "gcm"), ("ApiKey", "k")];
    let created = app.account("a").post(LIST, &form).await.json(201);
    format!("{LIST}/{}", created["sid"].as_str().unwrap())
}
