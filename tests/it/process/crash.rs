//! The crash test: writers at work, `kill -9` in the middle, and nothing that was acknowledged is missing afterwards.
//!
//! Each round starts the vault on the data of the round before, lets the writers write, kills at a moment drawn from
//! the seed, starts again and holds what is in the database against what the writers were told and against itself. A round may kill the vault alone, or Postgres and its supervisor with it, at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::load::{Evidence, Progress, Random, Story, Writer, tell};
use super::support::{DataDirectory, DevVault, Signal, wait_for};

const WRITERS: usize = 8;

/// Who is killed at the end of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victims {
    Vault,
    Everybody,
}

const ROUNDS: [Victims; 4] = [Victims::Vault, Victims::Everybody, Victims::Vault, Victims::Everybody];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_and_no_event_stands_without_its_change() {
    let mut random = Random::seeded();
    let directory = DataDirectory::new();
    let mut stories = Vec::new();
    let mut vault = DevVault::start(&directory);
    for (round, victims) in ROUNDS.into_iter().enumerate() {
        let told = write_and_kill(round, victims, vault, &directory, &mut random, &mut stories).await;
        vault = DevVault::start(&directory);
        let evidence = Evidence::collect(&directory.database().await, &directory.join("root.key")).await;
        evidence.agrees_with_itself();
        let done = evidence.settle(&mut stories);
        tell(&format!("round {round}: {done} of what was in doubt had been done"));
        assert_eq!(
            told.difference(&evidence.event_sids()).next(),
            None,
            "the log tells of no such event"
        );
        let report = directory.operate(&["kek", "verify"]).succeeded().json();
        assert_eq!(report["findings"], Value::Array(Vec::new()));
        assert_eq!(report["opened"], evidence.versions());
    }
    let steps: usize = stories.iter().map(Story::steps).sum();
    tell(&format!("{} credentials, {steps} steps", stories.len()));
    vault.stop(Signal::Interrupt, &directory);
}

/// Lets the writers write and kills in the middle of it. Returns the events that the vault's log told of.
async fn write_and_kill(
    round: usize,
    victims: Victims,
    mut vault: DevVault,
    directory: &DataDirectory,
    random: &mut Random,
    stories: &mut Vec<Story>,
) -> BTreeSet<String> {
    let progress = Arc::new(Progress::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let writer = Writer::new(
                vec![vault.environment.caller()],
                format!("round-{round}-writer-{number}"),
                random.another(),
                Arc::clone(&progress),
            );
            tokio::spawn(writer.write())
        })
        .collect();

    let goal = 40 + random.below(160);
    wait_for("acknowledged steps", || (progress.acknowledged() >= goal).then_some(()));
    // A writer is somewhere between a request and its answer, and this decides where.
    tokio::time::sleep(Duration::from_micros(u64::try_from(random.below(5000)).unwrap())).await;
    let mut processes = vec![vault.program.id()];
    if victims == Victims::Everybody {
        let postgres = directory.postgres();
        let is_there = |name: &str| postgres.iter().any(|process| process.command_line.contains(name));
        assert!(
            is_there("pushvault-postgres") && is_there("bin/postgres"),
            "{postgres:?}"
        );
        processes.extend(postgres.iter().map(|process| process.id));
    }
    Signal::Kill.send(&processes);
    vault.program.wait();

    let mut in_doubt = 0;
    for writer in writers {
        let written = writer.await.unwrap().stories;
        in_doubt += written.iter().filter(|story| story.is_in_doubt()).count();
        stories.extend(written);
    }
    tell(&format!(
        "round {round}, {victims:?}: killed after {goal} steps, {in_doubt} in doubt"
    ));
    events_in(&vault.program.stderr())
}

/// The SIDs of the audit events that a log tells of. The last line may have been cut off.
fn events_in(log: &str) -> BTreeSet<String> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["target"] == "audit")
        .map(|line| line["event.id"].as_str().unwrap().to_owned())
        .collect()
}
