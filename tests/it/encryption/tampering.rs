//! Ciphertexts altered, cut, removed or added: the row does not open, and `verify` names it and no other.

use super::Populated;
use super::swaps::put_digests_right;

/// A statement that spoils the only version of the APNs credential.
type Damage = (&'static str, &'static str);

const DAMAGES: [Damage; 13] = [
    (
        "a bit of the ciphertext",
        "update credential_versions set private_key = set_bit(private_key, 1000, 1 - get_bit(private_key, 1000))
        where credential_sid = $1",
    ),
    (
        "a bit of the nonce",
        "update credential_versions set private_key = set_bit(private_key, 3, 1 - get_bit(private_key, 3))
        where credential_sid = $1",
    ),
    (
        "the last byte of the tag",
        "update credential_versions
        set certificate = set_byte(certificate, octet_length(certificate) - 1, 255 - get_byte(certificate, octet_length(certificate) - 1))
        where credential_sid = $1",
    ),
    (
        "a cut column",
        "update credential_versions set certificate = substring(certificate from 1 for 100) where credential_sid = $1",
    ),
    (
        "an empty column",
        "update credential_versions set certificate = '' where credential_sid = $1",
    ),
    (
        "a removed column",
        "update credential_versions set certificate = null where credential_sid = $1",
    ),
    (
        "an added column",
        "update credential_versions set secret = certificate where credential_sid = $1",
    ),
    (
        "another magic",
        "update credential_versions set dek_envelope = set_byte(dek_envelope, 0, 0) where credential_sid = $1",
    ),
    (
        "another format",
        "update credential_versions set dek_envelope = set_byte(dek_envelope, 2, 9) where credential_sid = $1",
    ),
    (
        "an account key that does not exist",
        "update credential_versions set dek_envelope = set_byte(dek_envelope, 7, 9) where credential_sid = $1",
    ),
    (
        "an account key of an impossible version",
        "update credential_versions set dek_envelope = set_byte(dek_envelope, 4, 255) where credential_sid = $1",
    ),
    (
        "the commitment",
        "update credential_versions set dek_envelope = set_bit(dek_envelope, 70 * 8, 1 - get_bit(dek_envelope, 70 * 8))
        where credential_sid = $1",
    ),
    (
        "an empty header",
        "update credential_versions set dek_envelope = '' where credential_sid = $1",
    ),
];

#[tokio::test]
async fn every_kind_of_damage_is_found_and_no_other_row_is_blamed() {
    let populated = Populated::new().await;
    let (app, apn) = (&populated.app, populated.apn.as_str());
    // The damage is that of a disk or of the table's owner, whom no trigger stops.
    sqlx::query("alter table credential_versions disable trigger user")
        .execute(&app.pool)
        .await
        .unwrap();
    for (name, statement) in DAMAGES {
        let mut rescue = app.pool.begin().await.unwrap();
        sqlx::query("create table rescued as select * from credential_versions")
            .execute(&mut *rescue)
            .await
            .unwrap();
        rescue.commit().await.unwrap();

        let result = sqlx::query(statement).bind(apn).execute(&app.pool).await.unwrap();
        assert_eq!(result.rows_affected(), 1, "{name}");
        // First as a clumsy hand leaves it, then with a digest that fits.
        assert_eq!(populated.findings(), [populated.position(apn, 1)], "{name}");
        put_digests_right(app).await;
        assert_eq!(
            populated.findings(),
            [populated.position(apn, 1)],
            "{name}, digest put right"
        );
        populated.update_is_refused("a", apn, &[("Sandbox", "true")]).await;

        for statement in [
            "delete from credential_versions",
            "insert into credential_versions select * from rescued",
            "drop table rescued",
        ] {
            sqlx::query(statement).execute(&app.pool).await.unwrap();
        }
        assert_eq!(populated.findings(), [], "{name}, put back");
    }
}

#[tokio::test]
async fn a_row_that_breaks_the_codes_own_rules_is_refused_like_one_that_does_not_open() {
    let populated = Populated::new().await;
    let (app, apn) = (&populated.app, populated.apn.as_str());
    sqlx::query("update credential_versions set push_service = 'xyz' where credential_sid = $1")
        .bind(apn)
        .execute(&app.pool)
        .await
        .unwrap();
    populated.update_is_refused("a", apn, &[("Sandbox", "true")]).await;
    // Its metadata lies elsewhere and is as good as before.
    app.account("a").get(&format!("/v2/Credentials/{apn}")).await.json(200);
}
