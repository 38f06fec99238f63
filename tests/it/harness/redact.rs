//! Bodies without what is different each time, for snapshots. What is taken out is held against its format first.

use serde_json::Value;

/// Replaces SIDs, dates, origins and page tokens by their names, and refuses malformed ones.
pub(crate) fn redacted(value: &Value, origin: &str) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                let value = match (key.as_str(), value) {
                    ("date_created" | "date_updated", Value::String(date)) => {
                        assert!(is_iso_8601(date), "{key}: {date}");
                        Value::from("[date]")
                    }
                    (_, value) => redacted(value, origin),
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(values) => values.iter().map(|value| redacted(value, origin)).collect(),
        Value::String(text) => Value::from(redacted_text(&text.replace(origin, "[origin]"))),
        other => other.clone(),
    }
}

fn redacted_text(text: &str) -> String {
    let mut text = text.to_owned();
    for (prefix, name) in [("CR", "[credential sid]"), ("AC", "[account sid]")] {
        if let Some(sid) = find_sid(&text, prefix) {
            text = text.replace(&sid, name);
        }
    }
    match text.split_once("PageToken=") {
        None => text,
        Some((before, token)) => {
            assert!(is_token(token), "a token that SDKs would damage: {token}");
            format!("{before}PageToken=[token]")
        }
    }
}

fn find_sid(text: &str, prefix: &str) -> Option<String> {
    text.match_indices(prefix)
        .filter_map(|(begin, _)| text.get(begin..begin + 34))
        .find(|sid| sid[2..].bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
        .map(str::to_owned)
}

/// Decision 10: the alphabet that every SDK passes on unharmed.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Decision 28: `YYYY-MM-DDTHH:MM:SSZ`.
pub(crate) fn is_iso_8601(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|character| if character.is_ascii_digit() { '0' } else { character })
        .collect();
    shape == "0000-00-00T00:00:00Z"
}

/// Compares with a snapshot of the directory `tests/it/snapshots`.
macro_rules! assert_matches_snapshot {
    ($name:literal, $text:expr) => {
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/snapshots"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!($name, $text);
        });
    };
}
pub(crate) use assert_matches_snapshot;
