//! What an API key may do. An account's auth tokens may do everything.

use serde::{Serialize, Serializer};

/// One thing that a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Fetch and list credentials; their secrets are answered to nobody.
    CredentialsRead,
    /// Create, update and delete credentials.
    CredentialsWrite,
    /// Read the account's audit events.
    AuditRead,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CredentialsRead, Self::CredentialsWrite, Self::AuditRead];

    /// The name as stored, printed and asked for.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CredentialsRead => "credentials:read",
            Self::CredentialsWrite => "credentials:write",
            Self::AuditRead => "audit:read",
        }
    }

    /// Its place in [`Rights`].
    const fn bit(self) -> u8 {
        match self {
            Self::CredentialsRead => 1,
            Self::CredentialsWrite => 1 << 1,
            Self::AuditRead => 1 << 2,
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, UnknownRight> {
        Self::ALL
            .into_iter()
            .find(|right| right.as_str() == text)
            .ok_or(UnknownRight)
    }
}

/// A name that is none of a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a right: use one or more of {}, with commas between", Right::ALL.map(Right::as_str).join(", "))]
pub struct UnknownRight;

/// A right that the caller does not have. The text says how to get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "Forbidden: this API key does not have the right {right}; make one that has it with \
     `pushvault api-key create ACCOUNT_SID --rights {right}`, or use the account's auth token",
    right = .0.as_str()
)]
pub struct MissingRight(pub Right);

/// What a caller may do, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// Everything.
    pub fn all() -> Self {
        Right::ALL.into_iter().collect()
    }

    /// What the database has of a key. A name that this release does not know is a later one's: the key is let in, and
    /// the right is none here.
    pub fn from_stored(names: &[String]) -> Self {
        names.iter().filter_map(|name| Right::parse(name).ok()).collect()
    }

    /// Nothing, if it has the right.
    pub fn require(self, right: Right) -> Result<(), MissingRight> {
        if self.has(right) {
            Ok(())
        } else {
            Err(MissingRight(right))
        }
    }

    /// The names, as stored.
    pub fn names(self) -> Vec<String> {
        self.iter().map(|right| right.as_str().to_owned()).collect()
    }

    fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }

    const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

impl Serialize for Rights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Right::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_no_other_is_read() {
        for right in Right::ALL {
            assert_eq!(Right::parse(right.as_str()), Ok(right));
        }
        for text in ["", "credentials", "Credentials:read", "credentials:read ", "*"] {
            assert_eq!(Right::parse(text), Err(UnknownRight), "{text:?}");
        }
    }

    #[test]
    fn a_right_of_a_later_release_is_none_here_and_takes_none_away() {
        let stored = ["senders:fetch", "audit:read"].map(str::to_owned);
        let rights = Rights::from_stored(&stored);
        assert_eq!(rights.names(), ["audit:read"]);
        assert_eq!(rights.require(Right::AuditRead), Ok(()));
    }

    #[test]
    fn a_refusal_names_the_right_and_the_command_that_gives_it() {
        let refusal = Rights::from_stored(&[])
            .require(Right::CredentialsWrite)
            .map_err(|error| error.to_string());
        let text = "Forbidden: this API key does not have the right credentials:write; make one that has it with \
            `pushvault api-key create ACCOUNT_SID --rights credentials:write`, or use the account's auth token";
        assert_eq!(refusal, Err(text.to_owned()));
    }
}
