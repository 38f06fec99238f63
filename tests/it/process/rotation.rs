//! Keys that are rotated while callers come, by the commands that an operator has.

use serde_json::{Value, json};

use super::support::{Caller, Deployment, Login, Service};

/// The root key that takes over.
const NEW_KEY: [u8; 32] = [9; 32];

/// A deployment with two root keys in its settings: the one in use, and the one that comes.
pub(super) fn with_another_key(deployment: Deployment) -> Deployment {
    let file = deployment.write("new.key", NEW_KEY, 0o600);
    deployment.with("OTHER_KEK__FILE", &file.to_string_lossy())
}

/// The settings after the rotation: the new key alone.
pub(super) fn with_the_new_key_alone(deployment: Deployment) -> Deployment {
    let file = deployment.setting("OTHER_KEK__FILE").to_owned();
    deployment.without("OTHER_KEK__FILE").with("KEK__FILE", &file)
}

pub(super) fn key_of<'a>(list: &'a Value, state: &str) -> &'a Value {
    let keys = list.as_array().unwrap();
    keys.iter().find(|key| key["state"] == state).unwrap_or(&Value::Null)
}

pub(super) fn kek_id(key: &Value) -> String {
    key["kek_id"].as_str().unwrap().to_owned()
}

pub(super) async fn credentials(service: &Service<'_>, account: &Login, count: usize) -> Vec<String> {
    let caller = service.caller(account);
    let mut sids = Vec::new();
    for number in 0..count {
        sids.push(caller.register(&format!("credential {number}")).await);
    }
    sids
}

#[tokio::test]
async fn a_root_key_is_rotated_to_zero_and_the_old_one_is_needed_no_more() {
    let deployment = Deployment::migrated();
    let (one, two) = (deployment.create_account(), deployment.create_account());
    let service = deployment.serve();
    credentials(&service, &one, 3).await;
    credentials(&service, &two, 2).await;
    service.stop();

    let deployment = with_another_key(deployment);
    deployment.run(&["serve"]).refused(1, &["kek add"]);
    let added = deployment.json(&["kek", "add"]);
    assert_eq!((&added["state"], &added["account_keys"]), (&json!("added"), &json!(0)));
    let service = deployment.serve();
    let old = kek_id(key_of(&deployment.json(&["kek", "list"]), "primary"));
    let new = kek_id(&added);
    deployment
        .run(&["kek", "retire", &old])
        .refused(1, &["3 key(s)", "kek rotate"]);
    deployment.json(&["kek", "rotate"]);
    deployment
        .run(&["kek", "retire", &old])
        .refused(1, &["3 key(s)", "kek rewrap"]);
    deployment
        .run(&["kek", "destroy", &old])
        .refused(1, &["replica(s) still have"]);
    assert_eq!(deployment.json(&["kek", "rewrap"]), json!({ "rewrapped": 2 }));
    assert_eq!(deployment.json(&["kek", "rewrap"]), json!({ "rewrapped": 0 }));
    credentials(&service, &one, 1).await;
    deployment.create_account();
    let verified = deployment.json(&["kek", "verify"]);
    assert_eq!(verified["account_keys"], json!({ &*new: 3 }));
    assert_eq!((&verified["opened"], &verified["findings"]), (&json!(6), &json!([])));
    deployment.json(&["kek", "retire", &old]);
    service.stop();

    let deployment = with_the_new_key_alone(deployment);
    deployment.json(&["kek", "destroy", &old]);
    let service = deployment.serve();
    credentials(&service, &two, 1).await;
    service.stop();
    let list = deployment.json(&["kek", "list"]);
    assert_eq!(kek_id(key_of(&list, "primary")), new);
    assert_eq!(kek_id(key_of(&list, "destroyed")), old);
    assert_eq!(deployment.json(&["kek", "verify"])["opened"], 7);
    let actions = deployment.database().await;
    let actions: Vec<(String,)> = actions
        .rows("select action from audit_events where action like 'root_key.%' and outcome = 'success' order by occurred_at")
        .await;
    let actions: Vec<_> = actions.iter().map(|(action,)| action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "root_key.register",
            "root_key.add",
            "root_key.rotate",
            "root_key.rewrap",
            "root_key.retire",
            "root_key.destroy",
        ]
    );
}

#[tokio::test]
async fn a_key_that_a_live_replica_cannot_use_does_not_become_the_primary_one() {
    let deployment = Deployment::migrated();
    deployment.create_account();
    let without = deployment.serve();
    let url = without.url.clone();
    let environment = deployment.setting("DATABASE__URL").to_owned();
    let other = with_another_key(Deployment::on(&environment));
    other.json(&["kek", "add"]);

    other
        .run(&["kek", "rotate"])
        .refused(1, &["1 of 1 live replicas cannot use", "[other_kek]"]);
    assert_eq!(Caller::new(&url, "", "").get("/readyz").await.status, 200);
    without.stop();
    other.json(&["kek", "rotate"]);
}

#[tokio::test]
async fn an_account_key_is_rotated_under_the_callers_who_use_it() {
    let deployment = Deployment::migrated();
    let account = deployment.create_account();
    let service = deployment.serve();
    let sids = credentials(&service, &account, 5).await;
    let caller = service.caller(&account);

    let rotated = deployment.json(&["account", "rotate-key", &account.sid]);
    assert_eq!(
        rotated,
        json!([{ "account_sid": account.sid, "account_key": 2, "rewrapped": 5, "destroyed": [1] }])
    );
    // The service had the old key in memory.
    let updated = caller
        .post(&format!("/v2/Credentials/{}", sids[0]), &[("Secret", "another")])
        .await
        .unwrap();
    assert_eq!(updated.status, 200, "{updated:?}");
    credentials(&service, &account, 1).await;
    service.stop();

    let verified = deployment.json(&["kek", "verify"]);
    assert_eq!(verified["credential_versions"], json!({ "primary": 7 }));
    let database = deployment.database().await;
    let left: i64 = database
        .value("select count(*) from account_keys where state <> 'primary' and octet_length(wrapped_key) > 0")
        .await;
    assert_eq!(left, 0);
}
