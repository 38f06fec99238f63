//! SIDs: Twilio's string identifiers, two capital letters and 32 lower-case hexadecimal digits.
//!
//! Every SID is 128 random bits, so it is unique without asking anyone and tells nothing about its neighbours.

use std::fmt;

use pushvault_crypto::{CryptoError, random};

/// The number of characters of every SID.
pub const SID_LENGTH: usize = 34;

/// A string that is not a SID of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SID: expected {prefix} and 32 lower-case hexadecimal digits")]
pub struct InvalidSid {
    prefix: &'static str,
}

fn is_sid(prefix: &str, text: &str) -> bool {
    text.len() == SID_LENGTH
        && text
            .strip_prefix(prefix)
            .is_some_and(|digits| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// Whether a text has the form that Twilio gives to every SID, of whatever kind: two letters and 32 hexadecimal digits.
pub fn has_form_of_sid(text: &str) -> bool {
    text.len() == SID_LENGTH
        && text.bytes().enumerate().all(|(index, byte)| match index {
            0 | 1 => byte.is_ascii_alphabetic(),
            _ => byte.is_ascii_hexdigit(),
        })
}

fn random_sid(prefix: &str) -> Result<String, CryptoError> {
    let mut bytes = [0_u8; 16];
    random::fill(&mut bytes)?;
    Ok(format!("{prefix}{:032x}", u128::from_be_bytes(bytes)))
}

macro_rules! sid {
    ($(#[$documentation:meta])* $name:ident, $prefix:literal) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The two letters that say what kind of thing the SID names.
            pub const PREFIX: &'static str = $prefix;

            /// Draws a new SID.
            pub fn generate() -> Result<Self, CryptoError> {
                random_sid(Self::PREFIX).map(Self)
            }

            /// Reads a SID exactly as this service writes it: letters' case counts.
            pub fn parse(text: &str) -> Result<Self, InvalidSid> {
                if is_sid(Self::PREFIX, text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidSid { prefix: Self::PREFIX })
                }
            }

            /// The SID as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The number that its digits are: a list that is ordered by it is ordered by the SID.
            pub fn digits(&self) -> u128 {
                // Every SID has digits that are a number.
                u128::from_str_radix(self.0.strip_prefix(Self::PREFIX).unwrap_or_default(), 16).unwrap_or_default()
            }

            /// The SID with these digits.
            pub fn from_digits(digits: u128) -> Self {
                Self(format!("{}{digits:032x}", Self::PREFIX))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

sid!(
    /// Names an account, the tenant.
    AccountSid,
    "AC"
);
sid!(
    /// Names an API key of an account.
    ApiKeySid,
    "SK"
);
sid!(
    /// Names a credential.
    CredentialSid,
    "CR"
);
sid!(
    /// Names one request; every answer carries it as `Twilio-Request-Id`.
    RequestSid,
    "RQ"
);
sid!(
    /// Names an audit event.
    EventSid,
    "AE"
);

impl AccountSid {
    /// The account that stands for the deployment itself: audit events of which no account can be named belong to it.
    /// It has no row in the table of accounts, so nobody can sign in as it.
    pub fn deployment() -> Self {
        Self(format!("{}{:032x}", Self::PREFIX, 0))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_generated_sid_parses_as_its_own_kind_only() {
        let sid = CredentialSid::generate().unwrap();
        assert_eq!(CredentialSid::parse(sid.as_str()).unwrap(), sid);
        assert!(AccountSid::parse(sid.as_str()).is_err());
    }

    #[test]
    fn two_generated_sids_differ() {
        assert_ne!(CredentialSid::generate().unwrap(), CredentialSid::generate().unwrap());
    }

    #[test]
    fn upper_case_digits_short_and_long_texts_are_no_sids() {
        for text in [
            "",
            "CR",
            "CR0123456789ABCDEF0123456789ABCDEF",
            "cr0123456789abcdef0123456789abcdef",
            "CR0123456789abcdef0123456789abcde",
            "CR0123456789abcdef0123456789abcdef0",
            "CR0123456789abcdef0123456789abcdeg",
        ] {
            assert!(CredentialSid::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_digits_are_a_number_that_orders_as_the_sids_do() {
        let (one, other) = (CredentialSid::generate().unwrap(), CredentialSid::generate().unwrap());
        assert_eq!(one.cmp(&other), one.digits().cmp(&other.digits()));
        assert_eq!(CredentialSid::from_digits(one.digits()), one);
    }

    #[test]
    fn every_sid_of_twilio_has_the_form_of_one() {
        assert!(has_form_of_sid("USaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
        assert!(has_form_of_sid("CR0123456789ABCDEF0123456789abcdef"));
        for text in [
            "",
            "CR",
            "0R0123456789abcdef0123456789abcdef",
            "CR0123456789abcdef0123456789abcdeg",
        ] {
            assert!(!has_form_of_sid(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_as_it_was(text in "\\PC{0,40}") {
            if let Ok(sid) = AccountSid::parse(&text) {
                prop_assert_eq!(sid.to_string(), text);
            }
        }
    }
}
