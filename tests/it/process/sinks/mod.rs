//! Where audit events go besides the audit trail: the log, a file, a collector. Each may be blocked, full or away, and that
//! costs its own lines and nothing else.

mod collector;
mod file;
mod stream;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::support::{Caller, Database, Deployment, Login, Service, wait_for};
use crate::harness::{Collector, Manner};

/// A metric of a service, by its name with labels.
async fn metric(service: &Service<'_>, name: &str) -> u64 {
    let text = metrics(service.admin.as_ref().expect("an admin listener")).await;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

async fn metrics(address: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{address}/metrics")).send().await.unwrap();
    answer.text().await.unwrap()
}

/// The audit events in a text of one JSON object a line.
fn events_in(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .filter(|line| line["target"] == "audit")
        .collect()
}

fn ids(events: &[Value]) -> BTreeSet<String> {
    let of = |event: &Value| event["event.id"].as_str().unwrap().to_owned();
    let ids: BTreeSet<_> = events.iter().map(of).collect();
    assert_eq!(ids.len(), events.len(), "an event was told twice");
    ids
}

/// The events in the audit trail.
async fn recorded(database: &Database) -> BTreeSet<String> {
    let rows: Vec<(String,)> = database.rows("select event_sid from audit_events").await;
    rows.into_iter().map(|(sid,)| sid).collect()
}

/// A deployment whose audit events go to a file in its own directory.
fn with_file(deployment: Deployment) -> Deployment {
    let path = deployment.path().join("audit.jsonl");
    deployment
        .with("AUDIT__FILE", path.to_str().unwrap())
        .with("AUDIT__FILE_ROTATION", "never")
}

fn file_of(deployment: &Deployment) -> String {
    fs::read_to_string(deployment.setting("AUDIT__FILE")).unwrap_or_default()
}

/// Changes credentials so many times.
async fn change(caller: &Caller, times: usize) {
    let sid = caller.register("a-name").await;
    let path = format!("/v2/Credentials/{sid}");
    for number in 0..times {
        let name = format!("name {number}");
        let form = [("FriendlyName", name.as_str())];
        assert_eq!(caller.post(&path, &form).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn every_event_goes_to_every_place_once_commands_too_and_a_stop_loses_none() {
    let collector = Collector::start(Manner::Takes);
    let deployment = with_file(Deployment::migrated()).with("AUDIT__OTLP_ENDPOINT", &collector.endpoint);
    let account = deployment.create_account();
    let service = deployment.serve();
    change(&service.caller(&account), 50).await;
    let stranger = Login {
        sid: account.sid.clone(),
        secret: "wrong-canary".to_owned(),
    };
    deployment.keep("wrong-canary");
    let refused = service.caller(&stranger).create(&[("Type", "fcm")]).await;
    assert_eq!(refused.status, 401);

    let printed = service.stop();

    let database = deployment.database().await;
    let recorded = recorded(&database).await;
    let file = file_of(&deployment);
    assert_eq!(ids(&events_in(&file)), recorded, "the file");
    let records = collector.records();
    let told: BTreeSet<_> = records
        .iter()
        .map(|record| record.attributes["event.id"].clone())
        .collect();
    assert_eq!(
        (told, records.len()),
        (recorded.clone(), recorded.len()),
        "the collector"
    );
    let logged = ids(&events_in(&printed));
    let by_commands: Vec<_> = recorded.difference(&logged).collect();
    assert_eq!(
        by_commands.len(),
        2,
        "root_key.register and account.create are told where the command ran"
    );
    deployment.assert_kept(&file);
    deployment.assert_kept(&String::from_utf8_lossy(&collector.bytes()));
}

#[tokio::test]
async fn what_else_is_logged_does_not_decide_about_the_file() {
    let deployment = with_file(Deployment::migrated())
        .with("AUDIT__LOG", "false")
        .with("LOG__FORMAT", "text");
    let account = deployment.create_account();
    let mut command = deployment.command(&["serve"]);
    command
        .env("PUSHVAULT__LOG__FILTER", "info,audit=off")
        .env("PUSHVAULT__LOG__FORMAT", "json");
    let service = deployment.start(command);
    change(&service.caller(&account), 3).await;
    let printed = service.stop();
    assert!(events_in(&printed).is_empty());
    assert_eq!(
        ids(&events_in(&file_of(&deployment))),
        recorded(&deployment.database().await).await
    );

    let said = deployment.run(&["account", "suspend", &account.sid]).succeeded();
    assert!(!said.stderr.contains("account.suspend"), "{}", said.stderr);
    assert!(file_of(&deployment).contains("account.suspend"));
}

#[tokio::test]
async fn a_level_does_not_silence_what_is_told_of_changes_and_of_the_trail() {
    let deployment = Deployment::migrated().with("LOG__FILTER", "warn,pushvault=info");
    let account = deployment.create_account();
    let service = deployment.serve();
    change(&service.caller(&account), 3).await;
    let printed = service.stop();
    let recorded = recorded(&deployment.database().await).await;
    assert_eq!(
        ids(&events_in(&printed)).len(),
        recorded.len() - 2,
        "root_key.register and account.create are told where the command ran"
    );
    assert!(printed.contains(r#""target":"checkpoint""#), "{printed}");
    assert!(!printed.contains(r#""target":"access""#), "{printed}");
}

#[test]
fn a_command_that_only_reads_makes_no_file() {
    let deployment = with_file(Deployment::migrated());
    let account = Deployment::create_account(&deployment);
    fs::remove_file(deployment.setting("AUDIT__FILE")).unwrap();
    deployment.json(&["account", "list"]);
    assert!(!fs::exists(deployment.setting("AUDIT__FILE")).unwrap());
    deployment.json(&["account", "suspend", &account.sid]);
    assert_eq!(events_in(&file_of(&deployment)).len(), 1);
}

/// Waits until the log of a service says that a place does not take its lines.
fn wait_until_told(service: &mut Service<'_>, sink: &str) -> Value {
    service.program.wait_for("the loss to be told", |program| {
        let log = program.stdout();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["sink"] == sink)
    })
}

/// Waits until a file has that many events.
fn wait_for_events(deployment: &Deployment, count: usize) {
    wait_for("the events in the file", || {
        (file_of(deployment).lines().count() >= count).then_some(())
    });
}
