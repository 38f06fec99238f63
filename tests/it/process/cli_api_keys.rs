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
    assert_eq!(fields, ["account_sid", "api_key_sid", "secret"]);
    let (sid, secret) = (
        created["api_key_sid"].as_str().unwrap(),
        created["secret"].as_str().unwrap(),
    );
    assert!(sid.starts_with("SK"), "{sid}");
    deployment.keep(secret);
    let text = deployment.run(&["api-key", "create", &account.sid]).succeeded();
    let (key, second_secret) = text.stdout.lines().nth(2).unwrap().split_once(": ").unwrap();
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
