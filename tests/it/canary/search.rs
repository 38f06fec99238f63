//! Finding a secret however somebody may have written it down.

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

use crate::harness::percent_encoded;

/// A secret, or a part of one, in the spellings that leaks take.
pub(crate) struct Canary {
    name: String,
    spellings: Vec<String>,
}

impl Canary {
    /// A canary of this name. The secret has to be long enough not to turn up by chance.
    pub(crate) fn new(name: impl Into<String>, secret: &[u8]) -> Self {
        assert!(secret.len() >= 12, "too short to be told from noise");
        let mut spellings = Vec::new();
        if let Ok(text) = std::str::from_utf8(secret) {
            spellings.push(text.to_owned());
            spellings.push(escaped(text));
        }
        spellings.extend([HEXLOWER.encode(secret), HEXUPPER.encode(secret)]);
        let percent = percent_encoded(secret);
        spellings.extend([percent.to_lowercase(), percent]);
        // A derived Debug of bytes, without its brackets.
        let list = format!("{secret:?}");
        spellings.push(list[1..list.len() - 1].to_owned());
        spellings.extend((0..3).flat_map(|offset| base64_at(secret, offset)));
        spellings.sort();
        spellings.dedup();
        Self {
            name: name.into(),
            spellings,
        }
    }

    /// The spelling in which the secret stands in a text, if it does.
    pub(crate) fn found_in(&self, text: &str) -> Option<&str> {
        self.spellings
            .iter()
            .map(String::as_str)
            .find(|spelling| text.contains(spelling))
    }
}

/// Asserts that none of the canaries is in the text. After a made-up secret stand `n` and its number, where that can be
/// read.
#[track_caller]
pub(super) fn assert_silent(place: &str, text: &str, canaries: &[Canary], made_up: &[String]) {
    for canary in canaries {
        if let Some(spelling) = canary.found_in(text) {
            let position = text.find(spelling).unwrap_or_default();
            let end = position + spelling.len();
            let number = text
                .get(end + 1..end + 4)
                .and_then(|number| number.parse::<usize>().ok());
            let which = number.and_then(|number| made_up.get(number.checked_sub(1)?));
            let begin = text.floor_char_boundary(position.saturating_sub(200));
            let end = text.ceil_char_boundary((end + 200).min(text.len()));
            panic!("{} ({which:?}) is in {place}: …{}…", canary.name, &text[begin..end]);
        }
    }
}

/// As JSON and a derived Debug write it, without the quotes around it.
fn escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Base64 of a text in which the secret begins at this offset of a group of three bytes: only the characters that depend on
/// the secret alone, whatever stands around it.
fn base64_at(secret: &[u8], offset: usize) -> [String; 2] {
    let skip = (3 - offset) % 3;
    let whole = &secret[skip..skip + (secret.len() - skip) / 3 * 3];
    [BASE64.encode(whole), BASE64URL.encode(whole)]
}

#[test]
fn a_canary_is_found_in_every_spelling() {
    let secret = "kanarienvogel \"+/~\\";
    let canary = Canary::new("c", secret.as_bytes());
    let bytes = secret.as_bytes();
    let mut encodings = vec![
        secret.to_owned(),
        format!("{secret:?}"),
        format!("{bytes:?}"),
        format!("{bytes:02x?}").replace(", ", "").replace(['[', ']'], ""),
        format!("{bytes:02X?}").replace(", ", "").replace(['[', ']'], ""),
        serde_json::json!({ "a": secret }).to_string(),
        percent_encoded(bytes),
    ];
    for prefix in ["", "a", "ab", "abc"] {
        encodings.push(BASE64.encode(format!("{prefix}{secret}xyz").as_bytes()));
        encodings.push(BASE64URL.encode(format!("{prefix}{secret}").as_bytes()));
    }
    for text in encodings {
        assert!(canary.found_in(&format!("before{text}after")).is_some(), "{text}");
    }
    assert_eq!(canary.found_in("kanarienvögel, kanarien"), None);
}
