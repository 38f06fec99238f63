//! What is read of the audit trail: events as they stand in the table, and which of them a caller asks for.

use std::net::IpAddr;

use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

use super::audit::{Action, Outcome};
use super::page::RowKey;
use super::sid::{AccountSid, CredentialSid, EventSid, has_form_of_sid};
use super::validation::ValidationError;

/// An event as it was recorded. Kinds, actions and outcomes are texts, because a later release may have written them.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "docs/logging.md says what each column is")]
pub struct RecordedEvent {
    pub event_sid: EventSid,
    pub account_sid: AccountSid,
    pub occurred_at: OffsetDateTime,
    pub actor_type: String,
    pub actor_sid: Option<String>,
    pub source_address: Option<String>,
    pub user_agent: Option<String>,
    pub request_sid: Option<String>,
    pub traceparent: Option<String>,
    pub action: String,
    pub outcome: String,
    pub error_code: Option<i32>,
    pub target_sid: Option<String>,
    pub target_version: Option<i32>,
    pub changed_fields: Vec<String>,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub envelope_digest: Option<Vec<u8>>,
}

impl From<&RecordedEvent> for RowKey {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            instant: event.occurred_at,
            digits: event.event_sid.digits(),
        }
    }
}

/// The three verbs that Twilio writes in another form once they are done.
const DONE: [(&str, &str); 3] = [("create", "created"), ("update", "updated"), ("delete", "deleted")];

const SUCCESS: &str = "success";

impl RecordedEvent {
    /// The kind of thing that was acted on, as Twilio writes such names: `credential`, `api-key`.
    pub fn resource_type(&self) -> String {
        twilios(self.action.split('.').next().unwrap_or_default())
    }

    /// What happened, as Twilio writes it: `credential.created`; and where it did not, what did not and how it ended:
    /// `credential.create.denied`.
    pub fn event_type(&self) -> String {
        event_type(&self.action, &self.outcome)
    }
}

fn event_type(action: &str, outcome: &str) -> String {
    let (resource, verb) = action.split_once('.').unwrap_or((action, ""));
    let done = DONE.iter().find(|(infinitive, _)| *infinitive == verb);
    match done {
        Some((_, participle)) if outcome == SUCCESS => twilios(&format!("{resource}.{participle}")),
        None if outcome == SUCCESS => twilios(action),
        _ => twilios(&format!("{action}.{outcome}")),
    }
}

fn twilios(name: &str) -> String {
    name.replace('_', "-")
}

/// Which of an account's events are asked for. What is none lets every event through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// What was acted on.
    pub target_sid: Option<String>,
    /// What was asked for.
    pub action: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// Who acted: a SID, or the name of an operator.
    pub actor_sid: Option<String>,
    /// From where.
    pub source_address: Option<IpAddr>,
    /// Not before this instant.
    pub from: Option<OffsetDateTime>,
    /// Before this instant.
    pub until: Option<OffsetDateTime>,
}

impl AuditFilter {
    /// By the SID of a credential.
    pub fn set_credential(&mut self, parameter: &'static str, text: &str) -> Result<(), ValidationError> {
        let refused =
            |_| ValidationError::invalid(parameter, "use the SID of a credential: CR and 32 hexadecimal digits");
        self.target_sid = Some(CredentialSid::parse(text).map_err(refused)?.to_string());
        Ok(())
    }

    /// By the SID of whatever was acted on.
    pub fn set_target(&mut self, parameter: &'static str, text: &str) -> Result<(), ValidationError> {
        self.target_sid = Some(sid(parameter, text)?);
        Ok(())
    }

    /// By the SID of an account or API key, or the name of an operator.
    pub fn set_actor(&mut self, parameter: &'static str, text: &str) -> Result<(), ValidationError> {
        // An operator's name is cut at this length. Postgres has no U+0000 in text, and so no event has one.
        if text.chars().count() > 64 || text.contains('\0') {
            let remedy = "use the SID of an account or API key, or the name of an operator";
            return Err(ValidationError::invalid(parameter, remedy));
        }
        self.actor_sid = Some(text.to_owned());
        Ok(())
    }

    /// By the SID of an actor.
    pub fn set_actor_sid(&mut self, parameter: &'static str, text: &str) -> Result<(), ValidationError> {
        self.actor_sid = Some(sid(parameter, text)?);
        Ok(())
    }

    /// By the name of an action. One that there is not would find nothing, and an auditor would think that nothing happened.
    pub fn set_action(&mut self, parameter: &'static str, text: &str) -> Result<(), ValidationError> {
        if !Action::is_name(text) {
            let remedy = "use the name of an action, such as credential.update";
            return Err(ValidationError::invalid(parameter, remedy));
        }
        self.action = Some(text.to_owned());
        Ok(())
    }

    /// By what [`RecordedEvent::event_type`] gives. What no event here can be is refused as an unknown action is.
    pub fn set_event_type(&mut self, parameter: &'static str, text: &str) -> Result<(), ValidationError> {
        let parts: Vec<_> = text.split('.').collect();
        let (resource, verb, outcome) = match parts.as_slice() {
            [resource, verb, outcome] => (*resource, *verb, *outcome),
            [resource, verb] => (*resource, *verb, SUCCESS),
            _ => ("", "", ""),
        };
        let infinitive = DONE.iter().find(|(_, participle)| *participle == verb);
        let verb = infinitive.map_or(verb, |(infinitive, _)| infinitive);
        let action = format!("{resource}.{verb}").replace('-', "_");
        if !Action::is_name(&action) || !Outcome::is_name(outcome) || event_type(&action, outcome) != text {
            let remedy = "use the type of an event of this service, such as credential.updated";
            return Err(ValidationError::invalid(parameter, remedy));
        }
        self.action = Some(action);
        self.outcome = Some(outcome.to_owned());
        Ok(())
    }

    /// By the address that a request came from.
    pub fn set_source_address(&mut self, parameter: &'static str, text: &str) -> Result<(), ValidationError> {
        let refused = |_| ValidationError::invalid(parameter, "use an IPv4 or IPv6 address");
        self.source_address = Some(text.parse().map_err(refused)?);
        Ok(())
    }

    /// From this instant on.
    pub fn set_from(&mut self, parameter: &'static str, text: &str) -> Result<(), ValidationError> {
        self.from = Some(instant(parameter, text)?);
        Ok(())
    }

    /// Before this instant.
    pub fn set_until(&mut self, parameter: &'static str, text: &str) -> Result<(), ValidationError> {
        self.until = Some(instant(parameter, text)?);
        Ok(())
    }

    /// Up to the end of this second, as Twilio has it: its dates have no fractions, and its range includes both ends.
    pub fn set_last_second(&mut self, parameter: &'static str, text: &str) -> Result<(), ValidationError> {
        let second = instant(parameter, text)?.truncate_to_second();
        self.until = Some(second.saturating_add(Duration::SECOND));
        Ok(())
    }
}

fn sid(parameter: &'static str, text: &str) -> Result<String, ValidationError> {
    if has_form_of_sid(text) {
        Ok(text.to_owned())
    } else {
        Err(ValidationError::invalid(
            parameter,
            "use a SID: two letters and 32 hexadecimal digits",
        ))
    }
}

fn instant(parameter: &'static str, text: &str) -> Result<OffsetDateTime, ValidationError> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
    // At the end of the calendar an instant may be none in UTC.
    parsed
        .and_then(|instant| instant.checked_to_offset(UtcOffset::UTC))
        .ok_or_else(|| {
            let remedy = "use a date and time in UTC as ISO 8601 has it, such as 2026-01-31T08:00:00Z";
            ValidationError::invalid(parameter, remedy)
        })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn event(action: &str, outcome: &str) -> RecordedEvent {
        RecordedEvent {
            event_sid: EventSid::generate().unwrap(),
            account_sid: AccountSid::deployment(),
            occurred_at: datetime!(2026-02-03 04:05:06 UTC),
            actor_type: "operator".to_owned(),
            actor_sid: None,
            source_address: None,
            user_agent: None,
            request_sid: None,
            traceparent: None,
            action: action.to_owned(),
            outcome: outcome.to_owned(),
            error_code: None,
            target_sid: None,
            target_version: None,
            changed_fields: Vec::new(),
            before: None,
            after: None,
            envelope_digest: None,
        }
    }

    #[test]
    fn an_event_is_found_again_by_the_type_that_it_is_told_under() {
        for (action, outcome, event_type, resource_type) in [
            ("credential.create", "success", "credential.created", "credential"),
            ("credential.update", "success", "credential.updated", "credential"),
            ("credential.delete", "denied", "credential.delete.denied", "credential"),
            (
                "credential.update",
                "unknown",
                "credential.update.unknown",
                "credential",
            ),
            ("api_key.create", "success", "api-key.created", "api-key"),
            ("api_key.revoke", "failed", "api-key.revoke.failed", "api-key"),
            ("account.rotate_token", "success", "account.rotate-token", "account"),
            ("audit_event.list", "denied", "audit-event.list.denied", "audit-event"),
        ] {
            let event = event(action, outcome);
            assert_eq!(
                (event.event_type(), event.resource_type()),
                (event_type.into(), resource_type.into())
            );
            let mut filter = AuditFilter::default();
            filter.set_event_type("EventType", event_type).unwrap();
            assert_eq!(filter.action.as_deref(), Some(action));
            assert_eq!(filter.outcome.as_deref(), Some(outcome));
        }
    }

    #[test]
    fn twilios_range_includes_its_last_second_and_ours_ends_before_it() {
        let mut filter = AuditFilter::default();
        filter.set_last_second("EndDate", "2026-02-03T04:05:06.7Z").unwrap();
        assert_eq!(filter.until, Some(datetime!(2026-02-03 04:05:07 UTC)));
        filter.set_until("EndDate", "2026-02-03T05:05:06+01:00").unwrap();
        assert_eq!(filter.until, Some(datetime!(2026-02-03 04:05:06 UTC)));
        filter.set_last_second("EndDate", "9999-12-31T23:59:59Z").unwrap();
    }

    #[test]
    fn what_is_no_value_of_a_filter_is_refused_by_its_name_and_never_repeated() {
        type Set = fn(&mut AuditFilter, &'static str, &str) -> Result<(), ValidationError>;
        const LONG: &str = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
        let cases: [(Set, &[&str]); 8] = [
            (
                AuditFilter::set_credential,
                &["CR1", "AC0123456789abcdef0123456789abcdef", " "],
            ),
            (AuditFilter::set_target, &["x", "0123456789abcdef0123456789abcdef01"]),
            (AuditFilter::set_actor, &["a\0b", LONG]),
            (AuditFilter::set_actor_sid, &["root"]),
            (
                AuditFilter::set_action,
                &["credential.updated", "Credential.update", "credential"],
            ),
            (
                AuditFilter::set_event_type,
                &[
                    "credential.update",
                    "credential.updated.success",
                    "phone-number.created",
                    "credential.update.maybe",
                    "x",
                ],
            ),
            (AuditFilter::set_source_address, &["localhost", "10.0.0.0/8", "10.1"]),
            (
                AuditFilter::set_from,
                &[
                    "yesterday",
                    "2026-01-31",
                    "2026-01-31T08:00:00",
                    "9999-12-31T23:59:59-23:00",
                ],
            ),
        ];
        for (set, values) in cases {
            for value in values {
                let refused = set(&mut AuditFilter::default(), "Name", value).unwrap_err();
                assert_eq!(refused.parameter, "Name");
                let told = refused.to_string();
                assert!(told.split([' ', ',', ':']).all(|word| word != *value), "{told}");
            }
        }
    }
}
