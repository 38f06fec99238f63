//! Audit events as Twilio's Monitor tells them. docs/api.md says field by field what became of each column.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaFormat, Type};

use super::view::PageMeta;
use super::whereabouts::Whereabouts;
use crate::domain::audit_list::RecordedEvent;
use crate::domain::sid::{CredentialSid, has_form_of_sid};
use crate::domain::text::iso_8601;
use crate::service::Page;

/// An event in Twilio's Monitor: its fourteen keys.
#[derive(Serialize, ToSchema)]
#[schema(as = MonitorEvent)]
pub(super) struct MonitorEventView {
    /// The SID of the event.
    #[schema(pattern = "^AE[0-9a-fA-F]{32}$", min_length = 34, max_length = 34)]
    sid: String,
    /// The SID of the account that it belongs to.
    #[schema(pattern = "^AC[0-9a-fA-F]{32}$", min_length = 34, max_length = 34)]
    account_sid: String,
    /// The SID of the account or API key that acted; null for an operator, who has none.
    #[schema(pattern = "^(AC|SK)[0-9a-fA-F]{32}$", min_length = 34, max_length = 34, required)]
    actor_sid: Option<String>,
    /// `account`, `api-key`, `operator` or `anonymous`.
    actor_type: String,
    /// Always null.
    #[schema(required)]
    description: Option<String>,
    /// What changed, how it ended, and what else is known.
    #[schema(value_type = Object)]
    event_data: Map<String, Value>,
    /// When it happened, in UTC and whole seconds.
    #[schema(format = DateTime)]
    event_date: String,
    /// What happened, such as `credential.created` or `credential.update.denied`.
    event_type: String,
    /// The SID of what was acted on.
    #[schema(pattern = "^[a-zA-Z]{2}[0-9a-fA-F]{32}$", min_length = 34, max_length = 34, required)]
    resource_sid: Option<String>,
    /// What kind of thing it is: `credential`, `api-key`, `account`, `audit-event`.
    resource_type: String,
    /// `api` for a request, `twilio` for the command line.
    source: &'static str,
    /// The address that the request came from; null for the command line.
    #[schema(required)]
    source_ip_address: Option<String>,
    /// Where the event is.
    #[schema(format = "uri")]
    url: String,
    /// Where what was acted on is, as `resource`, if it is a credential.
    #[schema(schema_with = links_schema)]
    links: BTreeMap<&'static str, String>,
}

impl MonitorEventView {
    pub(super) fn new(event: &RecordedEvent, place: &Whereabouts) -> Self {
        let is_by_request = event.request_sid.is_some();
        let credential = event
            .target_sid
            .as_deref()
            .filter(|sid| CredentialSid::parse(sid).is_ok());
        let credential_url = credential.map(|sid| ("resource", format!("{}/{sid}", place.credentials_url())));
        Self {
            sid: event.event_sid.to_string(),
            account_sid: event.account_sid.to_string(),
            actor_sid: event.actor_sid.clone().filter(|_| event.actor_type != OPERATOR),
            actor_type: event.actor_type.replace('_', "-"),
            description: None,
            event_data: event_data(event),
            event_date: iso_8601(event.occurred_at),
            event_type: event.event_type(),
            resource_sid: event.target_sid.clone().filter(|sid| has_form_of_sid(sid)),
            resource_type: event.resource_type(),
            source: if is_by_request { "api" } else { "twilio" },
            source_ip_address: event.source_address.clone(),
            url: format!("{}/{}", place.list_url(), event.event_sid),
            links: credential_url.into_iter().collect(),
        }
    }
}

const OPERATOR: &str = "operator";

/// What has no field of its own. What is not known has no key.
fn event_data(event: &RecordedEvent) -> Map<String, Value> {
    let operator = event.actor_sid.as_ref().filter(|_| event.actor_type == OPERATOR);
    let known = [
        ("resource_properties", resource_properties(event)),
        (
            "changed_fields",
            (!event.changed_fields.is_empty()).then(|| json!(event.changed_fields)),
        ),
        ("version", event.target_version.map(Value::from)),
        ("outcome", Some(json!(event.outcome))),
        ("error_code", event.error_code.map(Value::from)),
        ("operator", operator.map(|name| json!(name))),
        ("request_sid", event.request_sid.as_ref().map(|sid| json!(sid))),
        ("user_agent", event.user_agent.as_ref().map(|text| json!(text))),
    ];
    known
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

/// Each property that was one thing before and another afterwards.
fn resource_properties(event: &RecordedEvent) -> Option<Value> {
    let properties = |side: &Option<Value>| match side {
        Some(Value::Object(properties)) => properties.clone(),
        _ => Map::new(),
    };
    let (before, after) = (properties(&event.before), properties(&event.after));
    let changed: Map<_, _> = before
        .keys()
        .chain(after.keys())
        .map(|name| {
            (
                name,
                before.get(name).unwrap_or(&Value::Null),
                after.get(name).unwrap_or(&Value::Null),
            )
        })
        .filter(|(_, previous, updated)| previous != updated)
        .map(|(name, previous, updated)| (name.clone(), json!({ "previous": previous, "updated": updated })))
        .collect();
    (!changed.is_empty()).then_some(Value::Object(changed))
}

fn links_schema() -> Object {
    ObjectBuilder::from(Object::with_type(Type::Object))
        .format(Some(SchemaFormat::Custom("uri-map".to_owned())))
        .build()
}

/// A page of events in Twilio's list shape.
#[derive(Serialize, ToSchema)]
#[schema(as = MonitorEventPage)]
pub(super) struct MonitorEventPageView {
    events: Vec<MonitorEventView>,
    meta: PageMeta,
}

impl MonitorEventPageView {
    /// A page of the list that was asked for, which a filter is repeated in.
    pub(super) fn new(page: &Page<RecordedEvent>, place: &Whereabouts, repeated: &str) -> Self {
        Self {
            events: page
                .rows
                .iter()
                .map(|event| MonitorEventView::new(event, place))
                .collect(),
            meta: PageMeta::new(page, &place.list_url(), repeated, "events"),
        }
    }
}
