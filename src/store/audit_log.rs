//! One log event for each event of the audit trail, once it is durable. The table is the record; this is its echo.
//!
//! Fields are named as the Elastic Common Schema has them, and our own begin with `pushvault.`. Each stands in
//! `docs/logging.md`; values are text or numbers, so that every place that the log goes to can have them as they are.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::audit::{Action, Actor, AuditEvent, Outcome};
use crate::domain::sid::RequestSid;

/// The version of the Elastic Common Schema whose names these are.
const ECS_VERSION: &str = "9.4.0";

/// The caller's place in a trace, as `traceparent` tells it.
struct TraceContext<'a> {
    trace_id: &'a str,
    span_id: &'a str,
    flags: &'a str,
}

impl<'a> TraceContext<'a> {
    /// None for ids of nothing but zeros, which are not valid.
    fn parse(traceparent: &'a str) -> Option<Self> {
        let mut parts = traceparent.split('-').skip(1);
        let context = Self {
            trace_id: parts.next()?,
            span_id: parts.next()?,
            flags: parts.next()?,
        };
        let is_valid = |id: &str| id.bytes().any(|byte| byte != b'0');
        (is_valid(context.trace_id) && is_valid(context.span_id)).then_some(context)
    }
}

pub(super) fn tell(event: &AuditEvent) {
    let context = &event.context;
    let trace = context.traceparent.as_deref().and_then(TraceContext::parse);
    let (user_id, user_name) = match &context.actor {
        Actor::Operator(name) => (None, Some(name.as_str())),
        actor => (actor.identifier(), None),
    };
    let changed_fields = Some(event.changed_fields.join(",")).filter(|names| !names.is_empty());
    tracing::info!(
        target: "audit",
        {
            "@timestamp" = OffsetDateTime::now_utc().format(&Rfc3339).ok(),
            "ecs.version" = ECS_VERSION,
            "service.name" = "pushvault",
            "event.id" = event.event_sid.as_str(),
            "event.kind" = "event",
            "event.dataset" = "pushvault.audit",
            "event.category" = category(event.action),
            "event.type" = kind(event.action),
            "event.action" = event.action.as_str(),
            "event.outcome" = outcome(event.outcome),
            "error.code" = event.outcome.error_code().map(|code| code.to_string()),
            "organization.id" = event.account_sid.as_str(),
            "user.id" = user_id,
            "user.name" = user_name,
            "source.ip" = context.source_address.map(|address| address.to_string()),
            "user_agent.original" = context.user_agent,
            "http.request.id" = context.request_sid.as_ref().map(RequestSid::as_str),
            "trace.id" = trace.as_ref().map(|trace| trace.trace_id),
            "span.id" = trace.as_ref().map(|trace| trace.span_id),
            "pushvault.trace_flags" = trace.as_ref().map(|trace| trace.flags),
            "pushvault.actor_type" = context.actor.kind(),
            "pushvault.outcome" = event.outcome.as_str(),
            "pushvault.target_sid" = event.target_sid,
            "pushvault.target_version" = event.target_version,
            "pushvault.changed_fields" = changed_fields,
            "pushvault.before" = event.before.as_ref().map(ToString::to_string),
            "pushvault.after" = event.after.as_ref().map(ToString::to_string),
            "pushvault.envelope_digest" = event.envelope_digest.map(|digest| data_encoding::HEXLOWER.encode(&digest)),
        },
        "audit"
    );
}

/// `event.category`: who may come in is `iam`, all else `configuration`.
fn category(action: Action) -> &'static str {
    match action.as_str().split_once('.') {
        Some(("account" | "api_key", _)) => "iam",
        _ => "configuration",
    }
}

/// `event.type`, by the verb of the action.
fn kind(action: Action) -> &'static str {
    match action.as_str().split_once('.') {
        Some((_, "create" | "register" | "add" | "init")) => "creation",
        Some((_, "delete" | "destroy" | "destroy_key" | "revoke" | "prune")) => "deletion",
        Some((_, "fetch" | "list")) => "access",
        Some((_, "destroy_preview" | "destroy_statement")) => "info",
        _ => "change",
    }
}

/// `event.outcome`, which does not tell a refusal from a failure.
fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Denied(_) | Outcome::Failed(_) => "failure",
        Outcome::Unknown(_) => "unknown",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_taken_apart_and_one_of_zeros_is_none() {
        let context = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(
            [context.trace_id, context.span_id, context.flags],
            ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01"]
        );
        for none in [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
        ] {
            assert!(TraceContext::parse(none).is_none(), "{none}");
        }
    }

    #[test]
    fn categories_types_and_outcomes_are_those_of_the_schema() {
        for (action, expected) in [
            (Action::CredentialCreate, ("configuration", "creation")),
            (Action::CredentialDelete, ("configuration", "deletion")),
            (Action::AccountSuspend, ("iam", "change")),
            (Action::AccountDestroyPreview, ("iam", "info")),
            (Action::ApiKeyRevoke, ("iam", "deletion")),
            (Action::RootKeyRegister, ("configuration", "creation")),
        ] {
            assert_eq!((category(action), kind(action)), expected, "{}", action.as_str());
        }
        let outcomes = [
            Outcome::Success,
            Outcome::Denied(1),
            Outcome::Failed(1),
            Outcome::Unknown(1),
        ];
        assert_eq!(outcomes.map(outcome), ["success", "failure", "failure", "unknown"]);
    }
}
