//! Every outcome of every mutation leaves exactly one audit event.

use std::collections::BTreeSet;

use pushvault::domain::account::AccountStatus;
use pushvault::domain::sid::AccountSid;
use pushvault::http::Endpoint;

use super::{authenticated, credential_of, good_form};
use crate::harness::{Account, Answer, Client, Log, TestApp, unknown_credential_sid};

/// One byte more than a body may have (decision 21).
const TOO_LARGE: usize = 256 * 1024 + 1;

/// An ending that a mutation can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    Success,
    BadParameter,
    WrongToken,
    Nobody,
    UnknownAccount,
    Suspended,
    NotFound,
    TooLarge,
    WrongMediaType,
}

/// What an event must say.
struct Expected<'a> {
    outcome: &'a str,
    code: Option<i32>,
    account_sid: String,
    actor: (&'a str, Option<String>),
}

impl Ending {
    /// The endings that a route can come to. A delete reads no body, so nothing can be wrong with it; a create names no
    /// credential that could be missing.
    fn of(endpoint: &Endpoint) -> Vec<Self> {
        let mut endings = vec![
            Self::Success,
            Self::WrongToken,
            Self::Nobody,
            Self::UnknownAccount,
            Self::Suspended,
        ];
        if endpoint.path.contains("{sid}") {
            endings.push(Self::NotFound);
        }
        if endpoint.method == "POST" {
            endings.extend([Self::BadParameter, Self::TooLarge, Self::WrongMediaType]);
        }
        endings
    }

    fn status(self, endpoint: &Endpoint) -> u16 {
        match self {
            Self::Success if endpoint.method == "DELETE" => 204,
            Self::Success if endpoint.path.contains("{sid}") => 200,
            Self::Success => 201,
            _ => self.error_status(),
        }
    }

    pub(super) fn error_status(self) -> u16 {
        match self {
            Self::Success => panic!("no error"),
            Self::BadParameter => 400,
            Self::WrongToken | Self::Nobody | Self::UnknownAccount => 401,
            Self::Suspended => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::WrongMediaType => 415,
        }
    }

    fn caller(self, app: &TestApp) -> Client {
        let owner = app.account_named("a");
        match self {
            Self::WrongToken => app.with_credentials(owner.sid.as_str(), "wrong"),
            Self::Nobody => app.anonymous(),
            Self::UnknownAccount => app.with_credentials("AC00000000000000000000000000000001", &owner.token),
            Self::Suspended => app.account("suspended"),
            _ => app.account("a"),
        }
    }

    /// The event's account is the one that the caller could prove, or else claimed; of nobody, the deployment's own.
    fn expected(self, owner: &Account, suspended: &Account) -> Expected<'static> {
        let deployment = AccountSid::deployment();
        let (outcome, code, account_sid, is_proved) = match self {
            Self::Success => ("success", None, &owner.sid, true),
            Self::BadParameter | Self::WrongMediaType => ("failed", Some(20001), &owner.sid, true),
            Self::WrongToken => ("denied", Some(20003), &owner.sid, false),
            Self::Nobody | Self::UnknownAccount => ("denied", Some(20003), &deployment, false),
            Self::Suspended => ("denied", Some(20005), &suspended.sid, true),
            Self::NotFound => ("failed", Some(20404), &owner.sid, true),
            Self::TooLarge => ("failed", Some(20413), &owner.sid, true),
        };
        let account_sid = account_sid.to_string();
        Expected {
            outcome,
            code,
            actor: if is_proved {
                ("account", Some(account_sid.clone()))
            } else {
                ("anonymous", None)
            },
            account_sid,
        }
    }

    async fn send(self, client: &Client, endpoint: &Endpoint, sid: &str) -> Answer {
        let path = endpoint.path.replace("{sid}", sid);
        let request = client.request(endpoint.method.parse().unwrap(), &path);
        let request = match self {
            Self::BadParameter => request.form(&[("Type", "fcm"), ("Sandbox", "perhaps")]),
            Self::TooLarge => request
                .header("content-type", "application/x-www-form-urlencoded")
                .body("x".repeat(TOO_LARGE)),
            Self::WrongMediaType => request.header("content-type", "text/plain").body("Type=fcm"),
            _ if good_form(endpoint).is_empty() => request,
            _ => request.form(good_form(endpoint)),
        };
        client.send(request).await
    }
}

#[tokio::test]
async fn every_outcome_of_every_mutation_leaves_exactly_one_audit_event() {
    let app = TestApp::spawn().await;
    let (owner, suspended) = (app.account_named("a"), app.account_named("suspended"));
    app.set_status("suspended", AccountStatus::Suspended);
    let mut seen = BTreeSet::new();

    for endpoint in authenticated() {
        let Some(action) = endpoint.action.filter(|_| !endpoint.is_read) else {
            continue;
        };
        for ending in Ending::of(&endpoint) {
            let sid = match ending {
                Ending::NotFound => unknown_credential_sid(),
                _ => credential_of(&app.account("a")).await,
            };
            let before = app.audit_count().await;

            let answer = ending.send(&ending.caller(&app), &endpoint, &sid).await;

            assert_eq!(
                answer.status,
                ending.status(&endpoint),
                "{ending:?} {endpoint:?}: {}",
                answer.body
            );
            assert_eq!(app.audit_count().await, before + 1, "{ending:?} {endpoint:?}");
            let event = app.audit_event_of(&answer).await;
            let expected = ending.expected(&owner, &suspended);
            assert_eq!(event.action, action, "{ending:?}");
            assert_eq!(
                (event.outcome.as_str(), event.error_code),
                (expected.outcome, expected.code)
            );
            assert_eq!(event.account_sid, expected.account_sid, "{ending:?} {endpoint:?}");
            assert_eq!(
                (event.actor_type.as_str(), event.actor_sid),
                expected.actor,
                "{ending:?}"
            );
            assert_eq!(event.source_address.as_deref(), Some("127.0.0.1"));
            if endpoint.path.contains("{sid}") {
                assert_eq!(event.target_sid, Some(sid), "{ending:?} {endpoint:?}");
            }
            seen.insert(ending);
        }
    }
    assert_eq!(seen.len(), 9, "an ending was never reached: {seen:?}");
}

#[tokio::test]
async fn reads_leave_no_audit_event_however_they_end() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let sid = credential_of(&owner).await;
    app.account_named("suspended");
    app.set_status("suspended", AccountStatus::Suspended);
    let before = app.audit_count().await;
    let callers = [
        owner,
        app.anonymous(),
        app.account("suspended"),
        app.with_credentials("x", "y"),
    ];
    for endpoint in authenticated().filter(|endpoint| endpoint.is_read) {
        for caller in &callers {
            for sid in [sid.as_str(), "CR1"] {
                let path = endpoint.path.replace("{sid}", sid);
                caller.get(&path).await;
                caller.get(&format!("{path}?PageSize=nonsense")).await;
            }
        }
    }
    assert_eq!(app.audit_count().await, before);
}

#[tokio::test]
async fn an_event_in_the_table_is_told_to_the_log_once_in_the_same_words() {
    let log = Log::from_now();
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = owner
        .post(
            "/v2/Credentials",
            &[("Type", "gcm"), ("FriendlyName", "n"), ("ApiKey", "k")],
        )
        .await;
    let refused = app.anonymous().post("/v2/Credentials", &[("Type", "gcm")]).await;

    for answer in [&created, &refused] {
        let event = app.audit_event_of(answer).await;
        let told: Vec<_> = log
            .events("audit")
            .into_iter()
            .filter(|line| line["event.id"] == event.event_sid.as_str())
            .collect();
        assert_eq!(told.len(), 1, "{told:?}");
        let line = &told[0];
        let outcome = if event.outcome == "success" {
            "success"
        } else {
            "failure"
        };
        for (name, expected) in [
            ("ecs.version", "9.4.0"),
            ("event.kind", "event"),
            ("event.dataset", "pushvault.audit"),
            ("event.category", "configuration"),
            ("event.type", "creation"),
            ("event.action", event.action.as_str()),
            ("event.outcome", outcome),
            ("pushvault.outcome", event.outcome.as_str()),
            ("pushvault.actor_type", event.actor_type.as_str()),
            ("organization.id", event.account_sid.as_str()),
            ("http.request.id", answer.request_sid()),
            ("source.ip", "127.0.0.1"),
        ] {
            assert_eq!(line[name], expected, "{name}");
        }
        assert!(line["@timestamp"].as_str().unwrap().ends_with('Z'));
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        assert_eq!(text("error.code"), event.error_code.map(|code| code.to_string()));
        assert_eq!(text("user.id"), event.actor_sid);
        assert_eq!(text("pushvault.target_sid"), event.target_sid);
        let names = Some(event.changed_fields.join(",")).filter(|names| !names.is_empty());
        assert_eq!(text("pushvault.changed_fields"), names);
    }
}

#[tokio::test]
async fn an_event_says_who_from_where_and_what_changed_and_never_a_value_of_a_secret() {
    let app = TestApp::spawn().await;
    let key = app.api_key("a");
    let form = [("Type", "gcm"), ("FriendlyName", "first"), ("ApiKey", "k")];
    let created = key
        .send(
            key.request(reqwest::Method::POST, "/v2/Credentials")
                .header("user-agent", "twilio-python/9.13.0")
                .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
                .form(&form),
        )
        .await;
    let sid = created.json(201)["sid"].as_str().unwrap().to_owned();
    let path = format!("/v2/Credentials/{sid}");
    let updated = key.post(&path, &[("FriendlyName", "second"), ("ApiKey", "l")]).await;
    let deleted = key.delete(&path).await;

    let event = app.audit_event_of(&created).await;
    assert_eq!(event.actor_type, "api_key");
    assert_eq!(event.actor_sid, key.credentials.clone().map(|(user_name, _)| user_name));
    assert_eq!(event.user_agent.as_deref(), Some("twilio-python/9.13.0"));
    assert!(event.traceparent.is_some());
    assert_eq!(event.changed_fields, ["Type", "FriendlyName", "ApiKey"]);
    assert_eq!(event.before, None);
    let metadata = |name: &str| serde_json::json!({ "friendly_name": name, "type": "gcm", "sandbox": false });
    assert_eq!(event.after, Some(metadata("first")));
    assert_eq!(event.envelope_digest, Some(app.digest_of(&sid, 1).await));

    let event = app.audit_event_of(&updated).await;
    assert_eq!(event.changed_fields, ["FriendlyName", "ApiKey"]);
    assert_eq!(
        (event.before, event.after),
        (Some(metadata("first")), Some(metadata("second")))
    );
    assert_eq!(event.target_version, Some(2));
    assert_eq!(event.envelope_digest, Some(app.digest_of(&sid, 2).await));

    let event = app.audit_event_of(&deleted).await;
    assert_eq!((event.before, event.after), (Some(metadata("second")), None));
}

#[tokio::test]
async fn audit_events_cannot_be_changed_or_removed_even_by_the_owner_of_the_table() {
    let app = TestApp::spawn().await;
    credential_of(&app.account("a")).await;
    let before = app.audit_trail().await;
    for statement in [
        "update audit_events set outcome = 'success', error_code = null",
        "delete from audit_events",
        "truncate audit_events",
    ] {
        let refusal = sqlx::query(statement).execute(&app.pool).await.unwrap_err();
        assert!(refusal.to_string().contains("append-only"), "{statement}: {refusal}");
    }
    assert_eq!(app.audit_trail().await, before);
}
