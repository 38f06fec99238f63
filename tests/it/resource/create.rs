//! `POST /v2/Credentials`, and the eight keys that it answers.

use serde_json::{Value, json};

use super::{LIST, create, path, sid};
use crate::harness::{
    TestApp, apns_certificate, apns_pair, apns_private_key, assert_matches_snapshot, is_iso_8601, redacted,
    service_account,
};

#[tokio::test]
async fn an_apns_pair_pasted_as_openssl_wrote_it_is_taken_and_answered_without_it() {
    let app = TestApp::spawn().await;
    let form = [
        ("Type", "apn"),
        ("FriendlyName", "iOS, production"),
        ("Certificate", apns_pair()),
        ("PrivateKey", apns_pair()),
        ("Sandbox", "true"),
    ];

    let created = create(&app.account("a"), &form).await;

    let body = serde_json::to_string_pretty(&redacted(&created, app.origin())).unwrap();
    assert_matches_snapshot!("credential_apn", body);
    let opened = app.opened(sid(&created)).await;
    assert_eq!(opened[0].certificate, Some(apns_certificate()));
    assert_eq!(opened[0].private_key, Some(apns_private_key()));
    assert!(opened[0].sandbox);
}

#[tokio::test]
async fn a_gcm_api_key_is_taken() {
    let app = TestApp::spawn().await;
    let created = create(&app.account("a"), &[("Type", "gcm"), ("ApiKey", "AIzaSy+/= &%41")]).await;
    let body = serde_json::to_string_pretty(&redacted(&created, app.origin())).unwrap();
    assert_matches_snapshot!("credential_gcm", body);
    // Byte for byte: what is not PEM is not repaired.
    assert_eq!(
        app.opened(sid(&created)).await[0].api_key.as_deref(),
        Some("AIzaSy+/= &%41")
    );
}

#[tokio::test]
async fn a_service_account_pasted_whole_into_secret_is_kept_byte_for_byte() {
    let app = TestApp::spawn().await;
    let secret = service_account(&apns_private_key());
    let created = create(&app.account("a"), &[("Type", "fcm"), ("Secret", &secret)]).await;
    let body = serde_json::to_string_pretty(&redacted(&created, app.origin())).unwrap();
    assert_matches_snapshot!("credential_fcm", body);
    assert_eq!(app.opened(sid(&created)).await[0].secret, Some(secret));
}

#[tokio::test]
async fn a_type_alone_makes_a_credential_whose_secrets_come_later_decision_1() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for (push_service, secret) in [("apn", None), ("fcm", Some("Secret")), ("gcm", Some("ApiKey"))] {
        let created = create(&owner, &[("Type", push_service)]).await;
        assert_eq!(created["type"], push_service);
        assert_eq!(created["friendly_name"], Value::Null);
        if let Some(parameter) = secret {
            owner.post(&path(&created), &[(parameter, "later")]).await.json(200);
            let opened = app.opened(sid(&created)).await;
            assert_eq!(opened.len(), 2);
            let last = opened[1].secret.as_deref().or(opened[1].api_key.as_deref());
            assert_eq!(last, Some("later"));
        }
    }
}

#[tokio::test]
async fn the_answer_has_eight_keys_of_the_right_types_decisions_2_and_28() {
    let app = TestApp::spawn().await;
    let created = create(&app.account("a"), &[("Type", "apn")]).await;
    let mut keys: Vec<_> = created.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "account_sid",
            "date_created",
            "date_updated",
            "friendly_name",
            "sandbox",
            "sid",
            "type",
            "url"
        ]
    );
    assert_eq!(created["account_sid"], app.account_named("a").sid.as_str());
    let digits = sid(&created).strip_prefix("CR").unwrap();
    assert!(digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    assert!(is_iso_8601(created["date_created"].as_str().unwrap()));
    assert_eq!(created["date_updated"], created["date_created"]);
    assert_eq!(created["url"], format!("{}{LIST}/{}", app.origin(), sid(&created)));
}

#[tokio::test]
async fn sandbox_is_a_text_with_a_capital_and_only_apns_has_one_decisions_2_and_23() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for (push_service, sent, answered) in [
        ("apn", None, "False"),
        ("apn", Some("true"), "True"),
        ("apn", Some("TRUE"), "True"),
        ("apn", Some("False"), "False"),
        ("apn", Some(""), "False"),
        ("fcm", None, "False"),
        ("fcm", Some("true"), "False"),
        ("gcm", Some("tRuE"), "False"),
    ] {
        let mut form = vec![("Type", push_service)];
        form.extend(sent.map(|text| ("Sandbox", text)));
        let created = create(&owner, &form).await;
        assert_eq!(created["sandbox"], answered, "{form:?}");
        assert_eq!(owner.get(&path(&created)).await.json(200)["sandbox"], answered);
    }
}

#[tokio::test]
async fn type_is_taken_in_any_case_and_answered_in_lower_case() {
    let app = TestApp::spawn().await;
    for (sent, answered) in [("APN", "apn"), ("FcM", "fcm"), ("GcM", "gcm")] {
        assert_eq!(create(&app.account("a"), &[("Type", sent)]).await["type"], answered);
    }
}

#[tokio::test]
async fn a_friendly_name_has_up_to_64_characters_of_any_kind_decision_4() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    // Characters count, not bytes: the last one takes four.
    for name in [
        "x".repeat(64),
        "é".repeat(64),
        "🔔".repeat(64),
        " \"&+%\\<é>\n".to_owned(),
    ] {
        let created = create(&owner, &[("Type", "fcm"), ("FriendlyName", &name)]).await;
        assert_eq!(created["friendly_name"], name);
        assert_eq!(owner.get(&path(&created)).await.json(200)["friendly_name"], name);
    }
    let created = create(&owner, &[("Type", "fcm"), ("FriendlyName", "")]).await;
    assert_eq!(created["friendly_name"], Value::Null);
}

#[tokio::test]
async fn an_empty_secret_counts_as_absent_decision_13() {
    let app = TestApp::spawn().await;
    let form = [("Type", "apn"), ("Secret", ""), ("ApiKey", ""), ("Certificate", "")];
    let created = create(&app.account("a"), &form).await;
    let opened = app.opened(sid(&created)).await;
    assert_eq!((&opened[0].certificate, &opened[0].secret), (&None, &None));
}

#[tokio::test]
async fn a_credential_made_on_one_surface_is_read_on_every_other_decision_26() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for made_on in [
        "/v2",
        "/v1",
        "/chat/v2",
        "/notify/v1",
        "/conversations/v1",
        "/ip-messaging/v2",
    ] {
        let created = owner
            .post(&format!("{made_on}/Credentials"), &[("Type", "gcm")])
            .await
            .json(201);
        for read_on in [
            "/v2",
            "/v1",
            "/chat/v1",
            "/notify/v1",
            "/conversations/v1",
            "/ip-messaging/v1",
        ] {
            let path = format!("{read_on}/Credentials/{}", sid(&created));
            let mut expected = created.clone();
            // Only the address is each surface's own (decision 27).
            expected["url"] = json!(format!("{}{path}", app.origin()));
            assert_eq!(owner.get(&path).await.json(200), expected);
        }
    }
}
