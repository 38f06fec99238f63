//! The channel is cut: then nothing is remembered that it should have told of, and nobody is let in who should not be.

use std::time::Duration;

use pushvault::domain::account::AccountStatus;
use pushvault::domain::sid::ApiKeySid;
use pushvault::service::TokenRotation;
use secrecy::{ExposeSecret as _, SecretString};

use super::{BOUND, LIST, PATIENCE, listening, listens, remember, until};
use crate::harness::{Answer, Gate, Log, Replica, TestApp, operator};

/// An app, and another replica whose way to the database can be cut.
async fn behind_a_gate() -> (TestApp, Replica, Gate) {
    let app = TestApp::spawn().await;
    let gate = Gate::before(&app.database);
    let url = SecretString::from(gate.url());
    let replica = app.another(|settings| {
        settings.database.url = url;
        settings.database.acquire_timeout = Duration::from_secs(5);
    });
    until("the replica listens", PATIENCE, async || listens(replica.vault())).await;
    (app, replica, gate)
}

#[tokio::test]
async fn when_the_channel_breaks_no_account_key_stays_and_what_was_missed_does_no_harm() {
    let (app, replica, gate) = behind_a_gate().await;
    let client = app.account("a");
    remember(&replica, &client).await;

    gate.shut();
    until("every account key is gone", BOUND, async || {
        replica.vault().account_keys_in_memory() == 0
    })
    .await;
    assert!(!listens(replica.vault()));
    // Nobody tells of this.
    app.set_status("a", AccountStatus::Suspended);
    app.set_status("a", AccountStatus::Active);

    gate.open();
    until("the replica listens again", PATIENCE, async || listens(replica.vault())).await;
    assert_eq!(replica.vault().account_keys_in_memory(), 0);
    remember(&replica, &client).await;
}

#[tokio::test]
async fn when_the_channel_falls_silent_no_account_key_outlasts_the_bound() {
    let (app, replica, gate) = behind_a_gate().await;
    let client = app.account("a");
    let mut least = Duration::MAX;
    // A machine that is busy may take longer, but not each time.
    for _ in 0..3 {
        remember(&replica, &client).await;

        gate.hold();
        let took = until("every account key is gone", 3 * BOUND, async || {
            replica.vault().account_keys_in_memory() == 0
        })
        .await;
        assert!(!listens(replica.vault()));

        gate.release();
        until("the replica listens again", PATIENCE, async || listens(replica.vault())).await;
        least = least.min(took);
        if least < BOUND {
            break;
        }
    }
    assert!(least < BOUND, "{least:?}");
    remember(&replica, &client).await;
}

#[tokio::test]
async fn a_channel_that_is_ended_comes_back_and_no_caller_notices() {
    let log = Log::from_now();
    let app = TestApp::spawn().await;
    let client = app.account("a");
    let replica = listening(&app).await;
    remember(&replica, &client).await;

    let ended: i64 = sqlx::query_scalar(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and application_name = 'pushvault_keys'",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap();
    assert!(ended >= 1, "the channel was not found");
    until("every account key is gone", BOUND, async || {
        replica.vault().account_keys_in_memory() == 0
    })
    .await;
    for _ in 0..20 {
        replica.client(&client).get(LIST).await.json(200);
    }
    until("the replica listens again", BOUND, async || listens(replica.vault())).await;
    remember(&replica, &client).await;
    assert!(log.text().contains("the channel that tells of changed keys is lost"));
}

#[tokio::test]
async fn without_a_word_from_the_channel_a_revoked_key_and_a_suspended_account_are_out_on_every_replica_at_once() {
    let app = TestApp::spawn().await;
    let (key, account) = (app.api_key("a"), app.account("a"));
    let replica = listening(&app).await;
    remember(&replica, &key).await;
    remember(&replica, &account).await;
    // From here on nothing is told to anybody.
    sqlx::raw_sql("drop function notify_key_change cascade")
        .execute(&app.pool)
        .await
        .unwrap();
    let scope = app.account_named("a").scope();
    let sid = ApiKeySid::parse(&key.credentials.clone().unwrap().0).unwrap();
    let is_turned_away = |answer: Answer| answer.is_error(401, 20003, "Authenticate");

    let of = scope.clone();
    app.vault(|vault| async move { vault.revoke_api_key(&operator(), &of, &sid).await })
        .unwrap();
    is_turned_away(replica.client(&key).get(LIST).await);

    app.set_status("a", AccountStatus::Suspended);
    let answer = replica.client(&account).get(LIST).await;
    answer.is_error(403, 20005, "Account is not active");
    app.set_status("a", AccountStatus::Active);
    replica.client(&account).get(LIST).await.json(200);

    let token = app
        .vault(|vault| async move { vault.rotate_token(&operator(), &scope, TokenRotation::Replace).await })
        .unwrap()
        .unwrap();
    is_turned_away(replica.client(&account).get(LIST).await);
    let renewed = app.with_credentials(app.account_named("a").sid.as_str(), token.expose_secret());
    replica.client(&renewed).get(LIST).await.json(200);
}
