//! What the operator's commands leave in the audit trail: every verb that there is, done and refused.

mod trial;

use std::collections::BTreeSet;

use super::support::Deployment;
use trial::{DONE, Outcome, Trial, told};

const NOBODY: &str = "AC00000000000000000000000000000bad";
const NO_EVENT: &str = "AE00000000000000000000000000000bad";
const NO_KEY: &str = "SK00000000000000000000000000000bad";

/// The verbs that change nothing, so that they leave nothing.
const READS: [&str; 14] = [
    "account list",
    "account show",
    "api-key list",
    "audit checkpoint",
    "audit export",
    "audit key",
    "audit prove",
    "audit verify",
    "config check",
    "healthcheck",
    "kek list",
    "kek verify",
    "recovery status",
    "recovery verify",
];

/// The verbs whose changes are none of a command, and why.
const OTHERS: [(&str, &str); 3] = [
    (
        "dev",
        "a service: what it makes at its first start has an event each, and the rest is asked for by HTTP",
    ),
    (
        "migrate",
        "the schema: _sqlx_migrations tells of it, and a new database has no table for events yet",
    ),
    (
        "serve",
        "a service: what it makes at its first start has an event, and the rest is asked for by HTTP",
    ),
];

const INVALID: Outcome = ("failed", Some(20001));
const UNKNOWN: Outcome = ("failed", Some(20404));
const BROKEN: Outcome = ("failed", Some(20500));
const NOT_NOW: Outcome = ("failed", Some(20412));

async fn accounts(trial: &mut Trial) -> String {
    let long = "n".repeat(65);
    let created = trial
        .leaves(&["account", "create", "--format", "json"], &[("account.create", DONE)])
        .await;
    let account = created.json()["account_sid"].as_str().unwrap().to_owned();
    trial
        .leaves(
            &["account", "create", "--friendly-name", &long],
            &[("account.create", INVALID)],
        )
        .await;
    for (verb, action) in [
        ("suspend", "account.suspend"),
        ("activate", "account.activate"),
        ("rotate-token", "account.rotate_token"),
    ] {
        trial.leaves(&["account", verb, &account], &[(action, DONE)]).await;
        trial.leaves(&["account", verb, NOBODY], &[(action, UNKNOWN)]).await;
    }
    for option in ["--finish", "--revoke-old"] {
        trial
            .leaves(
                &["account", "rotate-token", &account, option],
                &[("account.rotate_token", DONE)],
            )
            .await;
    }
    let service = trial.deployment.serve();
    let login = trial.json(&["account", "rotate-token", &account]);
    let caller = service.caller_with(&account, login["auth_token"].as_str().unwrap());
    caller.register("a-name").await;
    service.stop();
    // A batch of credentials and one old key.
    let rotated = [
        ("account.rotate_key", DONE),
        ("account.rewrap", DONE),
        ("account.destroy_key", DONE),
    ];
    trial.leaves(&["account", "rotate-key", &account], &rotated).await;
    trial
        .leaves(&["account", "rotate-key", NOBODY], &[("account.rotate_key", UNKNOWN)])
        .await;
    let key = trial
        .leaves(
            &["api-key", "create", &account, "--format", "json"],
            &[("api_key.create", DONE)],
        )
        .await;
    let key = key.json()["api_key_sid"].as_str().unwrap().to_owned();
    trial
        .leaves(&["api-key", "create", NOBODY], &[("api_key.create", UNKNOWN)])
        .await;
    trial
        .leaves(&["api-key", "revoke", &account, &key], &[("api_key.revoke", DONE)])
        .await;
    trial
        .leaves(&["api-key", "revoke", &account, NO_KEY], &[("api_key.revoke", UNKNOWN)])
        .await;
    account
}

async fn recovery(trial: &mut Trial) {
    let set_up = [("recovery.init", DONE), ("recovery.copy", DONE)];
    let init = trial.leaves(&["recovery", "init", "--format", "json"], &set_up).await;
    trial
        .deployment
        .write("old.key", init.json()["recovery_key"].as_str().unwrap(), 0o600);
    trial.leaves(&["recovery", "init"], &[("recovery.init", INVALID)]).await;
    let first = trial.json(&["recovery", "status"])["recipient"]
        .as_str()
        .unwrap()
        .to_owned();
    let replaced = [
        ("recovery.replace", DONE),
        ("recovery.copy", DONE),
        ("recovery.retire", DONE),
    ];
    let init = trial
        .leaves(&["recovery", "init", "--replace", "--format", "json"], &replaced)
        .await;
    trial
        .deployment
        .write("recovery.key", init.json()["recovery_key"].as_str().unwrap(), 0o600);
    trial
        .leaves(&["recovery", "destroy", &first], &[("recovery.destroy", DONE)])
        .await;
    trial
        .leaves(&["recovery", "destroy", &first], &[("recovery.destroy", INVALID)])
        .await;
}

async fn destruction(trial: &mut Trial, account: &str) {
    let destroy = ["account", "destroy", account, "--format", "json"];
    trial.leaves(&destroy, &[("account.destroy_preview", INVALID)]).await;
    trial.json(&["account", "suspend", account]);
    let preview = trial.leaves(&destroy, &[("account.destroy_preview", DONE)]).await;
    let code = preview.json()["confirm"].as_str().unwrap().to_owned();
    let confirm = |code| [&destroy[..], &["--confirm", code]].concat();
    trial
        .leaves(&confirm("000000000000"), &[("account.destroy", INVALID)])
        .await;
    let destroyed = [("account.destroy", DONE), ("account.destroy_statement", DONE)];
    trial.leaves(&confirm(&code), &destroyed).await;
    trial.leaves(&destroy, &[("account.destroy_statement", DONE)]).await;
}

async fn root_keys(trial: &mut Trial) {
    let id = |trial: &Trial, state: &str| {
        let keys = trial.json(&["kek", "list"]);
        let key = keys.as_array().unwrap().iter().find(|key| key["state"] == state);
        key.unwrap()["kek_id"].as_str().unwrap().to_owned()
    };
    let file = trial.file("new.key");
    trial.deployment.write("new.key", [9; 32], 0o600);
    trial.set("OTHER_KEK__FILE", "/nowhere/key");
    trial.leaves(&["kek", "add"], &[("root_key.add", BROKEN)]).await;
    trial.set("OTHER_KEK__FILE", &file);
    trial.leaves(&["kek", "add"], &[("root_key.add", DONE)]).await;
    // What is so already is not changed.
    trial.leaves(&["kek", "add"], &[]).await;
    let old = id(trial, "primary");
    trial.leaves(&["kek", "rotate"], &[("root_key.rotate", DONE)]).await;
    trial.leaves(&["kek", "rotate"], &[("root_key.rotate", NOT_NOW)]).await;
    trial
        .leaves(&["kek", "retire", &old], &[("root_key.retire", NOT_NOW)])
        .await;
    trial
        .database
        .execute("select pg_advisory_lock(8103509996838677363)")
        .await;
    trial.leaves(&["kek", "rewrap"], &[("root_key.rewrap", NOT_NOW)]).await;
    trial
        .database
        .execute("select pg_advisory_unlock(8103509996838677363)")
        .await;
    let rewrapped = [("root_key.rewrap", DONE), ("signing_key.rewrap", DONE)];
    trial.leaves(&["kek", "rewrap"], &rewrapped).await;
    trial
        .leaves(&["kek", "destroy", &old], &[("root_key.destroy", NOT_NOW)])
        .await;
    trial
        .leaves(&["kek", "retire", &old], &[("root_key.retire", DONE)])
        .await;
    trial.set("OTHER_KEK__FILE", "");
    trial.set("KEK__FILE", &file);
    trial
        .leaves(&["kek", "destroy", &old], &[("root_key.destroy", DONE)])
        .await;
}

/// The root key is lost, and another one takes its place.
async fn restoration(trial: &mut Trial) {
    let [third, old, new, public] = ["third.key", "old.key", "recovery.key", "public"].map(|name| trial.file(name));
    trial.deployment.write("third.key", [5; 32], 0o600);
    trial.set("KEK__FILE", &third);
    // A key that cannot be read is a command line that cannot be read.
    trial.deployment.write("public", "age1", 0o600);
    trial
        .leaves_nothing(&["recovery", "restore", "--key-file", &public])
        .await;
    trial
        .leaves(
            &["recovery", "restore", "--key-file", &old],
            &[("recovery.restore", INVALID)],
        )
        .await;
    let restored = [
        ("recovery.restore", DONE),
        ("recovery.rewrap", DONE),
        ("recovery.finish", DONE),
    ];
    trial
        .leaves(&["recovery", "restore", "--key-file", &new], &restored)
        .await;
}

/// What is pruned is gone; the last of it is the event that tells of it.
async fn pruning(trial: &mut Trial) {
    let prune = |before| ["audit", "prune", "--before", before];
    trial.leaves(&prune("1970-01-01"), &[("audit.prune", NOT_NOW)]).await;
    let events = trial.database.events_after(0).await.len();
    let ended = trial.ends(&prune("2999-01-01"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(told(&ended), ["audit.prune"], "the log tells of it once");
    let left = trial.database.events_after(0).await;
    assert_eq!(left.len(), 1, "{left:?}, of {events}");
    assert_eq!(
        (left[0].action.as_str(), left[0].outcome.as_str()),
        ("audit.prune", "success")
    );
}

async fn reads(trial: &mut Trial, account: &str) {
    let key = trial.file("recovery.key");
    for arguments in [
        &["account", "list"][..],
        &["account", "show", account],
        &["account", "show", NOBODY],
        &["api-key", "list", account],
        &["api-key", "list", NOBODY],
        &["audit", "checkpoint"],
        &["audit", "export"],
        &["audit", "key"],
        &["audit", "prove", NO_EVENT],
        &["audit", "verify"],
        &["config", "check"],
        &["healthcheck"],
        &["kek", "list"],
        &["kek", "verify"],
        &["recovery", "status"],
        &["recovery", "verify", "--key-file", &key],
        &["recovery", "verify", "--key-file", "/nowhere/key"],
        &["migrate"],
    ] {
        trial.leaves_nothing(arguments).await;
    }
}

#[tokio::test]
async fn every_verb_leaves_its_events_done_and_refused_and_what_reads_leaves_none() {
    let mut trial = Trial::on(Deployment::migrated()).await;
    trial
        .leaves(
            &["account", "create"],
            &[("root_key.register", DONE), ("account.create", DONE)],
        )
        .await;

    let account = accounts(&mut trial).await;
    recovery(&mut trial).await;
    destruction(&mut trial, &account).await;
    root_keys(&mut trial).await;
    restoration(&mut trial).await;
    reads(&mut trial, &account).await;
    pruning(&mut trial).await;

    let others = OTHERS.map(|(verb, _)| verb.to_owned());
    let reads = READS.map(str::to_owned);
    let tried: BTreeSet<_> = trial.seen.keys().cloned().chain(others.clone()).collect();
    assert_eq!(tried, trial.verbs, "every verb is tried, or has a reason why it is not");
    for (verb, ends) in &trial.seen {
        let changes = !reads.contains(verb) && !others.contains(verb);
        assert!(
            !changes || ends.len() == 2,
            "{verb} came to success alone or to refusal alone"
        );
    }
}
