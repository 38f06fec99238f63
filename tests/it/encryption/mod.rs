//! Encryption at rest: what the rows hold, and that they open only where they were sealed.

mod swaps;
mod tampering;

use serde_json::Value;

use crate::harness::{OTHER_KEY, Position, TestApp, apns_pair, service_account};

/// The credentials of one test: two of each kind in account `a`, one in `b`, and one that nobody touches.
struct Populated {
    app: TestApp,
    apn: String,
    other_apn: String,
    fcm: String,
    gcm: String,
    foreign: String,
    untouched: String,
}

impl Populated {
    async fn new() -> Self {
        let app = TestApp::spawn().await;
        let pair = [
            ("Type", "apn"),
            ("Certificate", apns_pair()),
            ("PrivateKey", apns_pair()),
        ];
        let other_pair = [("Type", "apn"), ("Certificate", apns_pair()), ("PrivateKey", OTHER_KEY)];
        let account = service_account("k");
        let populated = Self {
            apn: create(&app, "a", &pair).await,
            other_apn: create(&app, "a", &other_pair).await,
            fcm: create(&app, "a", &[("Type", "fcm"), ("Secret", &account)]).await,
            gcm: create(&app, "a", &[("Type", "gcm"), ("ApiKey", "first")]).await,
            foreign: create(&app, "b", &pair).await,
            untouched: create(&app, "untouched", &pair).await,
            app,
        };
        let path = format!("/v2/Credentials/{}", populated.gcm);
        populated
            .app
            .account("a")
            .post(&path, &[("ApiKey", "second")])
            .await
            .json(200);
        assert_eq!(populated.findings(), []);
        populated
    }

    /// What `Vault::verify` says of every row, with nothing in memory from before: the rows that do not open. All others
    /// do.
    fn findings(&self) -> Vec<Position> {
        let report = self.app.replica(|vault| async move { vault.verify().await.unwrap() });
        let mut findings: Vec<_> = report
            .findings
            .iter()
            .map(|finding| Position {
                account_sid: finding.account_sid.to_string(),
                credential_sid: finding.credential_sid.to_string(),
                version: finding.version,
            })
            .collect();
        findings.sort();
        assert_eq!(usize::try_from(report.opened).unwrap() + findings.len(), 7);
        findings
    }

    /// Where a version stands.
    fn position(&self, credential_sid: &str, version: i32) -> Position {
        let name = match credential_sid {
            sid if sid == self.foreign => "b",
            sid if sid == self.untouched => "untouched",
            _ => "a",
        };
        Position {
            account_sid: self.app.account_named(name).sid.to_string(),
            credential_sid: credential_sid.to_owned(),
            version,
        }
    }

    /// Asserts that exactly these versions do not open, and that the one that nobody touched does.
    async fn only_these_are_found(&self, touched: &[(&str, i32)]) {
        let mut expected: Vec<_> = touched
            .iter()
            .map(|(sid, version)| self.position(sid, *version))
            .collect();
        expected.sort();
        assert_eq!(self.findings(), expected);
        let opened = self.app.opened(&self.untouched).await;
        assert_eq!(opened[0].private_key, Some(crate::harness::apns_private_key()));
    }

    /// Asserts that an update which has to open the row is refused, changes nothing, and is recorded once.
    async fn update_is_refused(&self, account: &str, credential_sid: &str, form: &[(&str, &str)]) {
        let before = self.rows().await;
        let path = format!("/v2/Credentials/{credential_sid}");
        let events = self.app.audit_count().await;

        let answer = self.app.account(account).post(&path, form).await;

        answer.is_error(500, 20500, "Internal Server Error");
        assert_eq!(self.rows().await, before);
        assert_eq!(self.app.audit_count().await, events + 1);
        let event = self.app.audit_event_of(&answer).await;
        assert_eq!(
            (event.action.as_str(), event.outcome.as_str()),
            ("credential.update", "failed")
        );
        assert_eq!(event.error_code, Some(20500));
        assert_eq!(event.target_sid.as_deref(), Some(credential_sid));
        assert_eq!((event.before, event.after, event.envelope_digest), (None, None, None));
    }

    /// Every row of credentials and versions.
    async fn rows(&self) -> Vec<Value> {
        sqlx::query_scalar(
            "select to_jsonb(credentials) from credentials
            union all select to_jsonb(credential_versions) from credential_versions order by 1",
        )
        .fetch_all(&self.app.pool)
        .await
        .unwrap()
    }
}

async fn create(app: &TestApp, account: &str, form: &[(&str, &str)]) -> String {
    let created = app.account(account).post("/v2/Credentials", form).await.json(201);
    created["sid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn only_the_columns_of_the_type_are_filled_and_all_of_one_length_step() {
    let populated = Populated::new().await;
    let lengths: Vec<(String, Vec<Option<i32>>)> = sqlx::query_as(
        "select push_service, array[octet_length(certificate), octet_length(private_key), octet_length(api_key),
            octet_length(secret)]
        from credential_versions order by push_service",
    )
    .fetch_all(&populated.app.pool)
    .await
    .unwrap();
    // Nonce, one step of padding, tag: the length of a ciphertext does not tell a key from another.
    let one = Some(12 + 4096 + 16);
    for (push_service, lengths) in lengths {
        let expected = match push_service.as_str() {
            "apn" => [one, one, None, None],
            "fcm" => [None, None, None, one],
            _ => [None, None, one, None],
        };
        assert_eq!(lengths, expected, "{push_service}");
    }
}

#[tokio::test]
async fn one_secret_sealed_twice_gives_no_ciphertext_in_common() {
    let app = TestApp::spawn().await;
    for _ in 0..3 {
        create(&app, "a", &[("Type", "gcm"), ("ApiKey", "the same")]).await;
    }
    let pieces: Vec<Vec<u8>> = sqlx::query_scalar(
        "select substring(api_key from 1 for 12) from credential_versions
        union all select substring(api_key from 13 for 16) from credential_versions
        union all select substring(dek_envelope from 9 for 60) from credential_versions
        union all select substring(dek_envelope from 69 for 32) from credential_versions",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    let distinct: std::collections::BTreeSet<_> = pieces.iter().collect();
    assert_eq!(
        (pieces.len(), distinct.len()),
        (12, 12),
        "a nonce, a ciphertext, a wrapped key or a commitment came twice"
    );
}

#[tokio::test]
async fn another_root_key_opens_nothing_and_the_service_does_not_start_with_it() {
    let populated = Populated::new().await;
    let refusal = crate::harness::start_refusal(&populated.app.database);
    assert!(refusal.contains("wrong root key"), "{refusal}");
    assert_eq!(populated.findings(), []);
}
