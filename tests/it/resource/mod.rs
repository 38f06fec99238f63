//! The credential resource: what the wire contract says of each operation.

mod body;
mod concurrency;
mod create;
mod delete;
mod list;
mod paging;
mod paging_model;
mod paging_plan;
mod pem;
mod refusals;
mod update;
mod urls;

use serde_json::Value;

use crate::harness::Client;

const LIST: &str = "/v2/Credentials";

/// Creates a credential.
async fn create(client: &Client, form: &[(&str, &str)]) -> Value {
    client.post(LIST, form).await.json(201)
}

/// The SID in a body.
fn sid(body: &Value) -> &str {
    body["sid"].as_str().unwrap()
}

/// The path of the credential that a body describes.
fn path(body: &Value) -> String {
    format!("{LIST}/{}", sid(body))
}
