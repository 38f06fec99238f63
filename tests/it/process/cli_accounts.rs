//! `pushvault account`: who is let in, from the moment that the command has ended, and what of it stands in the audit
//! trail.

use serde_json::Value;

use super::support::{Deployment, Event, Login};

const LET_IN: (u16, Option<i64>) = (200, None);
const UNKNOWN: (u16, Option<i64>) = (401, Some(20003));
const SUSPENDED: (u16, Option<i64>) = (403, Some(20005));

/// The event that an operator's command leaves when it succeeds.
fn success(action: &str, account: &Login) -> Event {
    Event {
        account_sid: account.sid.clone(),
        actor_type: "operator".to_owned(),
        action: action.to_owned(),
        outcome: "success".to_owned(),
        error_code: None,
        target_sid: Some(account.sid.clone()),
    }
}

#[tokio::test]
async fn create_list_and_show_tell_the_token_once() {
    let deployment = Deployment::migrated();
    let created = deployment.json(&["account", "create", "--friendly-name", "Größe 1"]);
    let token = created["auth_token"].as_str().unwrap();
    assert_eq!(created.as_object().unwrap().len(), 2, "SID and token");
    assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    deployment.keep(token);
    let sid = created["account_sid"].as_str().unwrap();

    let text = deployment.run(&["account", "create"]).succeeded();
    let second: Vec<_> = text.stdout.lines().map(|line| line.split_once(": ").unwrap()).collect();
    assert_eq!([second[0].0, second[1].0], ["account_sid", "auth_token"]);
    assert!(!text.stderr.contains(second[1].1), "the log repeats the token");
    deployment.keep(second[1].1);

    let listed = deployment.json(&["account", "list"]);
    let sids: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|account| &account["account_sid"])
        .collect();
    assert_eq!(sids, [sid, second[0].1], "oldest first");
    let shown = deployment.json(&["account", "show", sid]);
    assert_eq!(shown, listed[0]);
    assert_eq!(
        (&shown["friendly_name"], &shown["status"]),
        (&"Größe 1".into(), &"active".into())
    );
    for arguments in [vec!["account", "list"], vec!["account", "show", sid]] {
        let text = deployment.run(&arguments).succeeded().stdout;
        assert!(text.contains(&format!("account_sid: {sid}\n")), "{text}");
        assert!(text.contains("status: active\n"), "{text}");
    }

    let events = deployment.database().await.events_after(0).await;
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(
        actions,
        ["root_key.register", "account.create", "account.create"],
        "reading leaves none"
    );
}

#[tokio::test]
async fn suspend_and_activate_count_at_once() {
    let deployment = Deployment::migrated();
    let (account, other) = (deployment.create_account(), deployment.create_account());
    let key = deployment.create_api_key(&account.sid);
    let database = deployment.database().await;
    let known = database.events_after(0).await.len();
    let service = deployment.serve();
    let (caller, by_key) = (service.caller(&account), service.caller(&key));
    assert_eq!((caller.is_let_in().await, by_key.is_let_in().await), (LET_IN, LET_IN));

    let suspended = deployment.json(&["account", "suspend", &account.sid]);
    assert_eq!(suspended["status"], "suspended");
    assert_eq!(
        (caller.is_let_in().await, by_key.is_let_in().await),
        (SUSPENDED, SUSPENDED)
    );
    assert_eq!(service.caller(&other).is_let_in().await, LET_IN);
    // A wrong token learns nothing about the account.
    assert_eq!(service.caller_with(&account.sid, "wrong").is_let_in().await, UNKNOWN);

    let activated = deployment.run(&["account", "activate", &account.sid]).succeeded();
    assert!(activated.stdout.contains("status: active\n"), "{}", activated.stdout);
    assert_eq!((caller.is_let_in().await, by_key.is_let_in().await), (LET_IN, LET_IN));
    assert_eq!(
        database.events_after(known).await,
        [
            success("account.suspend", &account),
            success("account.activate", &account)
        ]
    );
    service.stop();
}

#[tokio::test]
async fn a_token_rolls_over_in_two_steps() {
    let deployment = Deployment::migrated();
    let account = deployment.create_account();
    let service = deployment.serve();
    let database = deployment.database().await;
    let known = database.events_after(0).await.len();
    let is_let_in = async |token: &str| service.caller_with(&account.sid, token).is_let_in().await;
    assert_eq!(is_let_in(&account.secret).await, LET_IN);

    let second = deployment.rotate_token(&[&account.sid]).unwrap();
    assert_ne!(second, account.secret);
    assert_eq!(
        (is_let_in(&account.secret).await, is_let_in(&second).await),
        (LET_IN, LET_IN)
    );
    // There is room for two: a third pushes the oldest out.
    let third = deployment.rotate_token(&[&account.sid]).unwrap();
    assert_eq!(is_let_in(&account.secret).await, UNKNOWN);
    assert_eq!((is_let_in(&second).await, is_let_in(&third).await), (LET_IN, LET_IN));

    assert_eq!(
        deployment.rotate_token(&[&account.sid, "--finish"]),
        None,
        "finishing makes no token"
    );
    assert_eq!((is_let_in(&second).await, is_let_in(&third).await), (UNKNOWN, LET_IN));
    let expected = success("account.rotate_token", &account);
    assert_eq!(
        database.events_after(known).await,
        [expected.clone(), expected.clone(), expected]
    );
    service.stop();
}

#[tokio::test]
async fn a_token_that_leaked_is_out_at_once() {
    let deployment = Deployment::migrated();
    let account = deployment.create_account();
    let service = deployment.serve();
    let database = deployment.database().await;
    let is_let_in = async |token: &str| service.caller_with(&account.sid, token).is_let_in().await;
    let second = deployment.rotate_token(&[&account.sid]).unwrap();
    assert_eq!(
        (is_let_in(&account.secret).await, is_let_in(&second).await),
        (LET_IN, LET_IN)
    );
    let known = database.events_after(0).await.len();

    let third = deployment.rotate_token(&[&account.sid, "--revoke-old"]).unwrap();
    assert_eq!(
        (is_let_in(&account.secret).await, is_let_in(&second).await),
        (UNKNOWN, UNKNOWN)
    );
    assert_eq!(is_let_in(&third).await, LET_IN);
    assert_eq!(
        database.events_after(known).await[0],
        success("account.rotate_token", &account)
    );
    let hashes: Vec<(Option<String>,)> = database.rows("select secondary_token_hash from accounts").await;
    assert_eq!(hashes, [(None,)], "nothing of the old tokens is kept");

    let text = deployment.run(&["account", "rotate-token", &account.sid]).succeeded();
    let (key, token) = text.stdout.lines().nth(1).unwrap().split_once(": ").unwrap();
    assert_eq!((key, is_let_in(token).await), ("auth_token", LET_IN));
    assert!(!text.stderr.contains(token), "the log repeats the token");
    assert_ne!(Value::from(token), Value::from(third.as_str()));
    service.stop();
}
