//! The errors that a mutation can end with, all of them: each leaves exactly one audit event, or is listed with the reason
//! why it leaves none.

use std::time::Duration;

use pushvault::config::{Settings, ValidationMode};
use pushvault::http::{Endpoint, ErrorCode};
use sqlx::{PgPool, Postgres, Transaction};

use super::audit::Ending as Simple;
use super::{authenticated, credential_of, good_form};
use crate::harness::{Answer, Client, TestApp, migrated_database, raw_request_of};

/// How long what hangs may take.
const MOMENT: Duration = Duration::from_secs(1);

/// How many requests are sent together.
const TOGETHER: usize = 8;

/// An ending of a caller that is let in; those that need less to come about are in `audit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    UnreadableJson,
    NoText,
    TooManyParameters,
    MalformedKey,
    KeyOfAnother,
    MalformedTag,
    OldTag,
    LongHead,
    SlowBody,
    CannotWork,
    TableIsLocked,
    TimeIsOver,
    Defect,
}

use Ending::{
    CannotWork, Defect, KeyOfAnother, LongHead, MalformedKey, MalformedTag, NoText, OldTag, SlowBody, TableIsLocked,
    TimeIsOver, TooManyParameters, UnreadableJson,
};

/// What an error code leaves.
enum Leaves {
    /// One event: these endings show it.
    OneEvent(&'static [Ending]),
    /// One event: this ending of the other table shows it.
    OneEventOf(Simple),
    /// One event: a test of `rights` shows it, for reads too.
    OneEventBy(&'static str),
    /// None, for this reason.
    None(&'static str),
}

/// A code without a place here does not compile.
const fn left_by(code: ErrorCode) -> Leaves {
    match code {
        ErrorCode::InvalidRequest => Leaves::OneEvent(&[
            UnreadableJson,
            NoText,
            TooManyParameters,
            MalformedKey,
            MalformedTag,
            CannotWork,
        ]),
        ErrorCode::Unauthenticated => Leaves::OneEventOf(Simple::WrongToken),
        ErrorCode::Suspended => Leaves::OneEventOf(Simple::Suspended),
        ErrorCode::Forbidden => {
            Leaves::OneEventBy("every_role_gets_at_every_route_what_the_table_gives_it_and_no_more")
        }
        ErrorCode::NotFound => Leaves::OneEventOf(Simple::NotFound),
        ErrorCode::MethodNotAllowed => {
            Leaves::None("nothing that there is was asked for: no route has an action for it")
        }
        ErrorCode::TooSlow => Leaves::OneEvent(&[SlowBody]),
        ErrorCode::IdempotencyKeyReused => Leaves::OneEvent(&[KeyOfAnother]),
        ErrorCode::PreconditionFailed => Leaves::OneEvent(&[OldTag]),
        ErrorCode::BodyTooLarge => Leaves::OneEventOf(Simple::TooLarge),
        ErrorCode::UnsupportedMediaType => Leaves::OneEventOf(Simple::WrongMediaType),
        ErrorCode::TooManyRequests => Leaves::None("what a rate limit keeps out is not looked at (ADR 9)"),
        ErrorCode::HeadTooLarge => Leaves::OneEvent(&[LongHead]),
        ErrorCode::Internal => Leaves::OneEvent(&[Defect]),
        // Where the event could not be written either, there is none: `failure` has that.
        ErrorCode::Unavailable => Leaves::OneEvent(&[TableIsLocked, TimeIsOver]),
    }
}

impl Ending {
    /// Whether the route is a mutation's, and can end like this.
    fn can_come_to(self, endpoint: &Endpoint) -> bool {
        if endpoint.action.is_none() || endpoint.method == "GET" {
            return false;
        }
        let (has_sid, has_body) = (endpoint.path.contains("{sid}"), endpoint.method == "POST");
        match self {
            UnreadableJson | NoText | TooManyParameters | SlowBody => has_body,
            MalformedKey | KeyOfAnother | CannotWork => has_body && !has_sid,
            MalformedTag | OldTag => has_sid,
            LongHead | TableIsLocked | TimeIsOver | Defect => true,
        }
    }

    fn outcome(self) -> &'static str {
        // What was begun may have been done.
        if self == TimeIsOver { "unknown" } else { "failed" }
    }

    fn tune(self, settings: &mut Settings) {
        // Whoever waits for the lock keeps its connection, and its event needs another one.
        settings.database.max_connections = 30;
        match self {
            SlowBody => settings.limits.body_time = MOMENT,
            CannotWork => settings.validation = ValidationMode::Strict,
            TableIsLocked => settings.database.statement_timeout = MOMENT,
            TimeIsOver => settings.limits.request_time = MOMENT,
            _ => {}
        }
    }

    /// Breaks what must be broken, for as long as the transaction is open.
    async fn arrange(self, pool: &PgPool) -> Option<Transaction<'static, Postgres>> {
        let statement = match self {
            TableIsLocked | TimeIsOver => "lock table credentials in access exclusive mode",
            Defect => "alter table credentials rename to gone",
            _ => return None,
        };
        if self == Defect {
            sqlx::query(statement).execute(pool).await.unwrap();
            return None;
        }
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query(statement).execute(&mut *transaction).await.unwrap();
        Some(transaction)
    }

    fn request(self, client: &Client, endpoint: &Endpoint, path: &str) -> reqwest::RequestBuilder {
        let request = client.request(endpoint.method.parse().unwrap(), path);
        let many: Vec<_> = (0..101).map(|number| (format!("Name{number}"), "")).collect();
        let with_form = |request: reqwest::RequestBuilder| match good_form(endpoint) {
            [] => request,
            form => request.form(form),
        };
        match self {
            UnreadableJson => request.header("content-type", "application/json").body("{\"Type\":"),
            NoText => request
                .header("content-type", "application/x-www-form-urlencoded")
                .body("FriendlyName=%FF"),
            TooManyParameters => request.form(&many),
            MalformedKey => with_form(request).header("idempotency-key", "k".repeat(300)),
            KeyOfAnother => request.header("idempotency-key", "a-key").form(&[("Type", "gcm")]),
            MalformedTag => with_form(request).header("if-match", "a tag without quotes"),
            OldTag => with_form(request).header("if-match", "\"of-long-ago\""),
            LongHead => with_form(request).header("x-long", "x".repeat(17_000)),
            CannotWork => request.form(&[("Type", "fcm")]),
            SlowBody | TableIsLocked | TimeIsOver | Defect => with_form(request),
        }
    }

    /// Sends a few at once: what hangs takes its time.
    async fn send_all(self, app: &TestApp, requests: &[(Endpoint, String)]) -> Vec<Answer> {
        let client = app.account("a");
        if self == SlowBody {
            let mut connections: Vec<_> = requests
                .iter()
                .map(|(endpoint, path)| {
                    let line = format!("{} {path} HTTP/1.1", endpoint.method);
                    let mut bytes = raw_request_of(&client, &line, &["Host: x"], "FriendlyName=x");
                    bytes.pop();
                    let mut connection = app.connect();
                    connection.send(&bytes);
                    connection
                })
                .collect();
            return connections.iter_mut().map(|connection| connection.answer()).collect();
        }
        let mut answers = Vec::new();
        for few in requests.chunks(TOGETHER) {
            let running: Vec<_> = few
                .iter()
                .map(|(endpoint, path)| {
                    let (client, request) = (client.clone(), self.request(&client, endpoint, path));
                    tokio::spawn(async move { client.send(request).await })
                })
                .collect();
            for answer in running {
                answers.push(answer.await.unwrap());
            }
        }
        answers
    }

    /// Lets every mutation end like this, and looks at what is left of it.
    async fn leaves_one_event(self, code: ErrorCode) {
        let app = TestApp::spawn_with(migrated_database(), |settings| self.tune(settings)).await;
        let owner = app.account("a");
        let with_key = owner.request(reqwest::Method::POST, "/v2/Credentials");
        let with_key = with_key
            .header("idempotency-key", "a-key")
            .form(&[("Type", "fcm"), ("Secret", "s")]);
        owner.send(with_key).await.json(201);
        let mut requests = Vec::new();
        for endpoint in authenticated().filter(|endpoint| self.can_come_to(endpoint)) {
            let sid = credential_of(&owner).await;
            let path = endpoint.path.replace("{sid}", &sid);
            requests.push((endpoint, path));
        }
        assert!(!requests.is_empty(), "no route can come to {self:?}");
        let before = app.audit_count().await;
        let broken = self.arrange(&app.pool).await;

        let answers = self.send_all(&app, &requests).await;

        if let Some(broken) = broken {
            broken.rollback().await.unwrap();
        }
        let account = app.account_named("a").sid.to_string();
        for ((endpoint, path), answer) in requests.iter().zip(&answers) {
            let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(
                (answer.status, told["code"].as_u64()),
                (code.status().as_u16(), Some(code.number().into())),
                "{self:?} {endpoint:?}: {}",
                answer.body
            );
            let events = app.audit_events_of(answer).await;
            let [event] = events.as_slice() else {
                panic!("{self:?} {endpoint:?} left {events:#?}");
            };
            assert_eq!(Some(event.action.as_str()), endpoint.action, "{self:?}");
            assert_eq!(event.outcome, self.outcome(), "{self:?} {endpoint:?}");
            assert_eq!(event.error_code, Some(code.number().into()), "{self:?} {endpoint:?}");
            assert_eq!(event.account_sid, account, "{self:?} {endpoint:?}");
            assert_eq!(event.actor_sid.as_deref(), Some(account.as_str()), "{self:?}");
            let sid = endpoint
                .path
                .contains("{sid}")
                .then(|| path.rsplit('/').next().unwrap());
            assert_eq!(event.target_sid.as_deref(), sid, "{self:?} {endpoint:?}");
        }
        let events = app.audit_count().await - before;
        assert_eq!(
            usize::try_from(events).unwrap(),
            requests.len(),
            "{self:?}: one event for each and no other"
        );
    }
}

#[tokio::test]
async fn every_error_that_a_mutation_can_end_with_leaves_one_event_or_says_why_not() {
    let mut shown = Vec::new();
    for code in ErrorCode::ALL {
        match left_by(code) {
            Leaves::OneEvent(endings) => shown.extend(endings.iter().map(|&ending| (ending, code))),
            Leaves::OneEventOf(ending) => assert_eq!(ending.error_status(), code.status().as_u16(), "{ending:?}"),
            Leaves::OneEventBy(test) => assert!(include_str!("rights.rs").contains(test), "{test}"),
            Leaves::None(reason) => assert!(reason.len() > 20, "{code:?} leaves no event, and nobody says why"),
        }
    }
    for (ending, code) in shown {
        ending.leaves_one_event(code).await;
    }
}

#[tokio::test]
async fn what_asks_for_nothing_that_there_is_leaves_no_event() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let sid = credential_of(&owner).await;
    let before = app.audit_count().await;
    for (method, path, status) in [
        ("PUT", "/v2/Credentials".to_owned(), 405),
        ("PATCH", format!("/v2/Credentials/{sid}"), 405),
        ("DELETE", "/v2/Credentials".to_owned(), 405),
        ("POST", "/v2/Nothing".to_owned(), 404),
        ("DELETE", format!("/v9/Credentials/{sid}"), 404),
    ] {
        let answer = owner.send(owner.request(method.parse().unwrap(), &path)).await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    // An update that names what is so already changes nothing.
    owner
        .post(&format!("/v2/Credentials/{sid}"), &[("Sandbox", "false")])
        .await
        .json(200);
    owner.get("/v2/Credentials").await.json(200);
    assert_eq!(app.audit_count().await, before);
}
