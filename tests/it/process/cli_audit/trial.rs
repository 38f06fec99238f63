//! Running a command, and looking at what it leaves in the audit trail and in its log.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::process::support::{Database, Deployment, Ended, pushvault, run};

/// What an event says of how it went.
pub(super) type Outcome = (&'static str, Option<i32>);

pub(super) const DONE: Outcome = ("success", None);
/// A deployment on which the verbs are tried one after the other.
pub(super) struct Trial {
    pub(super) deployment: Deployment,
    settings: BTreeMap<String, String>,
    pub(super) database: Database,
    pub(super) verbs: BTreeSet<String>,
    /// For each verb that was tried, whether it came to success and to refusal.
    pub(super) seen: BTreeMap<String, BTreeSet<bool>>,
}

impl Trial {
    pub(super) async fn on(deployment: Deployment) -> Self {
        Self {
            database: deployment.database().await,
            deployment,
            settings: BTreeMap::new(),
            verbs: verbs(&[]),
            seen: BTreeMap::new(),
        }
    }

    /// The verb of a command line.
    fn verb_of(&self, arguments: &[&str]) -> String {
        let mut names = (1..=2)
            .rev()
            .map(|words| arguments[..words.min(arguments.len())].join(" "));
        names
            .find(|name| self.verbs.contains(name))
            .expect("a verb that there is")
    }

    /// Runs a command, and insists on the events that it leaves and on the same ones in its log.
    pub(super) async fn leaves(&mut self, arguments: &[&str], events: &[(&str, Outcome)]) -> Ended {
        let known = self.database.events_after(0).await.len();
        let ended = run(self.command(arguments));
        let left = self.database.events_after(known).await;
        let found: Vec<_> = left
            .iter()
            .map(|event| (event.action.as_str(), (event.outcome.as_str(), event.error_code)))
            .collect();
        assert_eq!(found, events, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        assert!(left.iter().all(|event| event.actor_type == "operator"), "{left:?}");
        let actions: Vec<_> = found.iter().map(|(action, _)| *action).collect();
        assert_eq!(told(&ended), actions, "{arguments:?}: the log tells of each once");
        let succeeded = ended.code == Some(0);
        assert!(
            succeeded || events.iter().any(|(_, outcome)| *outcome != DONE),
            "{}",
            ended.stderr
        );
        self.seen.entry(self.verb_of(arguments)).or_default().insert(succeeded);
        ended
    }

    /// Runs a command; what it leaves is looked at elsewhere.
    pub(super) fn ends(&mut self, arguments: &[&str]) -> Ended {
        let ended = run(self.command(arguments));
        let succeeded = ended.code == Some(0);
        self.seen.entry(self.verb_of(arguments)).or_default().insert(succeeded);
        ended
    }

    /// Runs a command that reads, however it ends.
    pub(super) async fn leaves_nothing(&mut self, arguments: &[&str]) {
        let known = self.database.events_after(0).await.len();
        let ended = run(self.command(arguments));
        assert_eq!(
            self.database.events_after(known).await,
            [],
            "{arguments:?}: {}",
            ended.stderr
        );
        self.seen.entry(self.verb_of(arguments)).or_default();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.deployment.command(arguments);
        command.envs(&self.settings);
        command
    }

    /// Sets a setting for the commands to come.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(format!("PUSHVAULT__{name}"), value.to_owned());
    }

    /// A file of the deployment's directory.
    pub(super) fn file(&self, name: &str) -> String {
        self.deployment.path().join(name).to_str().unwrap().to_owned()
    }

    /// What a command prints, one that is not of interest here.
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        run(self.command(&[arguments, &["--format", "json"]].concat()))
            .succeeded()
            .json()
    }
}

/// The events that a command's log tells of.
pub(super) fn told(ended: &Ended) -> Vec<String> {
    let lines = ended.stderr.lines();
    lines
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["target"] == "audit")
        .map(|line| line["event.action"].as_str().unwrap().to_owned())
        .collect()
}

/// Every verb of the command line, as its own help lists them.
fn verbs(path: &[&str]) -> BTreeSet<String> {
    let mut command = pushvault();
    let help = run({
        command.args(path).arg("--help");
        command
    });
    let Some((_, list)) = help.stdout.split_once("\nCommands:\n") else {
        return BTreeSet::from([path.join(" ")]);
    };
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names
        .filter(|name| !name.is_empty() && *name != "help")
        .flat_map(|name| verbs(&[path, &[name]].concat()))
        .collect()
}
