//! Whoever can write to the database but has no key exchanges ciphertexts: every one of them then stands where it was not
//! sealed for. The digests are put right each time, so that nothing but the encryption can notice.

use pushvault_crypto::Envelope;

use super::Populated;
use crate::harness::TestApp;

/// Exchanges everything that is sealed between two versions.
const EXCHANGE: &str = "update credential_versions as one
    set (dek_envelope, certificate, private_key, api_key, secret)
        = (other.dek_envelope, other.certificate, other.private_key, other.api_key, other.secret)
    from credential_versions as other
    where (one.credential_sid, one.version, other.credential_sid, other.version)
        in (($1, $2, $3, $4), ($3, $4, $1, $2))";

/// Runs one statement about one credential.
async fn execute(app: &TestApp, statement: &'static str, credential_sid: &str) {
    let result = sqlx::query(statement)
        .bind(credential_sid)
        .execute(&app.pool)
        .await
        .unwrap();
    assert!(result.rows_affected() > 0, "nothing was touched");
}

async fn exchange(app: &TestApp, one: (&str, i32), other: (&str, i32)) {
    let result = sqlx::query(EXCHANGE)
        .bind(one.0)
        .bind(one.1)
        .bind(other.0)
        .bind(other.1)
        .execute(&app.pool)
        .await
        .unwrap();
    assert_eq!(result.rows_affected(), 2);
}

/// Makes every digest fit its row again, as an attacker would.
pub(super) async fn put_digests_right(app: &TestApp) {
    type Columns = (
        String,
        i32,
        Vec<u8>,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
    );
    let rows: Vec<Columns> = sqlx::query_as(
        "select credential_sid, version, dek_envelope, certificate, private_key, api_key, secret
        from credential_versions",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    for (credential_sid, version, dek_envelope, certificate, private_key, api_key, secret) in rows {
        let envelope = Envelope {
            dek_envelope,
            certificate,
            private_key,
            api_key,
            secret,
        };
        sqlx::query("update credential_versions set envelope_digest = $3 where credential_sid = $1 and version = $2")
            .bind(credential_sid)
            .bind(version)
            .bind(envelope.digest().as_slice())
            .execute(&app.pool)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn two_columns_of_one_row_exchanged() {
    let populated = Populated::new().await;
    let (app, apn) = (&populated.app, &populated.apn);
    let statement = "update credential_versions set certificate = private_key, private_key = certificate
        where credential_sid = $1";
    execute(app, statement, apn).await;
    populated.only_these_are_found(&[(apn, 1)]).await;
    put_digests_right(app).await;
    populated.only_these_are_found(&[(apn, 1)]).await;
    populated.update_is_refused("a", apn, &[("Sandbox", "true")]).await;
}

#[tokio::test]
async fn two_credentials_of_one_account_exchanged() {
    let populated = Populated::new().await;
    let (app, one, other) = (&populated.app, &populated.apn, &populated.other_apn);
    exchange(app, (one, 1), (other, 1)).await;
    populated.only_these_are_found(&[(one, 1), (other, 1)]).await;
    put_digests_right(app).await;
    populated.only_these_are_found(&[(one, 1), (other, 1)]).await;
    populated.update_is_refused("a", one, &[("Sandbox", "true")]).await;
    populated
        .update_is_refused("a", other, &[("PrivateKey", crate::harness::OTHER_KEY)])
        .await;
}

#[tokio::test]
async fn one_column_copied_from_another_credential() {
    let populated = Populated::new().await;
    let (app, one, other) = (&populated.app, &populated.apn, &populated.other_apn);
    sqlx::query(
        "update credential_versions set private_key = (select private_key from credential_versions where credential_sid = $2)
        where credential_sid = $1",
    )
    .bind(one)
    .bind(other)
    .execute(&app.pool)
    .await
    .unwrap();
    put_digests_right(app).await;
    populated.only_these_are_found(&[(one, 1)]).await;
    populated.update_is_refused("a", one, &[("Sandbox", "true")]).await;
}

#[tokio::test]
async fn two_accounts_credentials_exchanged() {
    let populated = Populated::new().await;
    let (app, one, foreign) = (&populated.app, &populated.apn, &populated.foreign);
    exchange(app, (one, 1), (foreign, 1)).await;
    put_digests_right(app).await;
    populated.only_these_are_found(&[(one, 1), (foreign, 1)]).await;
    populated.update_is_refused("a", one, &[("Sandbox", "true")]).await;
    populated.update_is_refused("b", foreign, &[("Sandbox", "true")]).await;
}

#[tokio::test]
async fn two_versions_of_one_credential_exchanged() {
    let populated = Populated::new().await;
    let (app, gcm) = (&populated.app, &populated.gcm);
    exchange(app, (gcm, 1), (gcm, 2)).await;
    put_digests_right(app).await;
    populated.only_these_are_found(&[(gcm, 1), (gcm, 2)]).await;
    populated.update_is_refused("a", gcm, &[("ApiKey", "third")]).await;
}

#[tokio::test]
async fn a_whole_credential_put_under_another_account() {
    let mut populated = Populated::new().await;
    let one = populated.gcm.clone();
    let (owner, thief) = (
        populated.app.account_named("a").sid,
        populated.app.account_named("b").sid,
    );
    let mut transaction = populated.app.pool.begin().await.unwrap();
    for statement in [
        "update credential_versions set account_sid = $2 where credential_sid = $1",
        "update credentials set account_sid = $2 where credential_sid = $1",
    ] {
        sqlx::query(statement)
            .bind(&one)
            .bind(thief.as_str())
            .execute(&mut *transaction)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    // It is an account of its own that the findings now name.
    let mut found = populated.findings();
    found.retain(|position| position.account_sid == thief.as_str() && position.credential_sid == one);
    assert_eq!(found.len(), 2);
    populated
        .app
        .account("b")
        .get(&format!("/v2/Credentials/{one}"))
        .await
        .json(200);
    populated.update_is_refused("b", &one, &[("ApiKey", "third")]).await;
    populated.app.restart();
    populated.update_is_refused("b", &one, &[("ApiKey", "third")]).await;
    assert_ne!(owner, thief);
}

#[tokio::test]
async fn the_sandbox_flipped() {
    let populated = Populated::new().await;
    let (app, apn) = (&populated.app, &populated.apn);
    execute(
        app,
        "update credential_versions set sandbox = not sandbox where credential_sid = $1",
        apn,
    )
    .await;
    populated.only_these_are_found(&[(apn, 1)]).await;
    populated
        .update_is_refused("a", apn, &[("PrivateKey", crate::harness::OTHER_KEY)])
        .await;
}

#[tokio::test]
async fn the_push_service_changed() {
    let populated = Populated::new().await;
    let (app, fcm) = (&populated.app, &populated.fcm);
    execute(
        app,
        "update credential_versions set push_service = 'gcm' where credential_sid = $1",
        fcm,
    )
    .await;
    populated.only_these_are_found(&[(fcm, 1)]).await;
    populated.update_is_refused("a", fcm, &[("Secret", "another")]).await;
}

#[tokio::test]
async fn an_account_key_replaced_by_another_accounts() {
    let mut populated = Populated::new().await;
    let (owner, foreign) = (
        populated.app.account_named("a").sid,
        populated.app.account_named("b").sid,
    );
    sqlx::query(
        "update account_keys set wrapped_key = (select wrapped_key from account_keys where account_sid = $2)
        where account_sid = $1",
    )
    .bind(owner.as_str())
    .bind(foreign.as_str())
    .execute(&populated.app.pool)
    .await
    .unwrap();
    let (apn, other_apn, fcm, gcm) = (&populated.apn, &populated.other_apn, &populated.fcm, &populated.gcm);
    let all = [(apn.as_str(), 1), (other_apn, 1), (fcm, 1), (gcm, 1), (gcm, 2)];
    populated.only_these_are_found(&all).await;
    // The running service still has the key in memory; one that starts now has not.
    populated.app.restart();
    let apn = populated.apn.clone();
    populated.update_is_refused("a", &apn, &[("Sandbox", "true")]).await;
    let refused = populated
        .app
        .account("a")
        .post("/v2/Credentials", &[("Type", "gcm")])
        .await;
    refused.is_error(500, 20500, "Internal Server Error");
}

#[tokio::test]
async fn the_rows_taken_into_another_deployment() {
    let mut populated = Populated::new().await;
    sqlx::query("update deployment set deployment_id = gen_random_uuid()")
        .execute(&populated.app.pool)
        .await
        .unwrap();
    // The key that authenticates events is bound to the deployment too: no process starts with it.
    let refusal = populated.app.refusal(|_| {});
    assert!(refusal.contains("signing key"), "{refusal}");
    sqlx::query("delete from signing_keys")
        .execute(&populated.app.pool)
        .await
        .unwrap();
    assert_eq!(
        populated.findings().len(),
        7,
        "every version was sealed for the other deployment"
    );
    populated.app.restart();
    let apn = populated.apn.clone();
    populated.update_is_refused("a", &apn, &[("Sandbox", "true")]).await;
    // What is sealed here and now opens.
    let fresh = super::create(&populated.app, "new", &[("Type", "gcm"), ("ApiKey", "k")]).await;
    assert_eq!(populated.app.opened(&fresh).await[0].api_key.as_deref(), Some("k"));
}
