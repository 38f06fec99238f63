//! Text that people give and read back: the friendly name; and how instants are written.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::validation::ValidationError;

/// A name that a person gave to a resource: 1 to 64 Unicode characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FriendlyName(String);

impl FriendlyName {
    /// The most characters that a friendly name may have.
    pub const MAX_CHARACTERS: usize = 64;

    /// Reads a friendly name; an empty one is no name.
    pub fn parse(text: &str) -> Result<Option<Self>, ValidationError> {
        if text.is_empty() {
            return Ok(None);
        }
        if text.chars().count() > Self::MAX_CHARACTERS {
            return Err(ValidationError::invalid("FriendlyName", "use at most 64 characters"));
        }
        // Postgres cannot store U+0000 in text, and no name needs it.
        if text.contains('\0') {
            return Err(ValidationError::invalid(
                "FriendlyName",
                "leave out the character U+0000",
            ));
        }
        Ok(Some(Self(text.to_owned())))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const RFC_3339_MICROS: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

const ISO_8601_SECONDS: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// Writes an instant as Twilio does on every surface: `YYYY-MM-DDTHH:MM:SSZ`, UTC, whole seconds.
pub fn iso_8601(instant: OffsetDateTime) -> String {
    written(instant, ISO_8601_SECONDS)
}

const ISO_8601_MICROSECONDS: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// Writes an instant as exactly as the database keeps it.
pub fn iso_8601_micros(instant: OffsetDateTime) -> String {
    written(instant, ISO_8601_MICROSECONDS)
}

fn written(instant: OffsetDateTime, format: &[BorrowedFormatItem<'static>]) -> String {
    instant
        .to_offset(time::UtcOffset::UTC)
        .format(format)
        // Formatting fails only for a component that the type does not have; these are all there.
        .unwrap_or_default()
}

/// An instant to the microsecond, in UTC: `2026-11-25T19:40:11.274813Z` (RFC 3339).
pub fn rfc_3339_micros(instant: OffsetDateTime) -> String {
    instant
        .to_offset(time::UtcOffset::UTC)
        .format(RFC_3339_MICROS)
        .unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_characters_pass_whatever_their_bytes_and_one_more_does_not() {
        let longest = "é".repeat(64);
        assert_eq!(FriendlyName::parse(&longest).unwrap().unwrap().as_str(), longest);
        let refused = FriendlyName::parse(&"é".repeat(65)).unwrap_err();
        assert_eq!(refused.parameter, "FriendlyName");
    }

    #[test]
    fn an_empty_name_is_no_name_and_a_nul_is_refused() {
        assert_eq!(FriendlyName::parse("").unwrap(), None);
        assert!(FriendlyName::parse("a\0b").is_err());
    }

    #[test]
    fn instants_lose_their_fraction_and_their_offset() {
        let instant = time::macros::datetime!(2015-10-07 19:50:01.999 +2);
        assert_eq!(iso_8601(instant), "2015-10-07T17:50:01Z");
        assert_eq!(iso_8601_micros(instant), "2015-10-07T17:50:01.999000Z");
    }
}
