//! Audit events as the service itself tells them: by the names that the table and the log have.

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::view::PageMeta;
use crate::domain::audit_list::RecordedEvent;
use crate::domain::text::iso_8601_micros;
use crate::service::Page;

/// An audit event.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(super) struct AuditEventView {
    /// The SID of the event.
    #[schema(pattern = "^AE[0-9a-fA-F]{32}$", min_length = 34, max_length = 34)]
    sid: String,
    /// The SID of the account that it belongs to.
    #[schema(pattern = "^AC[0-9a-fA-F]{32}$", min_length = 34, max_length = 34)]
    account_sid: String,
    /// When it was written, in UTC and microseconds, by the database's clock.
    #[schema(format = DateTime)]
    occurred_at: String,
    /// `account`, `api_key`, `operator` or `anonymous`.
    actor_type: String,
    /// The SID of the account or API key, or the name of the operator.
    #[schema(required)]
    actor_sid: Option<String>,
    /// The address that the request came from; null for the command line.
    #[schema(required)]
    source_address: Option<String>,
    /// The header of the request.
    #[schema(required)]
    user_agent: Option<String>,
    /// `Twilio-Request-Id` of the answer.
    #[schema(required)]
    request_sid: Option<String>,
    /// The header of the request.
    #[schema(required)]
    traceparent: Option<String>,
    /// What was asked for, such as `credential.update`.
    action: String,
    /// `success`, `denied`, `failed` or `unknown`.
    outcome: String,
    /// The code that the caller was told; null on success.
    #[schema(required)]
    error_code: Option<i32>,
    /// The SID of what was acted on.
    #[schema(required)]
    target_sid: Option<String>,
    /// The version of the credential that the change made.
    #[schema(required)]
    target_version: Option<i32>,
    /// The names of the parameters that changed, and never a value.
    changed_fields: Vec<String>,
    /// Metadata before the change, without secrets.
    #[schema(required, value_type = Option<Object>)]
    before: Option<Value>,
    /// Metadata after the change, without secrets.
    #[schema(required, value_type = Option<Object>)]
    after: Option<Value>,
    /// SHA-256 over the ciphertexts of the version, in hexadecimal.
    #[schema(required)]
    envelope_digest: Option<String>,
    /// Where it is.
    #[schema(format = "uri")]
    url: String,
}

impl AuditEventView {
    /// An event as it is seen in the list at this URL.
    pub(super) fn new(event: &RecordedEvent, list_url: &str) -> Self {
        let RecordedEvent { event_sid, .. } = event;
        Self {
            sid: event_sid.to_string(),
            account_sid: event.account_sid.to_string(),
            occurred_at: iso_8601_micros(event.occurred_at),
            actor_type: event.actor_type.clone(),
            actor_sid: event.actor_sid.clone(),
            source_address: event.source_address.clone(),
            user_agent: event.user_agent.clone(),
            request_sid: event.request_sid.clone(),
            traceparent: event.traceparent.clone(),
            action: event.action.clone(),
            outcome: event.outcome.clone(),
            error_code: event.error_code,
            target_sid: event.target_sid.clone(),
            target_version: event.target_version,
            changed_fields: event.changed_fields.clone(),
            before: event.before.clone(),
            after: event.after.clone(),
            envelope_digest: event.envelope_digest.as_deref().map(|digest| HEXLOWER.encode(digest)),
            url: format!("{list_url}/{event_sid}"),
        }
    }
}

/// A page of audit events in Twilio's list shape.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEventPage)]
pub(super) struct AuditEventPageView {
    audit_events: Vec<AuditEventView>,
    meta: PageMeta,
}

impl AuditEventPageView {
    /// A page of the list at this URL, which a filter is repeated in.
    pub(super) fn new(page: &Page<RecordedEvent>, list_url: &str, repeated: &str) -> Self {
        Self {
            audit_events: page
                .rows
                .iter()
                .map(|event| AuditEventView::new(event, list_url))
                .collect(),
            meta: PageMeta::new(page, list_url, repeated, "audit_events"),
        }
    }
}
