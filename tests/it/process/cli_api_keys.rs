//! `pushvault api-key`: keys that let in until they are revoked.

use super::support::{Deployment, Event};

#[tokio::test]
async fn a_key_lets_in_until_it_is_revoked_and_its_secret_is_told_once() {
    let deployment = Deployment::migrated();
    let (account, other) = (deployment.create_account(), deployment.create_account());
    let service = deployment.serve();
    let database = deployment.database().await;
    let known = database.events_after(0).await.len();

    let created = deployment.json(&["api-key", "create", &account.sid, "--friendly-name", "ci"]);
    let fields: Vec<_> = created.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["account_sid", "api_key_sid", "rights", "secret"]);
    let (sid, secret) = (
        created["api_key_sid"].as_str().unwrap(),
        created["secret"].as_str().unwrap(),
    );
    assert!(sid.starts_with("SK"), "{sid}");
    deployment.keep(secret);
    let text = deployment.run(&["api-key", "create", &account.sid]).succeeded();
    let (key, second_secret) = text.stdout.lines().nth(3).unwrap().split_once(": ").unwrap();
    assert_eq!(key, "secret");
    assert!(!text.stderr.contains(second_secret), "the log repeats the secret");
    deployment.keep(second_secret);

    let caller = service.caller_with(sid, secret);
    let credential = caller.register("made-by-a-key").await;
    assert_eq!(service.caller(&account).fetch(&credential).await.status, 200);
    assert_eq!(service.caller(&other).fetch(&credential).await.status, 404);
    assert_eq!(service.caller_with(sid, second_secret).is_let_in().await.0, 401);

    let listed = deployment.json(&["api-key", "list", &account.sid]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(
        (&listed[0]["api_key_sid"], &listed[0]["friendly_name"]),
        (&sid.into(), &"ci".into())
    );
    let text = deployment.run(&["api-key", "list", &account.sid]).succeeded().stdout;
    assert_eq!(text.matches("api_key_sid: SK").count(), 2, "{text}");
    assert_eq!(deployment.json(&["api-key", "list", &other.sid]), serde_json::json!([]));

    let revoked = deployment.json(&["api-key", "revoke", &account.sid, sid]);
    assert_eq!(
        (&revoked["api_key_sid"], &revoked["status"]),
        (&sid.into(), &"revoked".into())
    );
    assert_eq!(caller.is_let_in().await, (401, Some(20003)));
    let listed = deployment.json(&["api-key", "list", &account.sid]);
    assert_eq!(listed.as_array().unwrap().len(), 2, "a revoked key is still listed");

    let event = |actor: &str, action: &str, target: &str| Event {
        account_sid: account.sid.clone(),
        actor_type: actor.to_owned(),
        action: action.to_owned(),
        outcome: "success".to_owned(),
        error_code: None,
        target_sid: Some(target.to_owned()),
    };
    let second_sid = listed[1]["api_key_sid"].as_str().unwrap();
    let expected = [
        event("operator", "api_key.create", sid),
        event("operator", "api_key.create", second_sid),
        event("api_key", "credential.create", &credential),
        event("operator", "api_key.revoke", sid),
    ];
    assert_eq!(database.events_after(known).await, expected);
    service.stop();
}

#[tokio::test]
async fn a_key_may_do_what_it_was_made_for_and_its_rights_are_told() {
    let deployment = Deployment::migrated();
    let account = deployment.create_account();
    let service = deployment.serve();
    let database = deployment.database().await;
    let make = |arguments: &[&str]| {
        let created = deployment.json(&[&["api-key", "create", &account.sid], arguments].concat());
        let secret = created["secret"].as_str().unwrap().to_owned();
        deployment.keep(&secret);
        (created["api_key_sid"].as_str().unwrap().to_owned(), secret, created)
    };
    let (reader, secret, created) = make(&["--rights", "audit:read,credentials:read,audit:read"]);
    assert_eq!(created["rights"], serde_json::json!(["credentials:read", "audit:read"]));
    let refused = service.caller_with(&reader, &secret).create(&[("Type", "fcm")]).await;
    assert_eq!((refused.status, refused.body["code"].as_i64()), (403, Some(20403)));
    let (usual, ..) = make(&[]);

    let listed = deployment.json(&["api-key", "list", &account.sid]);
    assert_eq!(listed[0]["rights"], created["rights"]);
    assert_eq!(
        listed[1]["rights"],
        serde_json::json!(["credentials:read", "credentials:write"])
    );
    let text = deployment.run(&["api-key", "list", &account.sid]).succeeded().stdout;
    assert!(text.contains("rights: credentials:read,audit:read\n"), "{text}");
    let recorded: Vec<(String, String)> = database
        .rows(
            "select target_sid, after ->> 'rights' from audit_events where action = 'api_key.create'
            order by occurred_at",
        )
        .await;
    let rights = |names: &str| names.to_owned();
    assert_eq!(
        recorded,
        [
            (reader, rights(r#"["credentials:read", "audit:read"]"#)),
            (usual, rights(r#"["credentials:read", "credentials:write"]"#)),
        ]
    );
    service.stop();
}
