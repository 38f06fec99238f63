//! The database moves: the address leads to another server, or to the same one in another state.

use std::time::Duration;

use pushvault::domain::audit::{Action, Outcome};
use pushvault::domain::right::Rights;
use pushvault::telemetry::chain;
use secrecy::SecretString;
use sqlx::{Connection as _, PgConnection};

use super::{LIST, PATIENCE, listens, until};
use crate::harness::{Client, Gate, Log, TestApp, migrated_database, operator};

/// Ends every session of the service, as a server does that shuts down: with SQLSTATE 57P01.
const END_SESSIONS: &str = "select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name like 'pushvault%'";

/// Sessions that are there already may write on; those that are made from now on may not.
const SET_READ_ONLY: &str = "do $$ begin
    execute format('alter database %I set default_transaction_read_only = on', current_database());
end $$";

const RESET_READ_ONLY: &str = "do $$ begin
    execute format('alter database %I reset default_transaction_read_only', current_database());
end $$";

/// SQL that an operator types.
async fn by_hand(url: &str, statement: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    for statement in ["set default_transaction_read_only = off", statement] {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
}

async fn creates(client: &Client) -> u16 {
    client.post(LIST, &[("Type", "gcm"), ("ApiKey", "k")]).await.status
}

#[tokio::test]
async fn a_server_that_vanishes_without_a_word_is_left_for_the_one_that_took_its_address() {
    let database = migrated_database();
    let gate = Gate::before(&database);
    let url = SecretString::from(gate.url());
    let app = TestApp::spawn_with(database, |settings| {
        settings.database.url = url;
        settings.database.max_connections = 2;
        settings.database.acquire_timeout = Duration::from_secs(3);
        settings.limits.request_time = Duration::from_secs(3);
    })
    .await;
    let client = app.account("a");
    assert_eq!(creates(&client).await, 201);
    until("the service listens", PATIENCE, async || {
        app.vault(|vault| async move { listens(&vault) })
    })
    .await;

    // Every connection of the pool is busy with an answer that never comes; the callers are told so when their time is over.
    gate.hold();
    let stuck = async { tokio::join!(client.get(LIST), client.get(LIST), client.get(LIST)) };
    let (first, second, third) = stuck.await;
    assert_eq!([first.status, second.status, third.status], [503; 3]);
    gate.silence();
    gate.release();
    until("changes are made again", PATIENCE, async || {
        creates(&client).await == 201
    })
    .await;
    for _ in 0..10 {
        assert_eq!(creates(&client).await, 201);
    }
}

#[tokio::test]
async fn a_database_that_was_read_only_takes_changes_again_as_soon_as_it_may() {
    // With one connection there is none besides that was made in better times.
    let app = TestApp::spawn_with(migrated_database(), |settings| settings.database.max_connections = 1).await;
    let client = app.account("a");
    assert_eq!(creates(&client).await, 201);
    by_hand(app.database.url(), SET_READ_ONLY).await;
    by_hand(app.database.url(), END_SESSIONS).await;
    until("changes are refused", PATIENCE, async || creates(&client).await == 503).await;
    client.get(LIST).await.json(200);

    by_hand(app.database.url(), RESET_READ_ONLY).await;
    until("changes are made again", PATIENCE, async || {
        creates(&client).await == 201
    })
    .await;
}

#[tokio::test]
async fn a_session_that_may_only_read_is_given_up_by_the_change_that_is_refused_also_without_the_channel() {
    let app = TestApp::spawn_with(migrated_database(), |settings| settings.database.max_connections = 1).await;
    let scope = app.account_named("a").scope();
    let url = app.database.url().to_owned();
    // A vault that nobody tells of anything, as the operator's commands have it.
    app.replica(|vault| async move {
        let changes = async || {
            vault
                .create_api_key(&operator(), &scope, None, Rights::all())
                .await
                .map(drop)
        };
        by_hand(&url, SET_READ_ONLY).await;
        by_hand(&url, END_SESSIONS).await;
        until("changes are refused", PATIENCE, async || {
            changes().await.is_err_and(|error| chain(&error).contains("read-only"))
        })
        .await;
        by_hand(&url, RESET_READ_ONLY).await;
        assert!(changes().await.is_err(), "the session is the one from before");

        let (create, denied) = (Action::ApiKeyCreate, Outcome::Failed(20_503));
        let recorded = vault
            .record_refusal(&operator(), Some(scope.account_sid()), create, None, denied)
            .await;
        assert!(recorded.is_err(), "that cannot be recorded either");
        assert!(changes().await.is_ok());
    });
}

#[tokio::test]
async fn when_all_sessions_are_ended_callers_are_served_on() {
    let log = Log::from_now();
    let app = TestApp::spawn().await;
    let client = app.account("a");
    for _ in 0..3 {
        assert_eq!(creates(&client).await, 201);
        by_hand(app.database.url(), END_SESSIONS).await;
        until("requests are answered again", PATIENCE, async || {
            creates(&client).await == 201
        })
        .await;
    }
    assert!(log.events("panic").is_empty());
}
