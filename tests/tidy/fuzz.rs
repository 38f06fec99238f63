//! The fuzz targets are those of the product, and each of them is run.

use std::collections::BTreeSet;
use std::fs;

use crate::source::{read, root};

/// What fuzzing alone needs.
const OF_FUZZING: [&str; 4] = ["arbitrary", "jobserver", "libfuzzer-sys", "pushvault-fuzz"];

/// Name and version of each package of a lock file.
fn locked(path: &str) -> BTreeSet<(String, String)> {
    let lock = read(path);
    let value = |line: Option<&str>, key: &str| {
        line.and_then(|line| Some(line.strip_prefix(key)?.trim_matches('"').to_owned()))
            .unwrap()
    };
    lock.split("[[package]]\n")
        .skip(1)
        .map(|package| {
            let mut lines = package.lines();
            (value(lines.next(), "name = "), value(lines.next(), "version = "))
        })
        .collect()
}

#[test]
fn the_fuzz_targets_are_built_from_the_versions_of_the_product() {
    let product = locked("Cargo.lock");
    let packages = locked("fuzz/Cargo.lock");
    assert!(packages.len() > 50, "fuzz/Cargo.lock was not read");
    for (name, version) in packages {
        assert!(
            OF_FUZZING.contains(&name.as_str()) || product.contains(&(name.clone(), version.clone())),
            "fuzz/Cargo.lock has {name} {version}, which the product does not have; begin again with a copy of Cargo.lock"
        );
    }
}

#[test]
fn every_fuzz_target_is_built_and_run_and_has_seeds() {
    let (manifest, script) = (read("fuzz/Cargo.toml"), read("fuzz/run"));
    let run: BTreeSet<&str> = script
        .split_once("targets=(\"${@:2}\")")
        .and_then(|(_, rest)| rest.split_once("|| targets=(")?.1.split_once(')'))
        .map(|(names, _)| names.split(' ').collect())
        .unwrap();
    let mut targets = 0;
    for entry in fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".rs").unwrap();
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{file}\"")),
            "{name} is not built"
        );
        assert!(run.contains(name), "fuzz/run does not run {name}");
        let seeds = fs::read_dir(root().join("fuzz/seeds").join(name)).unwrap();
        assert!(seeds.count() > 1, "{name} has no seeds");
        targets += 1;
    }
    assert_eq!(targets, run.len(), "fuzz/run names a target that is not there");
}
