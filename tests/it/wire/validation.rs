//! Decisions 1 and 5: a credential that cannot work is stored and told of, or refused where the settings are strict.
//!
//! The service asks the real clock, so nothing here rests on a certificate that is valid today: what is right of the
//! fixtures' certificates (until 2027) is shown by the unit tests, which pass the time in.

use pushvault::config::ValidationMode;
use serde_json::Value;

use super::{LIST, credentials, path};
use crate::harness::{Log, OTHER_KEY, TestApp, apns_pair, migrated_database};

const EXPIRED: &str = include_str!("../../data/apns-expired.pem");

const MISSING_SECRET: &str = "Cannot create credentials record. 'Secret' must be present";
const NOT_APNS: &str = "Could not use certificate: it is not a certificate for push messages; send the one that Apple \
                        issued for the Apple Push Notification service, and of a chain that one first";
const EXPIRED_TEXT: &str =
    "Could not use certificate: it expired on 2026-03-04T05:06:07Z; renew it with Apple and send the new one";

type Pairs<'a> = &'a [(&'a str, &'a str)];

async fn strict() -> TestApp {
    TestApp::spawn_with(migrated_database(), |settings| {
        settings.validation = ValidationMode::Strict;
    })
    .await
}

/// The findings that the log has for a credential: code and parameter.
fn logged(log: &Log, credential: &Value) -> Vec<(String, String)> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    log.events("finding")
        .into_iter()
        .filter(|line| line["target"] == "finding" && line["credential_sid"] == credential["sid"])
        .map(|line| (text(&line, "finding"), text(&line, "parameter")))
        .collect()
}

fn names(expected: Pairs<'_>) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(code, parameter)| ((*code).to_owned(), (*parameter).to_owned()))
        .collect()
}

#[tokio::test]
async fn lenient_stores_and_logs_a_line_for_each_finding_and_never_a_value_decisions_1_and_5() {
    let log = Log::from_now();
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let cases: [(Pairs<'_>, Pairs<'_>); 7] = [
        (&[("Type", "fcm")], &[("missing_secret", "Secret")]),
        (&[("Type", "gcm"), ("ApiKey", "")], &[("missing_secret", "ApiKey")]),
        (&[("Type", "fcm"), ("Secret", "s")], &[]),
        (
            &[("Type", "apn")],
            &[("missing_secret", "Certificate"), ("missing_secret", "PrivateKey")],
        ),
        (
            &[("Type", "apn"), ("Certificate", EXPIRED), ("PrivateKey", EXPIRED)],
            &[("certificate_expired", "Certificate")],
        ),
        (
            &[
                ("Type", "apn"),
                ("Certificate", apns_pair()),
                ("PrivateKey", apns_pair()),
            ],
            &[("not_an_apns_certificate", "Certificate")],
        ),
        (
            &[("Type", "apn"), ("Certificate", EXPIRED), ("PrivateKey", OTHER_KEY)],
            &[("certificate_expired", "Certificate"), ("pair_mismatch", "PrivateKey")],
        ),
    ];
    for (form, expected) in cases {
        let created = owner.post(LIST, form).await.json(201);
        assert_eq!(logged(&log, &created), names(expected));
    }
    let told: String = log.events("finding").iter().map(Value::to_string).collect();
    for line in EXPIRED.lines().chain(OTHER_KEY.lines()).filter(|line| line.len() == 64) {
        assert!(!told.contains(line), "a finding tells of {line}");
    }
}

#[tokio::test]
async fn lenient_looks_again_when_secrets_or_sandbox_change_and_not_at_a_new_name_decision_5() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let created = owner
        .post(LIST, &[("Type", "apn"), ("Certificate", EXPIRED)])
        .await
        .json(201);
    for (form, expected) in [
        (("FriendlyName", "n"), &[][..]),
        (("PrivateKey", EXPIRED), &[("certificate_expired", "Certificate")][..]),
        (("Sandbox", "true"), &[("certificate_expired", "Certificate")][..]),
        (
            ("PrivateKey", OTHER_KEY),
            &[("certificate_expired", "Certificate"), ("pair_mismatch", "PrivateKey")][..],
        ),
    ] {
        let log = Log::from_now();
        owner.post(&path(&created), &[form]).await.json(200);
        assert_eq!(logged(&log, &created), names(expected), "{}", form.0);
    }
}

#[tokio::test]
async fn strict_refuses_the_first_finding_in_exact_words_and_stores_nothing_decisions_1_and_5() {
    let log = Log::from_now();
    let app = strict().await;
    let owner = app.account("a");
    let cases: [(Pairs<'_>, &str); 7] = [
        (&[("Type", "fcm")], MISSING_SECRET),
        (
            &[("Type", "gcm")],
            "Cannot create credentials record. 'ApiKey' must be present",
        ),
        (
            &[("Type", "apn")],
            "Cannot create credentials record. 'Certificate' must be present",
        ),
        (
            &[("Type", "apn"), ("Certificate", EXPIRED)],
            "Cannot create credentials record. 'PrivateKey' must be present",
        ),
        (
            &[("Type", "apn"), ("Certificate", EXPIRED), ("PrivateKey", EXPIRED)],
            EXPIRED_TEXT,
        ),
        (
            &[
                ("Type", "apn"),
                ("Certificate", apns_pair()),
                ("PrivateKey", apns_pair()),
            ],
            NOT_APNS,
        ),
        (
            &[("Type", "apn"), ("Certificate", apns_pair()), ("PrivateKey", OTHER_KEY)],
            NOT_APNS,
        ),
    ];
    let mut refused = Vec::new();
    for (form, message) in cases {
        let answer = owner.post(LIST, form).await;
        answer.is_error(400, 20001, message);
        let event = app.audit_event_of(&answer).await;
        assert_eq!((event.outcome.as_str(), event.error_code), ("failed", Some(20001)));
        assert_eq!(event.target_sid, None);
        refused.push(answer.request_sid().to_owned());
    }
    assert_eq!(credentials(&app).await, 0);
    // What was refused is told to the caller, not to the log as something that is stored.
    let told: String = log.events("finding").iter().map(Value::to_string).collect();
    for request_sid in refused {
        assert!(!told.contains(&request_sid), "{told}");
    }
}

#[tokio::test]
async fn strict_takes_what_is_complete_decision_1() {
    let app = strict().await;
    let owner = app.account("a");
    for form in [[("Type", "fcm"), ("Secret", "s")], [("Type", "gcm"), ("ApiKey", "k")]] {
        let created = owner.post(LIST, &form).await.json(201);
        owner.post(&path(&created), &[form[1]]).await.json(200);
        assert_eq!(owner.post(&path(&created), &[]).await.json(200)["sid"], created["sid"]);
    }
}

#[tokio::test]
async fn strict_holds_updates_of_secrets_and_sandbox_to_it_and_lets_a_name_pass_decision_5() {
    let mut lenient = TestApp::spawn().await;
    let owner = lenient.account("a");
    let form = [("Type", "apn"), ("Certificate", EXPIRED), ("PrivateKey", EXPIRED)];
    let expired = path(&owner.post(LIST, &form).await.json(201));
    let incomplete = path(&owner.post(LIST, &[("Type", "apn")]).await.json(201));
    let empty = path(&owner.post(LIST, &[("Type", "fcm")]).await.json(201));

    lenient.restart_with(|settings| settings.validation = ValidationMode::Strict);
    let app = lenient;
    let owner = app.account("a");
    let before = (
        owner.get(&expired).await.json(200),
        owner.get(&incomplete).await.json(200),
    );
    for (target, form, message) in [
        (&expired, ("Sandbox", "true"), EXPIRED_TEXT),
        (&expired, ("PrivateKey", OTHER_KEY), EXPIRED_TEXT),
        (&expired, ("Certificate", apns_pair()), NOT_APNS),
        (
            &incomplete,
            ("PrivateKey", OTHER_KEY),
            "Cannot create credentials record. 'Certificate' must be present",
        ),
    ] {
        let answer = owner.post(target, &[("FriendlyName", "not this one"), form]).await;
        answer.is_error(400, 20001, message);
        assert_eq!(app.audit_event_of(&answer).await.outcome, "failed");
    }
    let after = (
        owner.get(&expired).await.json(200),
        owner.get(&incomplete).await.json(200),
    );
    assert_eq!(after, before);
    for target in [&expired, &incomplete, &empty] {
        let renamed = owner.post(target, &[("FriendlyName", "n")]).await.json(200);
        assert_eq!(renamed["friendly_name"], "n");
        owner.post(target, &[]).await.json(200);
    }
    owner.post(&empty, &[("Secret", "s")]).await.json(200);
}
