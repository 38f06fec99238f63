//! The audit trail as an account reads it.

use serde_json::Value;
use sqlx::PgPool;
use sqlx::types::time::OffsetDateTime;

use super::database::Store;
use super::error::StoreError;
use crate::domain::audit_list::{AuditFilter, RecordedEvent};
use crate::domain::page::Position;
use crate::domain::principal::AccountScope;
use crate::domain::sid::{AccountSid, EventSid};
use crate::telemetry::Traced as _;

impl Store {
    /// One event; another account's is not found.
    pub async fn audit_event(
        &self,
        scope: &AccountScope,
        event_sid: &EventSid,
    ) -> Result<Option<RecordedEvent>, StoreError> {
        sqlx::query_as!(
            EventRow,
            "select account_sid, event_sid, occurred_at, actor_type, actor_sid,
                host(source_address) as source_address, user_agent, request_sid, traceparent, action, outcome,
                error_code, target_sid, target_version, changed_fields, before, after, envelope_digest
            from audit_events where account_sid = $1 and event_sid = $2",
            scope.account_sid().as_str(),
            event_sid.as_str(),
        )
        .fetch_optional(&self.pool())
        .statement("store.audit_event")
        .await?
        .map(RecordedEvent::try_from)
        .transpose()
    }

    /// At most `limit` of the events that the filter lets through from a position, newest first. For [`Position::Before`]
    /// they are the ones closest to it. A read replica answers, where there is one that can.
    pub async fn audit_events(
        &self,
        scope: &AccountScope,
        filter: &AuditFilter,
        position: Position,
        limit: i64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.read_list(|pool| list(pool, scope, filter, position, limit)).await
    }
}

/// What a page is read by. There is a statement for each direction, with a target and without: one index has an account's
/// events in the order of the list, another those of a target. Whatever else the filter asks for is looked at row by row,
/// within its dates. The first page begins after a row in the infinite future.
struct Asked<'a> {
    account_sid: &'a str,
    instant: Option<OffsetDateTime>,
    sid: Option<String>,
    filter: &'a AuditFilter,
    source_address: Option<String>,
    limit: i64,
}

async fn list(
    pool: PgPool,
    scope: &AccountScope,
    filter: &AuditFilter,
    position: Position,
    limit: i64,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let row = match position {
        Position::First => None,
        Position::After(row) | Position::Before(row) => Some(row),
    };
    let asked = Asked {
        account_sid: scope.account_sid().as_str(),
        instant: row.map(|row| row.instant),
        sid: row.map(|row| EventSid::from_digits(row.digits).to_string()),
        filter,
        source_address: filter.source_address.map(|address| address.to_string()),
        limit,
    };
    let is_backwards = matches!(position, Position::Before(_));
    let mut rows = match (&filter.target_sid, is_backwards) {
        (None, false) => asked.older(&pool).await?,
        (Some(target_sid), false) => asked.older_of(&pool, target_sid).await?,
        (None, true) => asked.newer(&pool).await?,
        (Some(target_sid), true) => asked.newer_of(&pool, target_sid).await?,
    };
    if is_backwards {
        rows.reverse();
    }
    rows.into_iter().map(RecordedEvent::try_from).collect()
}

impl Asked<'_> {
    /// The rows before the position in time, the newest first.
    async fn older(&self, pool: &PgPool) -> Result<Vec<EventRow>, sqlx::Error> {
        sqlx::query_as!(
            EventRow,
            "select account_sid, event_sid, occurred_at, actor_type, actor_sid, host(source_address) as source_address,
                user_agent, request_sid, traceparent, action, outcome, error_code, target_sid, target_version,
                changed_fields, before, after, envelope_digest
            from audit_events
            where account_sid = $1
                and (occurred_at, event_sid) < (coalesce($2::timestamptz, 'infinity'), coalesce($3, ''))
                and occurred_at >= coalesce($4::timestamptz, '-infinity')
                and occurred_at < coalesce($5::timestamptz, 'infinity')
                and ($6::text is null or action = $6) and ($7::text is null or outcome = $7)
                and ($8::text is null or actor_sid = $8)
                and ($9::text is null or source_address = $9::text::inet)
            order by occurred_at desc, event_sid desc limit $10",
            self.account_sid,
            self.instant,
            self.sid,
            self.filter.from,
            self.filter.until,
            self.filter.action,
            self.filter.outcome,
            self.filter.actor_sid,
            self.source_address,
            self.limit,
        )
        .fetch_all(pool)
        .statement("store.audit_events")
        .await
    }

    /// The same of one target.
    async fn older_of(&self, pool: &PgPool, target_sid: &str) -> Result<Vec<EventRow>, sqlx::Error> {
        sqlx::query_as!(
            EventRow,
            "select account_sid, event_sid, occurred_at, actor_type, actor_sid, host(source_address) as source_address,
                user_agent, request_sid, traceparent, action, outcome, error_code, target_sid, target_version,
                changed_fields, before, after, envelope_digest
            from audit_events
            where account_sid = $1 and target_sid = $11
                and (occurred_at, event_sid) < (coalesce($2::timestamptz, 'infinity'), coalesce($3, ''))
                and occurred_at >= coalesce($4::timestamptz, '-infinity')
                and occurred_at < coalesce($5::timestamptz, 'infinity')
                and ($6::text is null or action = $6) and ($7::text is null or outcome = $7)
                and ($8::text is null or actor_sid = $8)
                and ($9::text is null or source_address = $9::text::inet)
            order by occurred_at desc, event_sid desc limit $10",
            self.account_sid,
            self.instant,
            self.sid,
            self.filter.from,
            self.filter.until,
            self.filter.action,
            self.filter.outcome,
            self.filter.actor_sid,
            self.source_address,
            self.limit,
            target_sid,
        )
        .fetch_all(pool)
        .statement("store.audit_events")
        .await
    }

    /// The rows after the position in time, the oldest first.
    async fn newer(&self, pool: &PgPool) -> Result<Vec<EventRow>, sqlx::Error> {
        sqlx::query_as!(
            EventRow,
            "select account_sid, event_sid, occurred_at, actor_type, actor_sid, host(source_address) as source_address,
                user_agent, request_sid, traceparent, action, outcome, error_code, target_sid, target_version,
                changed_fields, before, after, envelope_digest
            from audit_events
            where account_sid = $1
                and (occurred_at, event_sid) > (coalesce($2::timestamptz, '-infinity'), coalesce($3, ''))
                and occurred_at >= coalesce($4::timestamptz, '-infinity')
                and occurred_at < coalesce($5::timestamptz, 'infinity')
                and ($6::text is null or action = $6) and ($7::text is null or outcome = $7)
                and ($8::text is null or actor_sid = $8)
                and ($9::text is null or source_address = $9::text::inet)
            order by occurred_at, event_sid limit $10",
            self.account_sid,
            self.instant,
            self.sid,
            self.filter.from,
            self.filter.until,
            self.filter.action,
            self.filter.outcome,
            self.filter.actor_sid,
            self.source_address,
            self.limit,
        )
        .fetch_all(pool)
        .statement("store.audit_events")
        .await
    }

    /// The same of one target.
    async fn newer_of(&self, pool: &PgPool, target_sid: &str) -> Result<Vec<EventRow>, sqlx::Error> {
        sqlx::query_as!(
            EventRow,
            "select account_sid, event_sid, occurred_at, actor_type, actor_sid, host(source_address) as source_address,
                user_agent, request_sid, traceparent, action, outcome, error_code, target_sid, target_version,
                changed_fields, before, after, envelope_digest
            from audit_events
            where account_sid = $1 and target_sid = $11
                and (occurred_at, event_sid) > (coalesce($2::timestamptz, '-infinity'), coalesce($3, ''))
                and occurred_at >= coalesce($4::timestamptz, '-infinity')
                and occurred_at < coalesce($5::timestamptz, 'infinity')
                and ($6::text is null or action = $6) and ($7::text is null or outcome = $7)
                and ($8::text is null or actor_sid = $8)
                and ($9::text is null or source_address = $9::text::inet)
            order by occurred_at, event_sid limit $10",
            self.account_sid,
            self.instant,
            self.sid,
            self.filter.from,
            self.filter.until,
            self.filter.action,
            self.filter.outcome,
            self.filter.actor_sid,
            self.source_address,
            self.limit,
            target_sid,
        )
        .fetch_all(pool)
        .statement("store.audit_events")
        .await
    }
}

struct EventRow {
    account_sid: String,
    event_sid: String,
    occurred_at: OffsetDateTime,
    actor_type: String,
    actor_sid: Option<String>,
    source_address: Option<String>,
    user_agent: Option<String>,
    request_sid: Option<String>,
    traceparent: Option<String>,
    action: String,
    outcome: String,
    error_code: Option<i32>,
    target_sid: Option<String>,
    target_version: Option<i32>,
    changed_fields: Vec<String>,
    before: Option<Value>,
    after: Option<Value>,
    envelope_digest: Option<Vec<u8>>,
}

impl TryFrom<EventRow> for RecordedEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        Ok(Self {
            event_sid: EventSid::parse(&row.event_sid).map_err(|_| StoreError::Malformed("audit_events.event_sid"))?,
            account_sid: AccountSid::parse(&row.account_sid).map_err(|_| StoreError::Malformed("account_sid"))?,
            occurred_at: row.occurred_at,
            actor_type: row.actor_type,
            actor_sid: row.actor_sid,
            source_address: row.source_address,
            user_agent: row.user_agent,
            request_sid: row.request_sid,
            traceparent: row.traceparent,
            action: row.action,
            outcome: row.outcome,
            error_code: row.error_code,
            target_sid: row.target_sid,
            target_version: row.target_version,
            changed_fields: row.changed_fields,
            before: row.before,
            after: row.after,
            envelope_digest: row.envelope_digest,
        })
    }
}
