//! Who may do what: every role at every route, with what is its own, what is another account's, and what never was. What to
//! expect of a cell is worked out from the table of routes alone.

use std::collections::{BTreeMap, BTreeSet};

use pushvault::domain::account::AccountStatus;
use pushvault::domain::right::Right;
use pushvault::domain::sid::{ApiKeySid, EventSid};
use pushvault::http::{Endpoint, endpoints};
use pushvault::service::TokenRotation;
use secrecy::ExposeSecret as _;

use super::{authenticated, credential_of, is_about_events, send, thing_of};
use crate::harness::{Answer, Client, TestApp, operator, unknown_credential_sid};

/// The accounts of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    A,
    B,
    Suspended,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    /// One of an account's two auth tokens.
    Token(Of),
    /// A key of an account, with these rights.
    Key(Of, Vec<Right>),
    /// Whoever cannot prove to be anybody; why is in the name.
    Nobody(&'static str),
}

/// Whose the thing is that the path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Nothing,
    ThingOf(Of),
    Unknown,
}

/// What is answered, and how many events it leaves.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    status: u16,
    code: Option<u16>,
    events: i64,
}

/// The whole rule.
fn expected(endpoint: &Endpoint, role: &Role, named: Named) -> Expected {
    let refusal = |status, code| Expected {
        status,
        code: Some(code),
        // A read leaves an event only where a right was missing.
        events: i64::from(!endpoint.is_read || code == 20403),
    };
    let (account, lacks) = match (endpoint.right, role) {
        (None, _) => (Of::A, false),
        (Some(_), Role::Nobody(_)) => return refusal(401, 20003),
        (Some(_), Role::Token(account)) => (*account, false),
        (Some(right), Role::Key(account, rights)) => (*account, !rights.iter().any(|has| has.as_str() == right)),
    };
    let is_found = match named {
        Named::Nothing => true,
        Named::ThingOf(owner) => owner == account,
        Named::Unknown => false,
    };
    match endpoint.action {
        Some(_) if account == Of::Suspended => refusal(403, 20005),
        Some(_) if lacks => refusal(403, 20403),
        Some(_) if !is_found => refusal(404, 20404),
        action => Expected {
            status: match (endpoint.method.as_str(), action) {
                ("DELETE", _) => 204,
                ("POST", Some(action)) if action.ends_with(".create") => 201,
                _ => 200,
            },
            code: None,
            events: i64::from(!endpoint.is_read),
        },
    }
}

/// Everybody who may ask.
fn roles(app: &TestApp) -> Vec<(Role, Client)> {
    let mut callers = Vec::new();
    for (of, name) in [(Of::A, "a"), (Of::B, "b"), (Of::Suspended, "suspended")] {
        callers.push((Role::Token(of), app.account(name)));
        let sets = [
            vec![],
            vec![Right::CredentialsRead],
            vec![Right::CredentialsWrite],
            vec![Right::AuditRead],
            Right::ALL.to_vec(),
        ];
        for rights in sets {
            let key = app.api_key_with(name, &rights);
            callers.push((Role::Key(of, rights), key));
        }
    }
    callers.push((Role::Token(Of::A), second_token(app)));
    callers.push((Role::Nobody("revoked"), revoked_key(app)));
    let sid = app.account_named("a").sid.to_string();
    callers.push((Role::Nobody("wrong"), app.with_credentials(&sid, &"x".repeat(32))));
    callers.push((Role::Nobody("anonymous"), app.anonymous()));
    app.set_status("suspended", AccountStatus::Suspended);
    callers
}

fn second_token(app: &TestApp) -> Client {
    let scope = app.account_named("a").scope();
    let rotated = app.vault(|vault| async move { vault.rotate_token(&operator(), &scope, TokenRotation::Begin).await });
    let token = rotated.unwrap().unwrap();
    app.with_credentials(app.account_named("a").sid.as_str(), token.expose_secret())
}

fn revoked_key(app: &TestApp) -> Client {
    let key = app.api_key_with("a", &Right::ALL);
    let sid = ApiKeySid::parse(&key.credentials.clone().unwrap().0).unwrap();
    let scope = app.account_named("a").scope();
    app.vault(|vault| async move { vault.revoke_api_key(&operator(), &scope, &sid).await })
        .unwrap();
    key
}

/// Things of the accounts, by the kind that a route is about: what it names, and the SIDs of it.
struct Things<'a> {
    app: &'a TestApp,
    made: BTreeMap<(bool, Of), String>,
}

impl Things<'_> {
    /// What the path names. A thing is made anew once it was deleted.
    async fn sid(&mut self, endpoint: &Endpoint, named: Named) -> String {
        let is_event = is_about_events(endpoint);
        match named {
            Named::Nothing => String::new(),
            Named::Unknown if is_event => EventSid::generate().unwrap().to_string(),
            Named::Unknown => unknown_credential_sid(),
            Named::ThingOf(of) => {
                if !self.made.contains_key(&(is_event, of)) {
                    let name = if of == Of::A { "a" } else { "b" };
                    let sid = thing_of(self.app, name, endpoint).await;
                    self.made.insert((is_event, of), sid);
                }
                self.made[&(is_event, of)].clone()
            }
        }
    }
}

#[tokio::test]
async fn every_role_gets_at_every_route_what_the_table_gives_it_and_no_more() {
    let app = TestApp::spawn().await;
    let callers = roles(&app);
    let mut things = Things {
        app: &app,
        made: BTreeMap::new(),
    };
    let mut met = BTreeSet::new();
    for endpoint in endpoints() {
        let has_sid = endpoint.path.contains("{sid}");
        let named: &[Named] = if has_sid {
            &[Named::ThingOf(Of::A), Named::ThingOf(Of::B), Named::Unknown]
        } else {
            &[Named::Nothing]
        };
        for (role, caller) in &callers {
            let mut not_found = BTreeSet::new();
            for &named in named {
                let sid = things.sid(&endpoint, named).await;
                let before = app.audit_count().await;

                let answer = send(caller, &endpoint, &sid).await;

                let cell = format!("{role:?} {} {} {named:?}", endpoint.method, endpoint.path);
                let seen = Expected {
                    status: answer.status,
                    code: code_of(&answer),
                    events: app.audit_count().await - before,
                };
                assert_eq!(seen, expected(&endpoint, role, named), "{cell}: {}", answer.body);
                if seen.code == Some(20403) {
                    is_recorded_as_denied(&app, &answer, &endpoint, &sid).await;
                }
                if seen.code == Some(20404) {
                    not_found.insert(answer.body.replace(&sid, ""));
                }
                if seen.status == 204 {
                    things.made.retain(|_, made| *made != sid);
                }
                met.insert((seen.status, seen.events));
            }
            assert!(
                not_found.len() < 2,
                "{role:?} {endpoint:?} tells them apart: {not_found:?}"
            );
        }
    }
    let all = [
        (200, 0),
        (200, 1),
        (201, 1),
        (204, 1),
        (401, 0),
        (401, 1),
        (403, 0),
        (403, 1),
        (404, 0),
        (404, 1),
    ];
    assert_eq!(met, BTreeSet::from(all), "an ending was never reached");
}

fn code_of(answer: &Answer) -> Option<u16> {
    let is_error = answer.status >= 400;
    is_error.then(|| answer.json(answer.status)["code"].as_u64().unwrap().try_into().unwrap())
}

/// Who was refused for want of a right stands in the trail, with what was asked for.
async fn is_recorded_as_denied(app: &TestApp, answer: &Answer, endpoint: &Endpoint, sid: &str) {
    let event = app.audit_event_of(answer).await;
    assert_eq!((event.outcome.as_str(), event.error_code), ("denied", Some(20403)));
    assert_eq!(Some(event.action.as_str()), endpoint.action);
    assert_eq!(event.actor_type, "api_key");
    assert_eq!(event.target_sid.unwrap_or_default(), sid);
}

#[test]
fn only_what_the_service_says_of_itself_needs_no_right() {
    let open: BTreeSet<_> = endpoints()
        .into_iter()
        .filter(|endpoint| endpoint.right.is_none())
        .map(|endpoint| endpoint.path)
        .collect();
    let itself = ["/docs", "/docs/{file}", "/healthz", "/openapi.json", "/readyz"];
    assert_eq!(open, itself.map(str::to_owned).into());
    for endpoint in authenticated() {
        let right = endpoint.right.unwrap();
        let writes = right.ends_with(":write");
        assert_eq!(
            writes, !endpoint.is_read,
            "{endpoint:?}: what changes something needs a right to write"
        );
        assert!(Right::ALL.iter().any(|known| known.as_str() == right), "{right}");
    }
}

#[tokio::test]
async fn a_refusal_says_which_right_is_missing_before_the_body_is_looked_at() {
    let app = TestApp::spawn().await;
    let reader = app.api_key_with("a", &[Right::CredentialsRead]);
    let body = "x".repeat(300_000);
    let answer = reader.post_body("/v2/Credentials", "text/plain", body).await;
    let text = "Forbidden: this API key does not have the right credentials:write; make one that has it with \
        `pushvault api-key create ACCOUNT_SID --rights credentials:write`, or use the account's auth token";
    answer.is_error(403, 20403, text);
    let head = reader.request(reqwest::Method::HEAD, "/v2/Credentials");
    assert_eq!(reader.send(head).await.status, 200, "HEAD needs what GET needs");
    let writer = app.api_key_with("a", &[Right::CredentialsWrite]);
    let head = writer
        .send(writer.request(reqwest::Method::HEAD, "/v2/Credentials"))
        .await;
    assert_eq!(head.status, 403);
    assert_eq!(app.audit_event_of(&head).await.action, "credential.list");
}

#[tokio::test]
async fn a_key_of_the_previous_release_may_do_what_it_could_and_nothing_that_came_later() {
    let app = TestApp::spawn().await;
    let key = app.api_key_with("a", &Right::ALL);
    let sid = key.credentials.clone().unwrap().0;
    // As the previous release inserts a row: it does not know the column.
    sqlx::query(
        "with old as (delete from api_keys where api_key_sid = $1 returning account_sid, api_key_sid, secret_hash)
        insert into api_keys (account_sid, api_key_sid, secret_hash) select * from old",
    )
    .bind(&sid)
    .execute(&app.pool)
    .await
    .unwrap();
    let scope = app.account_named("a").scope();
    let keys = app.vault(|vault| async move { vault.api_keys(&scope).await }).unwrap();
    assert_eq!(keys[0].rights.names(), ["credentials:read", "credentials:write"]);
    credential_of(&key).await;
}

#[tokio::test]
async fn a_right_of_a_later_release_neither_locks_its_key_out_nor_lets_it_do_more() {
    let app = TestApp::spawn().await;
    let key = app.api_key_with("a", &[]);
    sqlx::query("update api_keys set rights = '{senders:fetch,credentials:read}'")
        .execute(&app.pool)
        .await
        .unwrap();
    key.get("/v2/Credentials").await.json(200);
    assert_eq!(key.post("/v2/Credentials", &[("Type", "gcm")]).await.status, 403);
}

#[tokio::test]
async fn a_read_that_was_refused_and_cannot_be_recorded_is_503() {
    let app = TestApp::spawn().await;
    let key = app.api_key_with("a", &[Right::AuditRead]);
    sqlx::query("alter table audit_events add constraint no_more check (false) not valid")
        .execute(&app.pool)
        .await
        .unwrap();
    assert_eq!(key.get("/v2/Credentials").await.status, 503);
    key.get("/v1/Events").await.json(200);
}
