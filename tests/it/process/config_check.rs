//! `pushvault config check`: every setting that there is, and no secret.

use std::collections::BTreeMap;

use super::support::Deployment;

const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// The keys of the settings file, with their section.
fn known_keys() -> Vec<String> {
    let mut section = "";
    let mut keys = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.push(format!("{section}.{key}"));
        }
    }
    keys.sort();
    keys
}

#[test]
fn it_prints_every_key_in_both_formats_and_no_secret() {
    let deployment = Deployment::empty()
        .with("KEK__PASSPHRASE", "canary-passphrase")
        .with("KEK__PASSPHRASE_MEMORY_KIB", "12345");
    deployment.keep("canary");
    let document = deployment.json(&["config", "check"]);
    let printed: Vec<_> = document.as_object().unwrap().keys().cloned().collect();
    assert_eq!(printed, known_keys());
    assert_eq!(document["kek.passphrase"], "[redacted]");
    assert_eq!(document["database.url"], "[redacted]");
    assert_eq!(document["kek.passphrase_memory_kib"], "12345");
    assert_eq!(document["kek.file"], deployment.setting("KEK__FILE"));
    assert_eq!(document["limits.body_bytes"], "262144");

    let text = deployment.run(&["config", "check"]).succeeded().stdout;
    let lines: BTreeMap<_, _> = text.lines().map(|line| line.split_once(": ").unwrap()).collect();
    assert_eq!(lines.len(), known_keys().len());
    for (key, value) in document.as_object().unwrap() {
        assert_eq!(lines[key.as_str()], value.as_str().unwrap(), "{key}");
    }
}

#[test]
fn a_wrong_setting_is_refused_here_as_at_the_start() {
    let deployment = Deployment::empty().with("SERVER__LISTEN", "canary-of-an-address");
    deployment.keep("canary");
    deployment
        .run(&["config", "check"])
        .refused(1, &["server.listen", "127.0.0.1:8080"]);
    let deployment = Deployment::empty().with("DATABASE__MAX_CONNECTIONS", "canary-of-a-number");
    deployment.keep("canary");
    deployment.run(&["config", "check"]).refused(1, &["max_connections"]);
}
