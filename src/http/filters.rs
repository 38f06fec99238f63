//! The filters of the lists of audit events, as tables. The extractor and the OpenAPI document both read them.

use crate::domain::audit_list::AuditFilter;
use crate::domain::validation::ValidationError;

/// One parameter that says which events are asked for.
pub(super) struct FilterParameter {
    /// As the client spells it.
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) kind: FilterKind,
    pub(super) put: fn(&mut AuditFilter, &'static str, &str) -> Result<(), ValidationError>,
}

/// What may stand in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FilterKind {
    /// A SID that begins with what this pattern says.
    Sid(&'static str),
    /// A date and time.
    Instant,
    Text,
}

/// Those of `/vault/v1/AuditEvents`.
pub(super) static AUDIT_EVENT_FILTERS: [FilterParameter; 5] = [
    FilterParameter {
        name: "Credential",
        description: "Only events of the credential with this SID, deleted ones too.",
        kind: FilterKind::Sid("CR"),
        put: AuditFilter::set_credential,
    },
    FilterParameter {
        name: "Action",
        description: "Only events of this action, such as credential.update.",
        kind: FilterKind::Text,
        put: AuditFilter::set_action,
    },
    FilterParameter {
        name: "Actor",
        description: "Only events of this actor: the SID of the account or of an API key, or the name of an operator.",
        kind: FilterKind::Text,
        put: AuditFilter::set_actor,
    },
    FilterParameter {
        name: "StartDate",
        description: "Only events from this instant on, in UTC.",
        kind: FilterKind::Instant,
        put: AuditFilter::set_from,
    },
    FilterParameter {
        name: "EndDate",
        description: "Only events before this instant, in UTC.",
        kind: FilterKind::Instant,
        put: AuditFilter::set_until,
    },
];

/// Those of Twilio's Monitor.
pub(super) static MONITOR_FILTERS: [FilterParameter; 6] = [
    FilterParameter {
        name: "ActorSid",
        description: "Only events of this actor: the SID of the account, or of an API key.",
        kind: FilterKind::Sid("[a-zA-Z]{2}"),
        put: AuditFilter::set_actor_sid,
    },
    FilterParameter {
        name: "EventType",
        description: "Only events of this type, such as credential.updated.",
        kind: FilterKind::Text,
        put: AuditFilter::set_event_type,
    },
    FilterParameter {
        name: "ResourceSid",
        description: "Only events of what has this SID: a credential, an API key, the account.",
        kind: FilterKind::Sid("[a-zA-Z]{2}"),
        put: AuditFilter::set_target,
    },
    FilterParameter {
        name: "SourceIpAddress",
        description: "Only events of requests from this address.",
        kind: FilterKind::Text,
        put: AuditFilter::set_source_address,
    },
    FilterParameter {
        name: "StartDate",
        description: "Only events from this instant on, in UTC.",
        kind: FilterKind::Instant,
        put: AuditFilter::set_from,
    },
    FilterParameter {
        name: "EndDate",
        description: "Only events up to the end of this second, in UTC.",
        kind: FilterKind::Instant,
        put: AuditFilter::set_last_second,
    },
];
