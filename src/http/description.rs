//! What each operation is, as the OpenAPI document tells it: a table beside the route table.

use super::error::ErrorCode;
use super::filters::{AUDIT_EVENT_FILTERS, FilterParameter, MONITOR_FILTERS};

/// What an operation is.
pub(super) struct Description {
    /// Twilio's name for it; the document puts the surface in front.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) body: Option<Body>,
    /// Whether it takes the parameters of a page.
    pub(super) takes_page: bool,
    /// The parameters that say which rows are asked for.
    pub(super) filters: &'static [FilterParameter],
    pub(super) headers: &'static [RequestHeader],
    pub(super) success: Success,
    /// Beside those that every operation has.
    pub(super) errors: &'static [ErrorCode],
}

/// The body of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// `Type` is required.
    Create,
    /// Nothing is.
    Update,
}

/// A request header that changes what an operation does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestHeader {
    IdempotencyKey,
    IfMatch,
}

/// What is answered when all is well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Success {
    /// 201 with the credential.
    Created,
    /// 200 with the credential.
    Credential,
    /// 200 with what has this schema.
    Ok(&'static str),
    /// 204.
    Nothing,
    /// 200 with the state of the service, or 503.
    Health,
}

pub(super) static LIST: Description = Description {
    id: "ListCredential",
    summary: "A page of the account's credentials, newest first",
    body: None,
    takes_page: true,
    filters: &[],
    headers: &[],
    success: Success::Ok("CredentialPage"),
    errors: &[],
};

pub(super) static CREATE: Description = Description {
    id: "CreateCredential",
    summary: "Store a new credential; its secrets are never answered",
    body: Some(Body::Create),
    takes_page: false,
    filters: &[],
    headers: &[RequestHeader::IdempotencyKey],
    success: Success::Created,
    errors: &[
        ErrorCode::IdempotencyKeyReused,
        ErrorCode::BodyTooLarge,
        ErrorCode::UnsupportedMediaType,
    ],
};

pub(super) static FETCH: Description = Description {
    id: "FetchCredential",
    summary: "One credential, without its secrets",
    body: None,
    takes_page: false,
    filters: &[],
    headers: &[RequestHeader::IfMatch],
    success: Success::Credential,
    errors: &[ErrorCode::NotFound, ErrorCode::PreconditionFailed],
};

pub(super) static UPDATE: Description = Description {
    id: "UpdateCredential",
    summary: "Change what the request names and leave the rest",
    body: Some(Body::Update),
    takes_page: false,
    filters: &[],
    headers: &[RequestHeader::IfMatch],
    success: Success::Credential,
    errors: &[
        ErrorCode::NotFound,
        ErrorCode::PreconditionFailed,
        ErrorCode::BodyTooLarge,
        ErrorCode::UnsupportedMediaType,
    ],
};

pub(super) static DELETE: Description = Description {
    id: "DeleteCredential",
    summary: "Delete a credential",
    body: None,
    takes_page: false,
    filters: &[],
    headers: &[RequestHeader::IfMatch],
    success: Success::Nothing,
    errors: FETCH.errors,
};

pub(super) static LIST_AUDIT_EVENTS: Description = Description {
    id: "ListAuditEvent",
    summary: "A page of the account's audit events, newest first",
    body: None,
    takes_page: true,
    filters: &AUDIT_EVENT_FILTERS,
    headers: &[],
    success: Success::Ok("AuditEventPage"),
    errors: &[],
};

pub(super) static FETCH_AUDIT_EVENT: Description = Description {
    id: "FetchAuditEvent",
    summary: "One audit event",
    body: None,
    takes_page: false,
    filters: &[],
    headers: &[],
    success: Success::Ok("AuditEvent"),
    errors: &[ErrorCode::NotFound],
};

pub(super) static LIST_EVENTS: Description = Description {
    id: "ListEvent",
    summary: "A page of the account's audit events in the shape of Twilio's Monitor, newest first",
    body: None,
    takes_page: true,
    filters: &MONITOR_FILTERS,
    headers: &[],
    success: Success::Ok("MonitorEventPage"),
    errors: &[],
};

pub(super) static FETCH_EVENT: Description = Description {
    id: "FetchEvent",
    summary: "One audit event in the shape of Twilio's Monitor",
    body: None,
    takes_page: false,
    filters: &[],
    headers: &[],
    success: Success::Ok("MonitorEvent"),
    errors: &[ErrorCode::NotFound],
};

pub(super) static ALIVE: Description = Description {
    id: "Alive",
    summary: "Whether the process answers",
    body: None,
    takes_page: false,
    filters: &[],
    headers: &[],
    success: Success::Health,
    errors: &[],
};

pub(super) static READY: Description = Description {
    id: "Ready",
    summary: "Whether a request could be served now, and what is missing if not",
    body: None,
    takes_page: false,
    filters: &[],
    headers: &[],
    success: Success::Health,
    errors: &[],
};
