//! What is written, and by which way.

use std::collections::BTreeSet;

use crate::source::{files, read};

/// The tables that are written without an audit event. Why none of it is a mutation stands in `docs/logging.md`.
const WITHOUT_EVENT: [(&str, &str); 5] = [
    ("src/store/replicas.rs", "replicas"),
    ("src/store/sealing.rs", "audit_checkpoints"),
    ("src/store/sealing.rs", "audit_hashes"),
    ("src/store/sealing.rs", "audit_leaves"),
    ("src/store/sealing.rs", "audit_unsealed"),
];

/// The table that a statement writes, if it writes.
fn written(statement: &str) -> Option<String> {
    let words: Vec<_> = statement
        .split(|character: char| !(character.is_ascii_alphanumeric() || "_'".contains(character)))
        .filter(|word| !word.is_empty())
        .collect();
    words.windows(3).find_map(|words| match words {
        ["insert", "into", table] | ["delete", "from", table] => Some((*table).to_owned()),
        // Of `for update` and `do update`, the first locks and the second belongs to an insert.
        [before, "update", table] if !["for", "do"].contains(before) => Some((*table).to_owned()),
        _ => None,
    })
}

#[test]
fn whatever_is_written_is_written_with_its_audit_event_or_stands_in_a_list_of_what_is_no_mutation() {
    let (mut past, mut written_with_event) = (BTreeSet::new(), 0);
    for file in files("src/store") {
        let text = file.product_text();
        for call in text.split("sqlx::query").skip(1) {
            let Some(table) = written(call) else { continue };
            let executor = [".execute(", ".fetch_one(", ".fetch_optional(", ".fetch_all("]
                .iter()
                .filter_map(|method| call.split_once(method))
                .map(|(_, rest)| rest.lines().next().unwrap_or_default())
                .next();
            // A transaction that is not a change's commits without an event.
            if executor.is_some_and(|executor| executor.contains("pool") || executor.contains("transaction")) {
                past.insert((file.path.clone(), table));
            } else {
                written_with_event += 1;
            }
        }
    }
    let listed: BTreeSet<_> = WITHOUT_EVENT
        .map(|(file, table)| (file.to_owned(), table.to_owned()))
        .into();
    assert_eq!(past, listed, "what goes past UnitOfWork::commit has no audit event");
    assert!(
        written_with_event > 15,
        "the writes were not found: {written_with_event}"
    );
    let document = read("docs/logging.md");
    for (_, table) in WITHOUT_EVENT {
        assert!(
            document.contains(&format!("`{table}`")),
            "docs/logging.md does not say why {table} has no events"
        );
    }
}
