//! The idempotency key: the client's own name for one create, so that sending it again does not make another credential.

use super::validation::ValidationError;

/// The value of the request header `Idempotency-Key` (IETF draft `httpapi-idempotency-key-header`). It is compared as it
/// was sent, quotes included where the client puts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The header's name.
    pub const HEADER: &'static str = "Idempotency-Key";

    /// The longest key, in characters.
    pub const MAX_LENGTH: usize = 255;

    /// Reads a key: 1 to 255 visible ASCII characters.
    pub fn parse(value: &[u8]) -> Result<Self, ValidationError> {
        std::str::from_utf8(value)
            .ok()
            .filter(|text| {
                (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
            })
            .map(|text| Self(text.to_owned()))
            .ok_or_else(|| {
                ValidationError::with_message(
                    Self::HEADER,
                    "Invalid value for header Idempotency-Key: use 1 to 255 visible ASCII characters, such as a UUID",
                )
            })
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_of_a_bounded_length() {
        let longest = "k".repeat(IdempotencyKey::MAX_LENGTH);
        for good in ["8e03978e-40d5-43dd-bc93-6894a57f9324", "\"quoted\"", "k", &longest] {
            assert_eq!(IdempotencyKey::parse(good.as_bytes()).unwrap().as_str(), good);
        }
        for wrong in ["", "two words", "tab\t", "naïve", &format!("{longest}k")] {
            assert_eq!(
                IdempotencyKey::parse(wrong.as_bytes()).unwrap_err().parameter,
                "Idempotency-Key",
                "{wrong:?}"
            );
        }
        assert!(IdempotencyKey::parse(&[0xff]).is_err());
    }
}
