//! An event as OCSF's API Activity (class 6003), for those who collect events of many systems.
//!
//! Source: the Open Cybersecurity Schema Framework, version 1.6.0, class API Activity.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::TrailError;
use super::event::EventRecord;

const VERSION: &str = "1.6.0";

/// The class API Activity, of the category Application Activity.
const CLASS: i32 = 6003;

/// The event, with its place in the tree.
pub(super) fn api_activity(event: &EventRecord, place: &Value) -> Result<Value, TrailError> {
    let mut mapped = classification(event);
    let mut put = |name: &str, value: Value| mapped.insert(name.to_owned(), value);
    if let Some(time) = &event.occurred_at {
        let time = OffsetDateTime::parse(time, &Rfc3339).map_err(|_| TrailError::Event)?;
        put(
            "time",
            json!(time.unix_timestamp() * 1000 + i64::from(time.millisecond())),
        );
    }
    put("actor", json!({ "user": user(event) }));
    put("api", api(event));
    put(
        "src_endpoint",
        match &event.source_address {
            Some(address) => json!({ "ip": address }),
            None => json!({ "name": "command line" }),
        },
    );
    if let Some(user_agent) = &event.user_agent {
        put("http_request", json!({ "user_agent": user_agent }));
    }
    if let Some(target) = &event.target_sid {
        let mut resource = json!({ "uid": target, "type": resource_type(&event.action) });
        if let (Some(version), Some(resource)) = (event.target_version, resource.as_object_mut()) {
            resource.insert("version".to_owned(), json!(version.to_string()));
        }
        put("resources", json!([resource]));
    }
    put(
        "metadata",
        json!({
            "version": VERSION,
            "uid": event.event_sid,
            "event_code": event.action,
            "tenant_uid": event.account_sid,
            "original_time": event.occurred_at,
            "log_name": "audit",
            "product": { "name": "pushvault", "vendor_name": "pushvault" },
        }),
    );
    put(
        "unmapped",
        json!({
            "pushvault": place,
            "changed_fields": event.changed_fields,
            "before": event.before,
            "after": event.after,
            "traceparent": event.traceparent,
        }),
    );
    // What it was mapped from, so that the export can be verified as the vault's own form can.
    put("raw_data", json!(event.canonical()?));
    Ok(Value::Object(mapped))
}

/// What kind of event it is, and how it ended.
fn classification(event: &EventRecord) -> Map<String, Value> {
    let (activity, activity_name) = activity(&event.action);
    let (status, status_name) = match event.outcome.as_str() {
        "success" => (1, "Success"),
        "unknown" => (0, "Unknown"),
        _ => (2, "Failure"),
    };
    let mut mapped = Map::new();
    let mut put = |name: &str, value: Value| mapped.insert(name.to_owned(), value);
    put("activity_id", json!(activity));
    put("activity_name", json!(activity_name));
    put("category_uid", json!(6));
    put("category_name", json!("Application Activity"));
    put("class_uid", json!(CLASS));
    put("class_name", json!("API Activity"));
    put("type_uid", json!(CLASS * 100 + activity));
    put("severity_id", json!(1));
    put("status_id", json!(status));
    put("status", json!(status_name));
    if let Some(code) = event.error_code {
        put("status_code", json!(code.to_string()));
    }
    put("status_detail", json!(event.outcome));
    mapped
}

/// The activity by the verb of the action.
fn activity(action: &str) -> (i32, &'static str) {
    match action.rsplit('.').next().unwrap_or_default() {
        "create" | "add" | "register" | "init" | "copy" => (1, "Create"),
        "fetch" | "list" => (2, "Read"),
        "update" | "suspend" | "activate" | "rotate" | "rotate_key" | "rotate_token" | "rewrap" | "replace" => {
            (3, "Update")
        }
        "delete" | "destroy" | "destroy_key" | "revoke" | "retire" | "prune" => (4, "Delete"),
        _ => (99, "Other"),
    }
}

fn user(event: &EventRecord) -> Value {
    match event.actor_type.as_str() {
        "account" => json!({ "uid": event.actor_sid, "type_id": 99, "type": "Account" }),
        "api_key" => json!({ "uid": event.actor_sid, "type_id": 99, "type": "API key" }),
        "operator" => json!({ "name": event.actor_sid, "type_id": 2, "type": "Admin" }),
        _ => json!({ "type_id": 0, "type": "Unknown" }),
    }
}

fn api(event: &EventRecord) -> Value {
    let mut api = json!({ "operation": event.action, "service": { "name": "pushvault" } });
    if let (Some(request_sid), Some(api)) = (&event.request_sid, api.as_object_mut()) {
        api.insert("request".to_owned(), json!({ "uid": request_sid }));
    }
    api
}

/// The kind of what was acted on: what stands before the verb.
fn resource_type(action: &str) -> &str {
    action.split('.').next().unwrap_or_default()
}
