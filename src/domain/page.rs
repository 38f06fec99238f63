//! Pages of a list, newest first, by keyset: a token names the row at the edge of a page, so that rows which come and go
//! elsewhere neither repeat nor hide any.
//!
//! A token is authenticated and bound to its list and account: `direction (1) ‖ instant in µs (8) ‖ SID (16) ‖ MAC (16)`,
//! in base64url without padding, which is the alphabet that every SDK passes on unharmed.

use data_encoding::BASE64URL_NOPAD;
use pushvault_crypto::MacKey;
use time::OffsetDateTime;

use super::sid::AccountSid;
use super::validation::ValidationError;

/// The page size when the client names none.
pub const DEFAULT_PAGE_SIZE: u32 = 50;

const MAC_LENGTH: usize = 16;

/// A list that is read page by page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// The credentials of an account.
    Credentials,
    /// The audit events of an account.
    AuditEvents,
}

impl List {
    /// What a token of the list is authenticated with, so that it is worth nothing to another one.
    const fn domain(self) -> &'static [u8] {
        match self {
            Self::Credentials => b"pushvault/v1/page-token",
            Self::AuditEvents => b"pushvault/v1/page-token/audit-events",
        }
    }
}

/// The place of a row in the order of its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowKey {
    /// When the row was made.
    pub instant: OffsetDateTime,
    /// The digits of its SID, which decide between rows of the same instant.
    pub digits: u128,
}

impl RowKey {
    /// The key as two numbers: microseconds, and the SID's digits. The order of the list is the order of the pair.
    fn numbers(&self) -> Option<(i64, u128)> {
        let micros = i64::try_from(self.instant.unix_timestamp_nanos() / 1_000).ok()?;
        Some((micros, self.digits))
    }

    fn from_numbers((micros, digits): (i64, u128)) -> Option<Self> {
        Some(Self {
            instant: OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()?,
            digits,
        })
    }
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// At the newest row.
    First,
    /// At the first row older than this one.
    After(RowKey),
    /// So that it ends at the last row newer than this one.
    Before(RowKey),
}

impl Position {
    /// At this very row, if it is there, or else at the first older one: after the key that is newer by the least.
    pub fn starting_at(row: &RowKey) -> Option<Self> {
        let (micros, sid) = row.numbers()?;
        let newer = match sid.checked_add(1) {
            Some(sid) => (micros, sid),
            None => (micros.checked_add(1)?, 0),
        };
        RowKey::from_numbers(newer).map(Self::After)
    }

    /// So that it ends at this very row, if it is there, or else at the last newer one.
    pub fn ending_at(row: &RowKey) -> Option<Self> {
        let (micros, sid) = row.numbers()?;
        let older = match sid.checked_sub(1) {
            Some(sid) => (micros, sid),
            None => (micros.checked_sub(1)?, u128::MAX),
        };
        RowKey::from_numbers(older).map(Self::Before)
    }
}

/// A checked request for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// How many rows at most, already clamped.
    pub size: u32,
    /// The page's number: the client's own count, which decides nothing.
    pub index: u64,
    /// Where it begins.
    pub position: Position,
}

/// The query parameters of a list as the client sent them.
#[derive(Debug, Clone, Default)]
pub struct PageInput {
    /// `PageSize`
    pub page_size: Option<String>,
    /// `Page`
    pub page: Option<String>,
    /// `PageToken`
    pub page_token: Option<String>,
}

impl PageRequest {
    /// Checks the parameters. A page token may be authenticated by any of the keys. A size above `max_size` is clamped,
    /// because five SDKs ask for more and expect that.
    pub fn parse(
        input: &PageInput,
        max_size: u32,
        keys: &[&MacKey],
        list: List,
        account_sid: &AccountSid,
    ) -> Result<Self, ValidationError> {
        let index = match present(input.page.as_deref()) {
            None => 0,
            Some(text) => {
                whole_number(text).ok_or_else(|| ValidationError::invalid("Page", "use a whole number from 0"))?
            }
        };
        let position = match present(input.page_token.as_deref()) {
            Some(token) => keys
                .iter()
                .find_map(|key| open_token(token, key, list, account_sid))
                .ok_or_else(|| {
                    ValidationError::invalid(
                        "PageToken",
                        "follow next_page_url or previous_page_url as they were answered",
                    )
                })?,
            None if index > 0 => {
                return Err(ValidationError::with_message(
                    "PageToken",
                    "PageToken is required for paging.",
                ));
            }
            None => Position::First,
        };
        Ok(Self {
            size: parse_size(input.page_size.as_deref(), max_size)?,
            index,
            position,
        })
    }
}

fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|text| !text.is_empty())
}

fn parse_size(value: Option<&str>, max_size: u32) -> Result<u32, ValidationError> {
    let refused = || ValidationError::invalid("PageSize", "use a whole number from 1");
    let Some(text) = present(value) else {
        return Ok(DEFAULT_PAGE_SIZE.min(max_size));
    };
    match whole_number(text) {
        None | Some(0) => Err(refused()),
        // A number beyond the type is above the maximum all the more.
        Some(size) => Ok(u32::try_from(size).unwrap_or(u32::MAX).min(max_size)),
    }
}

/// What the digits say, or the largest number there is if they say a larger one.
fn whole_number(text: &str) -> Option<u64> {
    // Only digits are left to parse, so the one way to fail is a number beyond the type.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().unwrap_or(u64::MAX))
}

/// Writes the token of a position; the first page needs none.
pub fn seal_token(position: &Position, key: &MacKey, list: List, account_sid: &AccountSid) -> Option<String> {
    let (direction, row) = match position {
        Position::First => return None,
        Position::After(row) => (b'n', row),
        Position::Before(row) => (b'p', row),
    };
    let (micros, sid) = row.numbers()?;
    let mut token = vec![direction];
    token.extend_from_slice(&micros.to_be_bytes());
    token.extend_from_slice(&sid.to_be_bytes());
    let mac = key.digest(&[list.domain(), account_sid.as_str().as_bytes(), &token]);
    token.extend(mac.iter().take(MAC_LENGTH));
    Some(BASE64URL_NOPAD.encode(&token))
}

fn open_token(text: &str, key: &MacKey, list: List, account_sid: &AccountSid) -> Option<Position> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let (body, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_LENGTH)?)?;
    if !key.verify(&[list.domain(), account_sid.as_str().as_bytes(), body], mac) {
        return None;
    }
    let (direction, rest) = body.split_first()?;
    let (micros, sid) = rest.split_first_chunk()?;
    let row = RowKey::from_numbers((i64::from_be_bytes(*micros), u128::from_be_bytes(sid.try_into().ok()?)))?;
    match direction {
        b'n' => Some(Position::After(row)),
        b'p' => Some(Position::Before(row)),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn input(page_size: &str, page: &str, page_token: &str) -> PageInput {
        PageInput {
            page_size: Some(page_size.to_owned()),
            page: Some(page.to_owned()),
            page_token: Some(page_token.to_owned()),
        }
    }

    fn parse(input: &PageInput) -> Result<PageRequest, ValidationError> {
        let key = MacKey::generate().unwrap();
        PageRequest::parse(input, 1000, &[&key], List::Credentials, &AccountSid::deployment())
    }

    fn row() -> RowKey {
        RowKey {
            instant: time::macros::datetime!(2026-02-03 04:05:06.000007 UTC),
            digits: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        }
    }

    #[test]
    fn sizes_are_clamped_above_and_refused_below() {
        assert_eq!(parse(&PageInput::default()).unwrap().size, 50);
        assert_eq!(parse(&input("5000", "", "")).unwrap().size, 1000);
        assert_eq!(parse(&input("99999999999999999999", "", "")).unwrap().size, 1000);
        for wrong in ["0", "-1", "ten", "1.5", "+3", " 1"] {
            assert_eq!(
                parse(&input(wrong, "", "")).unwrap_err().parameter,
                "PageSize",
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_later_page_needs_a_token() {
        let refused = parse(&input("", "1", "")).unwrap_err();
        assert_eq!(refused.to_string(), "PageToken is required for paging.");
        assert_eq!(parse(&input("", "-1", "")).unwrap_err().parameter, "Page");
    }

    #[test]
    fn a_token_opens_for_its_list_account_and_key_alone() {
        let (key, account) = (MacKey::generate().unwrap(), AccountSid::generate().unwrap());
        let other = (MacKey::generate().unwrap(), AccountSid::generate().unwrap());
        for (list, other_list) in [
            (List::Credentials, List::AuditEvents),
            (List::AuditEvents, List::Credentials),
        ] {
            for position in [Position::After(row()), Position::Before(row())] {
                let token = seal_token(&position, &key, list, &account).unwrap();
                assert_eq!(open_token(&token, &key, list, &account), Some(position));
                assert_eq!(open_token(&token, &key, other_list, &account), None);
                assert_eq!(open_token(&token, &key, list, &other.1), None);
                assert_eq!(open_token(&token, &other.0, list, &account), None);
            }
        }
    }

    #[test]
    fn a_token_uses_only_the_alphabet_that_every_sdk_passes_on() {
        let token = seal_token(
            &Position::After(row()),
            &MacKey::generate().unwrap(),
            List::Credentials,
            &AccountSid::deployment(),
        );
        assert!(
            token
                .unwrap()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
    }

    #[test]
    fn an_altered_token_is_refused_at_every_byte() {
        let (key, account) = (MacKey::generate().unwrap(), AccountSid::deployment());
        let token = seal_token(&Position::After(row()), &key, List::Credentials, &account).unwrap();
        let token = BASE64URL_NOPAD.decode(token.as_bytes()).unwrap();
        for position in 0..token.len() {
            let mut altered = token.clone();
            altered[position] ^= 1;
            let altered = BASE64URL_NOPAD.encode(&altered);
            assert_eq!(open_token(&altered, &key, List::Credentials, &account), None);
        }
    }

    #[test]
    fn between_a_row_and_the_place_beside_it_is_no_other() {
        let key = |micros, sid| RowKey::from_numbers((micros, sid)).unwrap();
        let last = u128::MAX;
        // (row, the key newer by the least, the key older by the least)
        for (row, newer, older) in [
            (key(7, 5), key(7, 6), key(7, 4)),
            (key(7, last), key(8, 0), key(7, last - 1)),
            (key(7, 0), key(7, 1), key(6, last)),
            (key(0, 0), key(0, 1), key(-1, last)),
            (key(-1, last), key(0, 0), key(-1, last - 1)),
        ] {
            assert_eq!(Position::starting_at(&row), Some(Position::After(newer)));
            assert_eq!(Position::ending_at(&row), Some(Position::Before(older)));
        }
    }

    proptest! {
        #[test]
        fn no_token_makes_the_parser_panic(token in "[A-Za-z0-9_-]{0,80}") {
            let key = MacKey::generate().unwrap();
            prop_assert_eq!(open_token(&token, &key, List::Credentials, &AccountSid::deployment()), None);
        }
    }
}
