//! What the papers say is what the code does.

use std::collections::BTreeSet;

use pushvault::http::ErrorCode;
use pushvault::metrics::Metrics;

use crate::source::{SourceFile, all_files, files, read};

#[test]
fn every_error_code_stands_in_the_api_document() {
    let document = read("docs/api.md");
    for code in ErrorCode::ALL {
        let row = document.lines().find(|line| {
            line.starts_with('|')
                && line.contains(&code.number().to_string())
                && line.contains(code.status().as_str())
                && line.contains(code.text())
        });
        assert!(row.is_some(), "docs/api.md has no row for {code:?}");
    }
}

#[test]
fn every_span_and_attribute_stands_in_the_tracing_document() {
    let document = read("docs/tracing.md");
    let mut named = BTreeSet::new();
    for file in files("src") {
        let text = file.product_text();
        for call in ["step(", "statement(", "note(", "KeyValue::new("] {
            for (_, rest) in text.match_indices(call).map(|(at, _)| text.split_at(at + call.len())) {
                if let Some(name) = rest
                    .trim_start()
                    .strip_prefix('"')
                    .and_then(|rest| rest.split('"').next())
                {
                    assert!(
                        document.contains(&format!("`{name}`")),
                        "docs/tracing.md does not tell of {name}, in {}",
                        file.path
                    );
                    named.insert(name.to_owned());
                }
            }
        }
    }
    assert!(named.len() > 30, "the spans were not found: {named:?}");
}

#[test]
fn every_field_of_an_audit_event_stands_in_the_logging_document_and_none_besides() {
    let source = read("src/store/audit_log.rs");
    let told: BTreeSet<_> = source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix('"')?.split_once("\" = "))
        .map(|(name, _)| name.to_owned())
        .collect();
    let document = read("docs/logging.md");
    let table = document
        .split("| field | type |")
        .nth(1)
        .expect("docs/logging.md has no table of the fields of audit events");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let listed: BTreeSet<_> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split(", "))
        .map(|name| name.trim().trim_matches('`').to_owned())
        .collect();
    assert!(told.len() > 20, "the fields were not found: {told:?}");
    assert_eq!(told, listed);
}

#[test]
fn every_metric_has_a_help_text_and_a_row_in_its_document_and_none_besides() {
    let metrics = Metrics::new();
    let listed: BTreeSet<_> = metrics
        .rows()
        .iter()
        .map(|row| {
            assert!(
                row.help.len() > 10 && !row.help.ends_with('.'),
                "{}: {}",
                row.name,
                row.help
            );
            let labels: Vec<_> = row.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {} | {}", row.name, row.kind, labels.join(", "))
        })
        .collect();
    let document = read("docs/metrics.md");
    let told: BTreeSet<_> = document
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.splitn(5, '|').map(str::trim).collect();
            assert!(cells[4].trim_end_matches('|').trim().len() > 3, "{line}");
            format!("| {} | {} | {}", cells[1], cells[2], cells[3])
        })
        .collect();
    assert_eq!(listed, told);
}

/// The keys of `config/default.toml`, as `section.key`.
pub fn default_keys() -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in read("config/default.toml").lines() {
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut section);
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.insert(format!("{section}.{key}"));
        }
    }
    assert!(keys.len() > 20, "the defaults were not read");
    keys
}

#[test]
fn every_setting_is_shown_by_config_check_and_none_besides() {
    let sections: String = files("src/config")
        .iter()
        .filter(|file| file.text.contains("fn effective"))
        .map(SourceFile::product_text)
        .collect();
    let shown: BTreeSet<String> = sections
        .split('"')
        .filter(|text| {
            text.split_once('.').is_some_and(|(section, key)| {
                let word = |text: &str| {
                    !text.is_empty()
                        && text
                            .chars()
                            .all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c))
                };
                word(section) && word(key)
            })
        })
        .map(str::to_owned)
        .collect();
    assert_eq!(shown, default_keys());
}

#[test]
fn every_setting_has_a_comment_and_a_row_in_the_readme() {
    let readme = read("README.md");
    for key in default_keys() {
        assert!(readme.contains(&format!("`{key}`")), "README.md does not tell of {key}");
    }
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let functions: BTreeSet<String> = all_files()
        .iter()
        .flat_map(|file| {
            file.text
                .lines()
                .filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "))
                .filter_map(|line| line.split_once('('))
                .map(|(name, _)| format!("{}::{}", file.path, name.trim()))
                .collect::<Vec<_>>()
        })
        .collect();
    let document = read("ARCHITECTURE.md");
    let section = document
        .split("\n## ")
        .find(|section| section.starts_with("Invariants"))
        .expect("ARCHITECTURE.md has no section Invariants");
    let mut invariants = 0;
    for item in section.split("\n- ").skip(1) {
        invariants += 1;
        let tests: Vec<&str> = item.split('`').filter(|text| text.contains(".rs::")).collect();
        assert!(!tests.is_empty(), "an invariant names no test: {item}");
        for test in tests {
            let (path, name) = test.split_once("::").unwrap();
            let name = name.rsplit("::").next().unwrap();
            assert!(
                functions.contains(&format!("{path}::{name}")),
                "ARCHITECTURE.md names a test that does not exist: {test}"
            );
        }
    }
    assert!(invariants >= 10, "ARCHITECTURE.md lists {invariants} invariants");
}
