//! The audit trail: rows that are only ever added.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::error::StoreError;
use crate::domain::audit::AuditEvent;
use crate::domain::sid::RequestSid;
use crate::domain::text::rfc_3339_micros;
use crate::trail::{AuditKey, EventRecord};

/// Writes an event down, with a MAC unless the key that makes it is lost.
pub(super) async fn insert(
    connection: &mut PgConnection,
    event: &AuditEvent,
    key: Option<&AuditKey>,
) -> Result<(), StoreError> {
    let written_at = now();
    let record = EventRecord {
        written_at: Some(rfc_3339_micros(written_at)),
        ..EventRecord::from(event)
    };
    let mac = key.map(|key| key.mac(&record));
    let mac = mac.transpose().map_err(|_| StoreError::Malformed("an audit event"))?;
    let context = &event.context;
    let changed_fields: Vec<String> = event.changed_fields.iter().map(|&name| name.to_owned()).collect();
    sqlx::query!(
        "insert into audit_events (
            account_sid, event_sid, actor_type, actor_sid, source_address, user_agent, request_sid, traceparent,
            action, outcome, error_code, target_sid, target_version, changed_fields, before, after, envelope_digest, mac,
            mac_key_id, written_at
        ) values (
            $1, $2, $3, $4, $5::text::inet, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
        )",
        event.account_sid.as_str(),
        event.event_sid.as_str(),
        context.actor.kind(),
        context.actor.identifier(),
        context.source_address.map(|address| address.to_string()),
        context.user_agent,
        context.request_sid.as_ref().map(RequestSid::as_str),
        context.traceparent,
        event.action.as_str(),
        event.outcome.as_str(),
        event.outcome.error_code(),
        event.target_sid,
        event.target_version,
        &changed_fields,
        event.before,
        event.after,
        event.envelope_digest.as_ref().map(<[u8; 32]>::as_slice),
        mac.as_ref().map(<[u8; 32]>::as_slice),
        key.map(AuditKey::id),
        written_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The time, as exact as a column can be: the MAC covers what will be read again.
fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_microsecond(now.microsecond()).unwrap_or(now)
}
