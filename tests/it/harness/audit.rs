//! The audit trail as the tests read it: from the table.

use serde_json::Value;

use super::{Answer, TestApp};

/// A row of `audit_events`.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub(crate) struct AuditRow {
    pub(crate) account_sid: String,
    pub(crate) event_sid: String,
    pub(crate) actor_type: String,
    pub(crate) actor_sid: Option<String>,
    pub(crate) source_address: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) request_sid: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) action: String,
    pub(crate) outcome: String,
    pub(crate) error_code: Option<i32>,
    pub(crate) target_sid: Option<String>,
    pub(crate) target_version: Option<i32>,
    pub(crate) changed_fields: Vec<String>,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
    pub(crate) envelope_digest: Option<Vec<u8>>,
}

impl TestApp {
    /// Every event, oldest first.
    pub(crate) async fn audit_trail(&self) -> Vec<AuditRow> {
        sqlx::query_as(
            "select account_sid, event_sid, actor_type, actor_sid, host(source_address) as source_address, user_agent,
                request_sid, traceparent, action, outcome, error_code, target_sid, target_version, changed_fields,
                before, after, envelope_digest
            from audit_events order by occurred_at, event_sid",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// How many events there are.
    pub(crate) async fn audit_count(&self) -> i64 {
        sqlx::query_scalar("select count(*) from audit_events")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// The SID of the newest event of the account that the tests call `name`.
    pub(crate) async fn newest_event_of(&self, name: &str) -> String {
        sqlx::query_scalar(
            "select event_sid from audit_events where account_sid = $1 order by occurred_at desc limit 1",
        )
        .bind(self.account_named(name).sid.as_str())
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// The one event that the request behind an answer left.
    #[track_caller]
    pub(crate) fn audit_event_of(&self, answer: &Answer) -> impl Future<Output = AuditRow> {
        let caller = std::panic::Location::caller();
        async move {
            let mut events = self.audit_events_of(answer).await;
            assert_eq!(events.len(), 1, "at {caller}: {events:#?}");
            events.remove(0)
        }
    }

    /// Every event that the request behind an answer left.
    pub(crate) async fn audit_events_of(&self, answer: &Answer) -> Vec<AuditRow> {
        let mut events = self.audit_trail().await;
        events.retain(|event| event.request_sid.as_deref() == Some(answer.request_sid()));
        events
    }
}
