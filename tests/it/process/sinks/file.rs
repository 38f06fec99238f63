//! A file of audit events: when it cannot be opened, when its disk is full, when its day is over.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use time::OffsetDateTime;

use super::{change, events_in, ids, metric, recorded, wait_for_events, wait_until_told, with_file};
use crate::process::faults::Clock;
use crate::process::support::{Deployment, clean, wait_for, wait_until, we_are_root, wrapped};

const HOUR: i64 = 3600;

const LOST: &str = "pushvault_log_lines_lost_total{sink=\"audit_file\"}";

/// Runs a program where a file system of that size is mounted that nobody else sees.
fn on_a_small_disk(command: &Command, directory: &str, kilobytes: usize) -> Command {
    let mut unshare = clean(Command::new("unshare"));
    if !we_are_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let script = format!(r#"mount -t tmpfs -o size={kilobytes}k tmpfs "$1"; shift; exec "$@""#);
    unshare.args(["--mount", "sh", "-c", &format!("set -eu; {script}"), "sh", directory]);
    wrapped(unshare, command)
}

fn whole_lines(text: &str) -> usize {
    let is_whole = |line: &&str| serde_json::from_str::<Value>(line).is_ok();
    text.lines().filter(is_whole).count()
}

#[tokio::test]
async fn a_full_disk_costs_lines_of_the_file_and_it_goes_on_when_there_is_room() {
    let deployment = Deployment::migrated();
    let directory = deployment.path().join("small");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("audit.jsonl");
    let account = deployment.create_account();
    let deployment = deployment
        .with("AUDIT__FILE", path.to_str().unwrap())
        .with("AUDIT__FILE_ROTATION", "never")
        .with("ADMIN__LISTEN", "127.0.0.1:0");
    let command = on_a_small_disk(&deployment.command(&["serve"]), directory.to_str().unwrap(), 16);
    let mut service = deployment.start(command);
    let caller = service.caller(&account);
    let seen = PathBuf::from(format!("/proc/{}/root{}", service.program.id(), path.display()));

    change(&caller, 60).await;

    let told = wait_until_told(&mut service, "audit_file");
    let cause = told["cause"].as_str().unwrap();
    assert!(cause.contains("No space left"), "{cause}");
    assert!(metric(&service, LOST).await > 0);
    // What is told waits in a queue: each event is a line in the end, or lost.
    let read = || fs::read_to_string(&seen).unwrap();
    let accounted = async |earlier: usize| {
        let lost = usize::try_from(metric(&service, LOST).await).unwrap();
        earlier + whole_lines(&read()) + lost
    };
    wait_until("every event is in the file or lost", async || {
        accounted(0).await == 1 + 60
    })
    .await;

    // Somebody makes room.
    let whole = read();
    OpenOptions::new().write(true).truncate(true).open(&seen).unwrap();
    change(&caller, 5).await;
    let (before, updates) = (whole_lines(&whole), 1 + 60 + 1 + 5);
    wait_until("every event is in one of the two or lost", async || {
        accounted(before).await == updates
    })
    .await;

    // The line in the middle of which the disk was full is ended, and spoils no other.
    assert!(whole.lines().count() - before <= 1, "{whole}");
    let after = events_in(read().trim_start());
    assert!(!after.is_empty());
    deployment.assert_kept(&whole);
    service.stop();
    let recorded = recorded(&deployment.database().await).await;
    assert!(ids(&after).is_subset(&recorded));
    assert_eq!(recorded.len(), 2 + updates, "the audit trail has all of them");
}

#[test]
fn a_file_that_cannot_be_opened_is_refused_at_the_start_and_keeps_no_command() {
    let deployment = Deployment::migrated();
    let account = deployment.create_account();
    // A file is no directory, for root neither.
    let path = deployment.path().join("root.key/audit.jsonl");
    let deployment = deployment.with("AUDIT__FILE", path.to_str().unwrap());
    deployment
        .run(&["serve"])
        .refused(1, &["audit.file", "root.key/audit.jsonl", "File exists"]);
    let said = deployment.run(&["account", "suspend", &account.sid]).succeeded();
    for word in ["account.suspend", "audit_file", "File exists"] {
        assert!(said.stderr.contains(word), "{}", said.stderr);
    }
}

#[tokio::test]
async fn another_file_is_begun_every_hour_and_the_oldest_are_removed() {
    let clock = Clock::new();
    let mut deployment = with_file(Deployment::migrated())
        .with("AUDIT__FILE_ROTATION", "hourly")
        .with("AUDIT__FILE_KEEP", "2");
    let account = deployment.create_account();
    for (name, value) in clock.variables() {
        deployment = deployment.with_variable(name, &value);
    }
    let files = || {
        let entries = fs::read_dir(deployment.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries
            .filter(|path| path.to_string_lossy().contains("audit.jsonl."))
            .collect();
        files.sort();
        files
    };
    // Always a minute past the hour, so that no hour is over before its time.
    let past_the_hour = HOUR - OffsetDateTime::now_utc().unix_timestamp() % HOUR + 60;
    clock.jump(past_the_hour);
    let service = deployment.serve();
    let caller = service.caller(&account);
    let mut begun = Vec::new();
    for hour in 1..=4 {
        clock.jump(past_the_hour + hour * HOUR);
        caller.register("a-name").await;
        begun.push(wait_for("the file of the hour", || {
            let newest = files().pop()?;
            (!begun.contains(&newest) && !fs::read_to_string(&newest).unwrap().is_empty()).then_some(newest)
        }));
    }
    service.stop();
    assert_eq!(files(), begun[1..], "two, and the one that is being written");
    deployment.serve().stop();
    assert_eq!(files(), begun[2..], "a restart removes none of the two");
    deployment.serve().stop();
    assert_eq!(files(), begun[2..], "and another one neither");
    for file in files() {
        assert_eq!(events_in(&fs::read_to_string(file).unwrap()).len(), 1);
    }
}

#[tokio::test]
async fn a_file_that_was_moved_away_costs_nothing_that_was_told_before() {
    // Others rotate by moving files: what is open stays open, and a restart begins a new one.
    let deployment = with_file(Deployment::migrated());
    let account = deployment.create_account();
    let service = deployment.serve();
    change(&service.caller(&account), 2).await;
    wait_for_events(&deployment, 5);
    let moved = deployment.path().join("moved");
    fs::rename(deployment.setting("AUDIT__FILE"), &moved).unwrap();
    change(&service.caller(&account), 2).await;
    service.stop();
    assert_eq!(events_in(&fs::read_to_string(moved).unwrap()).len(), 2 + 3 + 3);
}
