//! An event as it was written down, and the leaf that it is in the tree.

use pushvault_crypto::{CryptoError, MacKey, SigningKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::TrailError;
use super::tree::Hash;
use crate::domain::audit::AuditEvent;
use crate::domain::sid::RequestSid;

/// The domain tag of the MAC of an event.
const MAC_TAG: &[u8] = b"pushvault/v1/audit-event";

/// An event as it is stored. What it has no value for is left out, so that a column which a later release adds changes
/// nothing of earlier events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of audit_events, which docs/logging.md explains"
)]
pub struct EventRecord {
    pub account_sid: String,
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_sid: Option<String>,
    pub actor_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_fields: Vec<String>,
    /// In hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<i32>,
    pub event_sid: String,
    /// RFC 3339, UTC, microseconds; absent while the database has not yet said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<String>,
    pub outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_version: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// When the vault wrote it down, by its own clock; as `occurred_at`. Absent from what earlier releases wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_at: Option<String>,
}

/// The key that authenticates events until they are sealed: it comes from the signing key.
pub struct AuditKey {
    id: String,
    key: MacKey,
}

impl AuditKey {
    /// The key that comes from the signing key of this id.
    pub fn new(id: String, key: &SigningKey) -> Result<Self, CryptoError> {
        Ok(Self {
            id,
            key: key.audit_mac_key()?,
        })
    }

    /// The id of the signing key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The MAC of an event.
    pub fn mac(&self, event: &EventRecord) -> Result<[u8; 32], TrailError> {
        Ok(self.key.digest(&[MAC_TAG, event.untimed()?.as_bytes()]))
    }

    /// Whether a MAC is that of the event.
    pub fn fits(&self, event: &EventRecord, mac: &[u8]) -> Result<bool, TrailError> {
        Ok(mac.len() == 32 && self.key.verify(&[MAC_TAG, event.untimed()?.as_bytes()], mac))
    }
}

/// How an event was found when it became a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authenticity {
    /// Its MAC is right: a process with the root key wrote it, and nobody has changed it since.
    Authentic,
    /// It has no MAC that could be checked, and none was to be expected: it is of an earlier release, or of the time when
    /// the root key was lost.
    Unsigned,
    /// It has no MAC or a wrong one, and should have a right one: somebody else wrote or changed it.
    Forged,
    /// The event was announced, and gone before it became a leaf.
    Missing,
}

/// An event in its place in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// How it was found.
    pub authenticity: Authenticity,
    /// The account that it belongs to.
    pub account_sid: String,
    /// Its SID.
    pub event_sid: String,
    /// The event; none if it is not there any more.
    pub event: Option<EventRecord>,
}

impl Authenticity {
    /// The name as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authentic => "authentic",
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::Missing => "missing",
        }
    }
}

impl EventRecord {
    /// The bytes of the event: JSON in canonical form (RFC 8785).
    pub fn canonical(&self) -> Result<String, TrailError> {
        serde_json_canonicalizer::to_string(self).map_err(|_| TrailError::Event)
    }

    /// What the MAC of an event covers: all but the time of the database, which is known only when the event is in it.
    fn untimed(&self) -> Result<String, TrailError> {
        let untimed = Self {
            occurred_at: None,
            ..self.clone()
        };
        untimed.canonical()
    }
}

impl From<&AuditEvent> for EventRecord {
    fn from(event: &AuditEvent) -> Self {
        let context = &event.context;
        Self {
            account_sid: event.account_sid.to_string(),
            action: event.action.as_str().to_owned(),
            actor_sid: context.actor.identifier().map(str::to_owned),
            actor_type: context.actor.kind().to_owned(),
            after: event.after.clone(),
            before: event.before.clone(),
            changed_fields: event.changed_fields.iter().map(|&name| name.to_owned()).collect(),
            envelope_digest: event
                .envelope_digest
                .map(|digest| data_encoding::HEXLOWER.encode(&digest)),
            error_code: event.outcome.error_code(),
            event_sid: event.event_sid.to_string(),
            occurred_at: None,
            outcome: event.outcome.as_str().to_owned(),
            request_sid: context.request_sid.as_ref().map(RequestSid::to_string),
            source_address: context.source_address.map(|address| address.to_string()),
            target_sid: event.target_sid.clone(),
            target_version: event.target_version,
            traceparent: context.traceparent.clone(),
            user_agent: context.user_agent.clone(),
            written_at: None,
        }
    }
}

impl Leaf {
    /// The bytes of the leaf: JSON in canonical form (RFC 8785) with how it was found and the event; of an event that was
    /// gone, its SID and its account.
    pub fn canonical(&self) -> Result<String, TrailError> {
        let value = match &self.event {
            Some(event) => json!({ "authenticity": self.authenticity, "event": event }),
            None => json!({
                "authenticity": self.authenticity,
                "event": { "account_sid": self.account_sid, "event_sid": self.event_sid },
            }),
        };
        serde_json_canonicalizer::to_string(&value).map_err(|_| TrailError::Event)
    }

    /// The hash of the leaf (RFC 6962, section 2.1): `SHA-256(00 ‖ bytes)`.
    pub fn hash(&self) -> Result<Hash, TrailError> {
        Ok(tlog_tiles::record_hash(self.canonical()?.as_bytes()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// An event as a later release will still have to read it.
    const FROZEN: &str = r#"{"authenticity":"authentic","event":{"account_sid":"AC0123456789abcdef0123456789abcdef","action":"credential.update","actor_sid":"SK0123456789abcdef0123456789abcdef","actor_type":"api_key","after":{"friendly_name":"\"ü\"\n€","sandbox":false,"type":"apn"},"before":{"friendly_name":null,"sandbox":true,"type":"apn"},"changed_fields":["FriendlyName","Sandbox"],"envelope_digest":"00ff","event_sid":"AE0123456789abcdef0123456789abcdef","occurred_at":"2026-11-26T04:00:18.404633Z","outcome":"success","request_sid":"RQ0123456789abcdef0123456789abcdef","source_address":"2001:db8::1","target_sid":"CR0123456789abcdef0123456789abcdef","target_version":2,"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","user_agent":"curl/7.88.1"}}"#;

    fn frozen() -> EventRecord {
        EventRecord {
            account_sid: "AC0123456789abcdef0123456789abcdef".to_owned(),
            action: "credential.update".to_owned(),
            actor_sid: Some("SK0123456789abcdef0123456789abcdef".to_owned()),
            actor_type: "api_key".to_owned(),
            after: Some(json!({ "type": "apn", "sandbox": false, "friendly_name": "\"ü\"\n€" })),
            before: Some(json!({ "type": "apn", "sandbox": true, "friendly_name": null })),
            changed_fields: vec!["FriendlyName".to_owned(), "Sandbox".to_owned()],
            envelope_digest: Some("00ff".to_owned()),
            error_code: None,
            event_sid: "AE0123456789abcdef0123456789abcdef".to_owned(),
            occurred_at: Some("2026-11-26T04:00:18.404633Z".to_owned()),
            outcome: "success".to_owned(),
            request_sid: Some("RQ0123456789abcdef0123456789abcdef".to_owned()),
            source_address: Some("2001:db8::1".to_owned()),
            target_sid: Some("CR0123456789abcdef0123456789abcdef".to_owned()),
            target_version: Some(2),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            user_agent: Some("curl/7.88.1".to_owned()),
            written_at: None,
        }
    }

    /// An event with a value in every field.
    fn complete() -> EventRecord {
        EventRecord {
            error_code: Some(20403),
            written_at: Some("2026-11-26T04:00:18.404600Z".to_owned()),
            ..frozen()
        }
    }

    #[test]
    fn the_bytes_of_a_leaf_are_the_same_for_ever() {
        let leaf = Leaf {
            authenticity: Authenticity::Authentic,
            account_sid: String::new(),
            event_sid: String::new(),
            event: Some(frozen()),
        };
        assert_eq!(leaf.canonical().unwrap(), FROZEN);
        let read: Value = serde_json::from_str(FROZEN).unwrap();
        let read: EventRecord = serde_json::from_value(read.get("event").unwrap().clone()).unwrap();
        assert_eq!(read, frozen());
    }

    #[test]
    fn the_mac_covers_every_field_but_the_time_of_the_database() {
        let key = AuditKey::new("id".to_owned(), &SigningKey::from_slice(&[7; 32]).unwrap()).unwrap();
        let mac = key.mac(&complete()).unwrap();
        let of_another_time = EventRecord {
            occurred_at: Some("2026-11-26T05:00:00.000000Z".to_owned()),
            ..complete()
        };
        assert!(key.fits(&of_another_time, &mac).unwrap());
        let whole = serde_json::to_value(complete()).unwrap();
        let mut changed = 0;
        for (name, value) in whole.as_object().unwrap() {
            let mut other = whole.clone();
            let edited = match value {
                Value::String(text) => json!(format!("{text}x")),
                Value::Number(_) => json!(9),
                Value::Array(_) => json!(["x"]),
                _ => json!({}),
            };
            other.as_object_mut().unwrap().insert(name.clone(), edited);
            let other: EventRecord = serde_json::from_value(other).unwrap();
            assert_eq!(key.fits(&other, &mac).unwrap(), name == "occurred_at", "{name}");
            changed += 1;
        }
        assert_eq!(changed, 19);
        assert!(!key.fits(&complete(), &mac[..31]).unwrap());
    }
}
