//! Events as they are stored, read whatever somebody put there.

use std::collections::HashMap;
use std::net::IpAddr;

use data_encoding::HEXLOWER;
use serde_json::Value;
use sqlx::PgExecutor;
use time::OffsetDateTime;

use super::error::StoreError;
use crate::domain::text::rfc_3339_micros;
use crate::trail::EventRecord;

/// An event as it is stored.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// What it says.
    pub record: EventRecord,
    /// When, by the database.
    pub occurred_at: OffsetDateTime,
    /// When, by the process that wrote it down; none of releases that did not say.
    pub written_at: Option<OffsetDateTime>,
    /// Whether there is another row of the same account and SID.
    pub is_doubled: bool,
    /// Its MAC.
    pub mac: Option<Vec<u8>>,
    /// Whose MAC it is.
    pub mac_key_id: Option<String>,
}

/// The events of these accounts and SIDs.
pub(super) async fn events(
    executor: impl PgExecutor<'_>,
    keys: impl Iterator<Item = (String, String)>,
) -> Result<HashMap<(String, String), StoredEvent>, StoreError> {
    let (accounts, sids): (Vec<_>, Vec<_>) = keys.unzip();
    let rows = sqlx::query!(
        r#"select account_sid, event_sid,
            least(greatest(occurred_at, '0001-01-01'), '9999-12-31') as "occurred_at!",
            coalesce(actor_type, '') as "actor_type!", actor_sid, host(source_address) as source_address, user_agent,
            request_sid, traceparent, coalesce(action, '') as "action!", coalesce(outcome, '') as "outcome!", error_code,
            target_sid, target_version, to_jsonb(changed_fields)::text as changed_fields, before::text, after::text,
            envelope_digest, mac, mac_key_id, least(greatest(written_at, '0001-01-01'), '9999-12-31') as written_at
        from audit_events join unnest($1::text[], $2::text[]) as wanted (account_sid, event_sid)
            using (account_sid, event_sid)"#,
        &accounts,
        &sids,
    )
    .fetch_all(executor)
    .await?;
    let mut events = HashMap::<_, StoredEvent>::with_capacity(rows.len());
    for row in rows {
        let source_address = row.source_address.map(|address| address.parse::<IpAddr>());
        let source_address = source_address
            .transpose()
            .map_err(|_| StoreError::Malformed("source_address"))?;
        let record = EventRecord {
            account_sid: row.account_sid.clone(),
            action: row.action,
            actor_sid: row.actor_sid,
            actor_type: row.actor_type,
            after: row.after.map(parse_json),
            before: row.before.map(parse_json),
            changed_fields: parse_fields(row.changed_fields.unwrap_or_default()),
            envelope_digest: row.envelope_digest.map(|digest| HEXLOWER.encode(&digest)),
            error_code: row.error_code,
            event_sid: row.event_sid.clone(),
            occurred_at: Some(rfc_3339_micros(row.occurred_at)),
            outcome: row.outcome,
            request_sid: row.request_sid,
            source_address: source_address.map(|address| address.to_string()),
            target_sid: row.target_sid,
            target_version: row.target_version,
            traceparent: row.traceparent,
            user_agent: row.user_agent,
            written_at: row.written_at.map(rfc_3339_micros),
        };
        let stored = StoredEvent {
            record,
            occurred_at: row.occurred_at,
            written_at: row.written_at,
            is_doubled: false,
            mac: row.mac,
            mac_key_id: row.mac_key_id,
        };
        let doubled = events.insert((row.account_sid.clone(), row.event_sid.clone()), stored);
        if doubled.is_some()
            && let Some(stored) = events.get_mut(&(row.account_sid, row.event_sid))
        {
            stored.is_doubled = true;
        }
    }
    Ok(events)
}

// What the owner of the tables can put there, and no release ever did, is read as something that nobody sealed: whoever
// verifies says then which event it is.

/// A text that is no JSON, or none that can be read here, is taken as the text that it is.
fn parse_json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// A list with elements that are none, or lists, is taken as one name.
fn parse_fields(text: String) -> Vec<String> {
    serde_json::from_str(&text).unwrap_or_else(|_| vec![text])
}
