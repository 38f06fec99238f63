//! What the operator's commands refuse: with a reason, with the right exit code, and with an event where a change was
//! asked for.

use super::support::{Deployment, Event};

const NOBODY: &str = "AC00000000000000000000000000000bad";
const NO_KEY: &str = "SK00000000000000000000000000000bad";

#[tokio::test]
async fn a_change_to_what_does_not_exist_fails_and_leaves_one_event() {
    let deployment = Deployment::migrated();
    let account = deployment.create_account();
    let database = deployment.database().await;
    let cases: [(&[&str], &str, &str, Option<&str>); 7] = [
        (&["account", "suspend", NOBODY], NOBODY, "account.suspend", Some(NOBODY)),
        (
            &["account", "activate", NOBODY],
            NOBODY,
            "account.activate",
            Some(NOBODY),
        ),
        (
            &["account", "rotate-token", NOBODY],
            NOBODY,
            "account.rotate_token",
            Some(NOBODY),
        ),
        (
            &["account", "rotate-token", NOBODY, "--finish"],
            NOBODY,
            "account.rotate_token",
            Some(NOBODY),
        ),
        (
            &["account", "rotate-token", NOBODY, "--revoke-old"],
            NOBODY,
            "account.rotate_token",
            Some(NOBODY),
        ),
        (&["api-key", "create", NOBODY], NOBODY, "api_key.create", None),
        (
            &["api-key", "revoke", &account.sid, NO_KEY],
            &account.sid,
            "api_key.revoke",
            Some(NO_KEY),
        ),
    ];
    for (arguments, account_sid, action, target_sid) in cases {
        let known = database.events_after(0).await.len();
        let refused = deployment
            .run(arguments)
            .refused(1, &[account_sid, "not found", "pushvault account list"]);
        assert_eq!(refused.stdout, "", "{arguments:?}");
        let expected = Event {
            account_sid: account_sid.to_owned(),
            actor_type: "operator".to_owned(),
            action: action.to_owned(),
            outcome: "failed".to_owned(),
            error_code: Some(20404),
            target_sid: target_sid.map(str::to_owned),
        };
        assert_eq!(database.events_after(known).await, [expected], "{arguments:?}");
    }
}

#[tokio::test]
async fn revoking_twice_and_the_key_of_another_account_fail() {
    let deployment = Deployment::migrated();
    let (account, other) = (deployment.create_account(), deployment.create_account());
    let key = deployment.create_api_key(&account.sid);
    deployment
        .run(&["api-key", "revoke", &other.sid, &key.sid])
        .refused(1, &["not found"]);
    let service = deployment.serve();
    assert_eq!(
        service.caller(&key).is_let_in().await.0,
        200,
        "another account cannot revoke it"
    );
    deployment
        .run(&["api-key", "revoke", &account.sid, &key.sid])
        .succeeded();
    deployment
        .run(&["api-key", "revoke", &account.sid, &key.sid])
        .refused(1, &["not found"]);
    service.stop();
}

#[tokio::test]
async fn reading_what_does_not_exist_fails_and_leaves_no_event() {
    let deployment = Deployment::migrated();
    deployment.create_account();
    let database = deployment.database().await;
    let known = database.events_after(0).await.len();
    for arguments in [["account", "show", NOBODY], ["api-key", "list", NOBODY]] {
        deployment
            .run(&arguments)
            .refused(1, &[NOBODY, "not found", "pushvault account list"]);
    }
    assert_eq!(database.events_after(known).await, []);
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2() {
    let deployment = Deployment::migrated();
    let too_short = &NOBODY[..33];
    let cases: [(&[&str], &str); 10] = [
        (&["account", "show", too_short], too_short),
        (&["account", "suspend", NO_KEY], NO_KEY),
        (
            &["account", "rotate-token", "AC00000000000000000000000000000BAD; x"],
            "BAD; x",
        ),
        (&["api-key", "create", "someone"], "someone"),
        (
            &["api-key", "create", NOBODY, "--rights", "credentials:read,everything"],
            "use one or more of credentials:read, credentials:write, audit:read, with commas between",
        ),
        (&["api-key", "create", NOBODY, "--rights", ""], "use one or more of"),
        (&["api-key", "revoke", NOBODY, NOBODY], NOBODY),
        (
            &["account", "rotate-token", NOBODY, "--finish", "--revoke-old"],
            "cannot be used with",
        ),
        (&["account", "list", "--format", "yaml"], "yaml"),
        (&["serve", "--listen", "everywhere"], "everywhere"),
    ];
    for (arguments, word) in cases {
        let refused = deployment.run(arguments).refused(2, &[word, "--help"]);
        assert_eq!(refused.stdout, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn a_name_that_is_too_long_is_refused_by_its_rule_and_leaves_one_event() {
    let deployment = Deployment::migrated();
    let account = deployment.create_account();
    let database = deployment.database().await;
    let name = "n".repeat(65);
    let deployment_itself = format!("AC{}", "0".repeat(32));
    let cases: [(&[&str], &str, &str); 2] = [
        (&["account", "create"], "account.create", &deployment_itself),
        (&["api-key", "create", &account.sid], "api_key.create", &account.sid),
    ];
    for (arguments, action, account_sid) in cases {
        let known = database.events_after(0).await.len();
        let arguments = [arguments, &["--friendly-name", &name]].concat();
        deployment.run(&arguments).refused(1, &["FriendlyName", "64"]);
        let expected = Event {
            account_sid: account_sid.to_owned(),
            actor_type: "operator".to_owned(),
            action: action.to_owned(),
            outcome: "failed".to_owned(),
            error_code: Some(20001),
            target_sid: None,
        };
        assert_eq!(database.events_after(known).await, [expected], "{arguments:?}");
    }
}
