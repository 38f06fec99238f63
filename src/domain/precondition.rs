//! Entity tags and the precondition `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1): a client changes what it saw, or
//! nothing.

use super::credential::Credential;
use super::validation::ValidationError;

impl Credential {
    /// The entity tag, quotes included: another one after each change. It is made of what every caller sees, the date of
    /// the last change to the microsecond, and of the version.
    pub fn entity_tag(&self) -> String {
        let micros = self.date_updated.unix_timestamp_nanos() / 1_000;
        format!("\"{}-{micros:x}\"", self.current_version)
    }
}

/// What the client demands of the credential before anything is done with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// That it exists: `If-Match: *`.
    Exists,
    /// That it has one of these entity tags.
    OneOf(Vec<String>),
}

impl Precondition {
    /// The header's name.
    pub const HEADER: &'static str = "If-Match";

    /// Reads the values of the header, one for each time that it was sent.
    pub fn parse<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Self, ValidationError> {
        let refused = || {
            ValidationError::with_message(
                Self::HEADER,
                "Invalid value for header If-Match: send the ETag of an earlier answer with its quotes, or *",
            )
        };
        let mut tags = Vec::new();
        let mut sent = false;
        for value in values {
            sent = true;
            let text = std::str::from_utf8(value).map_err(|_| refused())?.trim();
            if text == "*" {
                return Ok(Self::Exists);
            }
            // Our tags hold no comma, and a foreign one that does matches nothing, whole or in parts.
            for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                if !is_entity_tag(tag) {
                    return Err(refused());
                }
                tags.push(tag.to_owned());
            }
        }
        match (sent, tags.is_empty()) {
            (false, _) => Ok(Self::None),
            (true, true) => Err(refused()),
            (true, false) => Ok(Self::OneOf(tags)),
        }
    }

    /// Whether it holds for a credential that exists. The comparison is the strong one: a weak tag never matches.
    pub fn holds(&self, credential: &Credential) -> bool {
        match self {
            Self::None | Self::Exists => true,
            Self::OneOf(tags) => tags.contains(&credential.entity_tag()),
        }
    }
}

fn is_entity_tag(text: &str) -> bool {
    text.strip_prefix("W/")
        .unwrap_or(text)
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .is_some_and(|opaque| !opaque.contains('"'))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::domain::push_service::PushService;
    use crate::domain::sid::{AccountSid, CredentialSid};

    fn parse(values: &[&str]) -> Result<Precondition, ValidationError> {
        Precondition::parse(values.iter().map(|value| value.as_bytes()))
    }

    fn credential() -> Credential {
        let date = time::macros::datetime!(2026-02-03 04:05:06.000007 UTC);
        Credential {
            account_sid: AccountSid::generate().unwrap(),
            credential_sid: CredentialSid::generate().unwrap(),
            friendly_name: None,
            push_service: PushService::Fcm,
            sandbox: false,
            current_version: 3,
            date_created: date,
            date_updated: date,
        }
    }

    #[test]
    fn a_tag_changes_with_the_version_and_with_the_microsecond_decision_31() {
        let first = credential();
        let renewed = Credential {
            current_version: 4,
            ..first.clone()
        };
        let renamed = Credential {
            date_updated: first.date_updated + time::Duration::microseconds(1),
            ..first.clone()
        };
        assert_eq!(first.entity_tag(), "\"3-649e38b6f6087\"");
        assert_ne!(first.entity_tag(), renewed.entity_tag());
        assert_ne!(first.entity_tag(), renamed.entity_tag());
    }

    #[test]
    fn a_list_of_tags_a_star_and_nothing_are_understood_decision_31() {
        let credential = credential();
        let tag = credential.entity_tag();
        for holds in [
            vec![],
            vec!["*"],
            vec![tag.as_str()],
            vec!["\"other\"", tag.as_str()],
            vec![&format!("\"other\" , {tag}")],
        ] {
            assert!(parse(&holds).unwrap().holds(&credential), "{holds:?}");
        }
        for fails in [vec!["\"other\""], vec![&format!("W/{tag}")]] {
            assert!(!parse(&fails).unwrap().holds(&credential), "{fails:?}");
        }
    }

    #[test]
    fn what_is_no_tag_is_refused_and_never_ignored_decision_31() {
        for wrong in ["", "3-649e38b6f6087", "\"open", "a\"b\"", "\"a\"\"b\"", ","] {
            assert_eq!(parse(&[wrong]).unwrap_err().parameter, "If-Match", "{wrong:?}");
        }
    }
}
