//! What goes over the wire around the credential resource: heads and headers, hosts, retries, preconditions, validation.

mod forwarded;
mod http;
mod idempotency;
mod idempotency_rules;
mod precondition;
mod precondition_races;
mod surfaces;
mod turns;
mod unread;
mod validation;

use serde_json::Value;

use crate::harness::{Answer, Client, TestApp};

const LIST: &str = "/v2/Credentials";

/// The path of the credential that a body describes.
fn path(body: &Value) -> String {
    format!("{LIST}/{}", body["sid"].as_str().unwrap())
}

/// Sends a form with one more header.
async fn post_with(client: &Client, target: &str, header: (&str, &str), form: &[(&str, &str)]) -> Answer {
    let request = client.request(reqwest::Method::POST, target).header(header.0, header.1);
    client.send(request.form(form)).await
}

/// How many rows a table has. The statement is the tests' own.
async fn count(app: &TestApp, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(&app.pool).await.unwrap()
}

/// How many credentials there are, deleted ones included.
async fn credentials(app: &TestApp) -> i64 {
    count(app, "select count(*) from credentials").await
}
