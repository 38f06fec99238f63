//! The role that the service is meant to run as: it can do everything that the service does, and nothing else.

use std::num::NonZeroU32;

use pushvault::service::Progress;
use reqwest::Url;
use secrecy::SecretString;
use sqlx::{Connection as _, PgConnection};

use super::{LIST, credential, everything, is_unavailable};
use crate::harness::{TestApp, TestDatabase, fresh_number, newly_migrated_database, operator};

/// The group roles that the schema grants to.
const CREATE_GROUPS: &str = "do $$ begin
    create role pushvault_service nologin;
    create role pushvault_keeper nologin in role pushvault_service;
exception when duplicate_object or unique_violation then null;
end $$";

const MAKE_A_KEEPER: &str = "do $$ begin
    execute format('grant pushvault_keeper to %I', current_setting('test.role'));
end $$";

const CREATE_MEMBER: &str = "do $$ begin
    execute format('create role %I login password %L in role pushvault_service',
        current_setting('test.role'), current_setting('test.password'));
end $$";

const DROP_MEMBER: &str = "do $$ begin execute format('drop role %I', current_setting('test.role')); end $$";

/// A member of the group, for one test.
struct Member {
    name: String,
    password: String,
}

impl Member {
    async fn run(&self, database: &TestDatabase, statement: &'static str) {
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        sqlx::query("select set_config('test.role', $1, false), set_config('test.password', $2, false)")
            .bind(&self.name)
            .bind(&self.password)
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }

    fn url(&self, database: &TestDatabase) -> String {
        let mut url = Url::parse(database.url()).unwrap();
        url.set_username(&self.name).unwrap();
        url.set_password(Some(&self.password)).unwrap();
        url.to_string()
    }
}

/// A service that runs as a member of the group, on a database whose owner is somebody else.
async fn as_its_own_role() -> (TestApp, Member) {
    let member = Member {
        name: format!("pushvault_test_{:016x}", fresh_number()),
        password: format!("{:016x}", fresh_number()),
    };
    // The groups come first: the schema grants to them only if they are there.
    let first = crate::harness::fresh_database();
    member.run(&first, CREATE_GROUPS).await;
    let database = newly_migrated_database();
    member.run(&database, CREATE_MEMBER).await;
    let url = SecretString::from(member.url(&database));
    let app = TestApp::spawn_with(database, |settings| settings.database.url = url).await;
    (app, member)
}

#[tokio::test]
async fn the_services_own_role_has_what_the_service_needs_and_nothing_else() {
    let (mut app, member) = as_its_own_role().await;
    let path = credential(&app).await;
    app.restart();
    let owner = app.account("a");
    app.api_key("a").get(LIST).await.json(200);
    owner
        .post(&path, &[("ApiKey", "l"), ("FriendlyName", "n")])
        .await
        .json(200);
    owner.post(LIST, &[]).await.json(400);
    assert_eq!(owner.delete(&path).await.status, 204);
    app.set_status("a", pushvault::domain::account::AccountStatus::Suspended);

    let mut connection = PgConnection::connect(&member.url(&app.database)).await.unwrap();
    for statement in [
        "update audit_events set outcome = outcome",
        "delete from audit_events",
        "truncate audit_events",
        "update credential_versions set secret = null",
        "delete from credential_versions",
        "delete from credentials",
        "delete from accounts",
        "update account_keys set version = version",
        "update root_keys set state = state",
        "update accounts set status = 'destroyed'",
        "insert into destructions select account_sid, '', now(), 0, 0, 0, '{}', '{}' from accounts",
        "insert into recovery_recipients (recipient, state) values ('age1', 'previous')",
        "update recovery_recipients set state = state",
        "insert into audit_prunings select 1, 1, '', now()",
        "insert into audit_unsealed select '', '', now()",
        "update audit_unsealed set recorded_at = now()",
        "update audit_leaves set authenticity = authenticity",
        "delete from audit_leaves",
        "update audit_hashes set hash = hash",
        "delete from audit_hashes",
        "update audit_checkpoints set note = note",
        "delete from audit_checkpoints",
        "delete from signing_keys",
        "update signing_keys set state = state",
        "update deployment set deployment_id = gen_random_uuid()",
        "delete from _sqlx_migrations",
        "alter table audit_events disable trigger all",
        "drop table audit_events",
    ] {
        let refusal = sqlx::query(statement).execute(&mut connection).await.unwrap_err();
        let code = refusal
            .as_database_error()
            .and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refusal}");
    }
    connection.close().await.unwrap();
    end(app, &member).await;
}

#[tokio::test]
async fn without_the_privilege_to_record_no_mutation_is_done() {
    let (app, member) = as_its_own_role().await;
    let path = credential(&app).await;
    let owner = app.account("a");
    let before = everything(&app).await;
    sqlx::query("revoke insert on audit_events from pushvault_service")
        .execute(&app.pool)
        .await
        .unwrap();

    is_unavailable(&owner.post(LIST, &[("Type", "gcm"), ("ApiKey", "x")]).await);
    is_unavailable(&owner.post(&path, &[("ApiKey", "x")]).await);
    is_unavailable(&owner.delete(&path).await);
    is_unavailable(&app.anonymous().post(LIST, &[]).await);
    let ready = app.anonymous().get("/readyz").await.json(503);
    for check in ["database", "schema", "keyring", "clock"] {
        assert_eq!(ready["checks"][check], "ok", "{check}");
    }
    assert_eq!(ready["checks"]["audit"], "failed");

    assert_eq!(everything(&app).await, before);
    owner.get(&path).await.json(200);
    sqlx::query("grant insert on audit_events to pushvault_service")
        .execute(&app.pool)
        .await
        .unwrap();
    owner.post(&path, &[("ApiKey", "x")]).await.json(200);
    end(app, &member).await;
}

#[tokio::test]
async fn the_services_own_role_rotates_no_key_and_a_keeper_rotates_it_and_does_nothing_else() {
    let (app, member) = as_its_own_role().await;
    credential(&app).await;
    let scope = app.account_named("a").scope();
    let rotate = || {
        let scope = scope.clone();
        app.replica(|vault| async move {
            let mut progress = Progress::new(NonZeroU32::MAX, &|_, _| {});
            vault
                .rotate_account_key(&operator(), &scope, None, &mut progress)
                .await
                .map_err(|error| error.to_string())
        })
    };

    let refusal = rotate().unwrap_err();
    let named = format!("the database role {} may not rotate keys", member.name);
    assert!(
        refusal.contains(&named) && refusal.contains("pushvault_keeper"),
        "{refusal}"
    );

    member.run(&app.database, MAKE_A_KEEPER).await;
    let rotated = rotate().unwrap();
    assert_eq!((rotated.version, rotated.rewrapped, rotated.destroyed), (2, 1, vec![1]));
    let mut connection = PgConnection::connect(&member.url(&app.database)).await.unwrap();
    for statement in [
        "update audit_events set outcome = outcome",
        "update credential_versions set secret = null",
        "delete from credential_versions",
        "delete from account_keys",
        "delete from root_keys",
        "alter table credential_versions disable trigger all",
    ] {
        let refusal = sqlx::query(statement).execute(&mut connection).await.unwrap_err();
        let code = refusal
            .as_database_error()
            .and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refusal}");
    }
    connection.close().await.unwrap();
    end(app, &member).await;
}

/// Takes the member away again. The groups stay, as it does in any deployment.
async fn end(app: TestApp, member: &Member) {
    member.run(&app.database, DROP_MEMBER).await;
}
