//! Who may import whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::LAYERS;
use crate::source::{SourceFile, count_in, files, named_paths, read};

#[test]
fn imports_go_down_only() {
    let table: BTreeMap<_, _> = LAYERS.into_iter().collect();
    let mut seen = BTreeSet::new();
    for file in files("src") {
        let Some(layer) = file.module().first().cloned() else {
            continue;
        };
        let allowed = table
            .get(layer.as_str())
            .unwrap_or_else(|| panic!("{}: layer {layer} is not in the table", file.path));
        for path in named_paths(&file) {
            if let [root, other, ..] = path.as_slice()
                && root == "crate"
                && *other != layer
                && table.contains_key(other.as_str())
            {
                assert!(
                    allowed.contains(&other.as_str()),
                    "{}: {layer} may not import {other}",
                    file.path
                );
                seen.insert((layer.clone(), other.clone()));
            }
        }
    }
    for (layer, allowed) in LAYERS {
        for other in allowed {
            assert!(
                seen.contains(&(layer.to_owned(), (*other).to_owned())),
                "{layer} no longer imports {other}: take the edge out of the table"
            );
        }
    }
}

#[test]
fn no_two_files_import_each_other_in_a_circle() {
    let sources = files("src");
    let by_module: BTreeMap<Vec<String>, &SourceFile> = sources
        .iter()
        .filter(|file| file.path != "src/main.rs")
        .map(|file| (file.module(), file))
        .collect();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, file) in &by_module {
        for path in named_paths(file) {
            // A path from the root, or one that begins with a child module.
            let candidates = match path.split_first() {
                Some((root, rest)) if root == "crate" => vec![rest.to_vec()],
                _ => vec![[module.as_slice(), path.as_slice()].concat()],
            };
            for candidate in candidates {
                let target = (1..=candidate.len())
                    .rev()
                    .find_map(|length| by_module.get(&candidate[..length]))
                    .filter(|target| target.path != file.path);
                if let Some(target) = target {
                    edges.entry(&file.path).or_default().insert(&target.path);
                }
            }
        }
    }
    assert!(edges.len() > 20, "the files' imports were not found");
    for start in edges.keys() {
        if let Some(circle) = circle_through(start, &edges) {
            panic!("files import each other in a circle: {}", circle.join(" -> "));
        }
    }
}

/// The shortest way from a file back to itself.
fn circle_through<'a>(start: &'a str, edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut reached = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in edges.get(way.last()?).into_iter().flatten() {
            let longer = [way.as_slice(), &[next]].concat();
            if *next == start {
                return Some(longer);
            }
            if reached.insert(*next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

#[test]
fn a_foreign_crate_is_named_in_its_own_layer_alone() {
    let places: [(&str, &[&str]); 11] = [
        ("sqlx", &["src/store/"]),
        ("actix_web", &["src/http/"]),
        ("clap", &["src/cli/"]),
        (
            "x509_parser",
            &[
                "src/domain/finding.rs",
                "src/domain/pem.rs",
                "src/domain/public_key.rs",
                "src/tls/files.rs",
            ],
        ),
        ("prometheus_client", &["src/metrics/"]),
        ("tokio_rustls", &["src/tls/", "src/http/transport.rs"]),
        ("tracing_subscriber", &["src/telemetry.rs", "src/telemetry/records.rs"]),
        ("tracing_appender", &["src/telemetry.rs", "src/telemetry/lines.rs"]),
        ("opentelemetry", &["src/telemetry/"]),
        ("opentelemetry_proto", &["src/telemetry/"]),
        ("opentelemetry_sdk", &["src/telemetry/"]),
    ];
    for file in files("src") {
        for path in named_paths(&file) {
            for (name, allowed) in places {
                if path.len() > 1 && path[0] == name {
                    assert!(
                        allowed.iter().any(|place| file.path.starts_with(place)) || file.path == "src/lib.rs",
                        "{} names {name}",
                        file.path
                    );
                }
            }
        }
    }
}

#[test]
fn ciphers_and_password_hashes_are_in_the_kernel_alone() {
    let manifest = read("Cargo.toml");
    for name in [
        "aes-gcm",
        "argon2",
        "chacha20poly1305",
        "ed25519-dalek",
        "hkdf",
        "hmac",
        "sha2",
        "x25519-dalek",
    ] {
        assert!(
            !manifest.lines().any(|line| line.starts_with(&format!("{name} ="))),
            "the root package depends on {name}"
        );
        assert!(
            read("crates/pushvault-crypto/Cargo.toml")
                .lines()
                .any(|line| line.starts_with(&format!("{name} ="))),
            "the kernel no longer depends on {name}"
        );
    }
}

#[test]
fn the_kernel_does_no_io_and_knows_no_time() {
    for file in files("crates/pushvault-crypto/src") {
        for path in named_paths(&file) {
            let path = path.join("::");
            for forbidden in [
                "std::fs",
                "std::net",
                "std::env",
                "std::io",
                "std::time",
                "std::process",
                "tokio",
                "serde",
            ] {
                assert!(!path.starts_with(forbidden), "{} names {path}", file.path);
            }
        }
    }
}

#[test]
fn environment_clock_and_randomness_have_one_place_each() {
    let places: [(&str, &[&str]); 5] = [
        ("std::env", &["src/cli/", "src/config/", "src/dev/cluster/machine.rs"]),
        ("SystemTime", &[]),
        (
            "now_utc",
            &[
                "src/metrics/process.rs",
                "src/service/clock.rs",
                "src/service/validation.rs",
                "src/store/audit.rs",
                "src/store/audit_log.rs",
                "src/http/unread.rs",
                "src/tls/mod.rs",
            ],
        ),
        (
            "Instant::now",
            &["src/metrics/measure.rs", "src/dev/cluster/machine.rs"],
        ),
        ("getrandom", &["crates/pushvault-crypto/src/random.rs"]),
    ];
    let mut sources = files("src");
    sources.extend(files("crates/pushvault-crypto/src"));
    for (needle, allowed) in places {
        let found = count_in(&sources, needle);
        for path in found.keys() {
            assert!(
                allowed.iter().any(|place| path.starts_with(place)),
                "{path} names {needle}"
            );
        }
        assert!(
            found.len() >= usize::from(!allowed.is_empty()),
            "nobody names {needle} any more"
        );
    }
}
