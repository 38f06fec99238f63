//! What `deploy/` names exists: settings, metrics, runbooks. Whether its files are well formed, `.ci/deploy-checks` says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::papers::default_keys;
use crate::source::{read, root};

/// The words of a text that begin with `start`, up to the first character that is no letter, digit or underscore.
fn words(text: &str, start: &str) -> BTreeSet<String> {
    text.split(|character: char| !(character.is_ascii_alphanumeric() || "_:".contains(character)))
        .filter(|word| word.starts_with(start))
        .map(str::to_owned)
        .collect()
}

/// The text of every file under a folder.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path.display().to_string(), text));
        }
    }
    found
}

#[test]
fn every_setting_that_deploy_gives_exists() {
    let keys = default_keys();
    let mut given = 0;
    let mut texts = texts(&root().join("deploy"));
    texts.push(("docker-compose.yml".to_owned(), read("docker-compose.yml")));
    for (path, text) in texts {
        for word in words(&text, "PUSHVAULT__") {
            // In a Compose file the colon belongs to YAML.
            let name = word.trim_start_matches("PUSHVAULT__").trim_end_matches(':');
            let key = name.replace("__", ".").to_lowercase();
            assert!(
                keys.contains(&key),
                "{path} gives {word}, and there is no setting {key}"
            );
            given += 1;
        }
    }
    assert!(given > 20, "deploy gives {given} settings");
}

#[test]
fn every_setting_of_the_example_for_systemd_exists() {
    let keys = default_keys();
    let example = read("deploy/systemd/pushvault.toml");
    let mut section = "";
    for line in example.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            assert!(
                keys.contains(&format!("{section}.{key}")),
                "there is no setting {section}.{key}"
            );
        }
    }
}

#[test]
fn every_metric_that_alerts_and_board_ask_for_is_in_the_list() {
    let listed: BTreeSet<String> = read("docs/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| words(row, "pushvault_").into_iter().next())
        .collect();
    assert!(listed.len() > 20, "docs/metrics.md lists {} metrics", listed.len());
    for path in [
        "deploy/prometheus/alerts.yaml",
        "deploy/prometheus/alerts_test.yaml",
        "deploy/grafana/pushvault.json",
    ] {
        let asked = words(&read(path), "pushvault_");
        assert!(asked.len() > 10, "{path} asks for {} metrics", asked.len());
        for metric in asked {
            let histogram = ["_bucket", "_sum", "_count"]
                .into_iter()
                .find_map(|suffix| metric.strip_suffix(suffix));
            assert!(
                listed.contains(&metric) || histogram.is_some_and(|name| listed.contains(name)),
                "{path} asks for {metric}, and docs/metrics.md does not have it"
            );
        }
    }
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|character| character.is_alphanumeric() || " -_".contains(*character))
        .map(|character| if character == ' ' { '-' } else { character })
        .collect()
}

#[test]
fn every_alert_leads_to_a_runbook_that_exists() {
    let anchors: BTreeSet<String> = read("docs/operations.md")
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(anchor)
        .collect();
    let alerts = read("deploy/prometheus/alerts.yaml");
    let runbooks: Vec<&str> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("runbook_url: docs/operations.md#"))
        .collect();
    assert_eq!(runbooks.len(), alerts.matches("- alert: ").count());
    for runbook in runbooks {
        assert!(
            anchors.contains(runbook),
            "docs/operations.md has no section #{runbook}"
        );
    }
}

/// The first number that stands behind `mark`.
fn number_behind(text: &str, mark: &str) -> Option<u64> {
    let digits = text.split_once(mark)?.1;
    digits
        .split(|character: char| !character.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[test]
fn whatever_stops_the_vault_waits_until_requests_under_way_are_finished() {
    let defaults = read("config/default.toml");
    let needed: u64 = ["drain_seconds = ", "shutdown_timeout_seconds = "]
        .map(|key| number_behind(&defaults, key).unwrap())
        .into_iter()
        .sum();
    // What goes on before is of other services. Kubernetes has its own sum, in .ci/deploy/check_manifests.py.
    for (path, begin, mark) in [
        (
            "docker-compose.yml",
            "command: [\"serve\"]",
            "\n    stop_grace_period: ",
        ),
        (
            "deploy/replicas/docker-compose.yml",
            "command: [\"serve\"]",
            "\n  stop_grace_period: ",
        ),
        ("deploy/systemd/pushvault.service", "[Service]", "\nTimeoutStopSec="),
    ] {
        let text = read(path);
        let given = text
            .split_once(begin)
            .and_then(|(_, service)| number_behind(service, mark));
        assert!(
            given.is_some_and(|seconds| seconds > needed),
            "{path} gives the vault {given:?} seconds to stop, and it may take {needed}"
        );
    }
}
