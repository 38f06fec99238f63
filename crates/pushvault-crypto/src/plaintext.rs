//! Plaintexts: wiped on drop, readable through one method.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::padding;

/// One secret in the clear. Its memory is wiped on drop, spare capacity included.
///
/// There is no `Clone`, the one comparison takes constant time, and `Debug` tells neither content nor length.
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    /// The longest plaintext that an envelope takes, in bytes.
    pub const MAX_LENGTH: usize = padding::MAX_LENGTH;

    /// Takes the buffer over without copying it.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret bytes. This is the only way in, so that its uses can be counted.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are the same bytes; only their lengths can be told by the time it takes.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl From<Vec<u8>> for Plaintext {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<String> for Plaintext {
    /// Takes the text's buffer over without copying it.
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Plaintext([REDACTED])")
    }
}

/// The secrets of one credential version in the clear, one per column.
#[derive(Default)]
pub struct Secrets {
    /// The column `certificate`.
    pub certificate: Option<Plaintext>,
    /// The column `private_key`.
    pub private_key: Option<Plaintext>,
    /// The column `api_key`.
    pub api_key: Option<Plaintext>,
    /// The column `secret`.
    pub secret: Option<Plaintext>,
}

impl Secrets {
    /// Whether both have the same columns with the same plaintexts.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let Self {
            certificate,
            private_key,
            api_key,
            secret,
        } = self;
        [
            (certificate, &other.certificate),
            (private_key, &other.private_key),
            (api_key, &other.api_key),
            (secret, &other.secret),
        ]
        .into_iter()
        .all(|pair| match pair {
            (Some(mine), Some(theirs)) => mine.same_as(theirs),
            (None, None) => true,
            _ => false,
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrets([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_taken_over_and_not_copied() {
        let text = String::from("-----BEGIN PRIVATE KEY-----");
        let address = text.as_ptr();
        let plaintext = Plaintext::from(text);
        assert_eq!(plaintext.expose_secret().as_ptr(), address);
    }

    #[test]
    fn debug_tells_nothing() {
        let secrets = Secrets {
            api_key: Some(Plaintext::from(String::from("canary"))),
            ..Secrets::default()
        };
        assert_eq!(format!("{secrets:?}"), "Secrets([REDACTED])");
        assert_eq!(format!("{:?}", secrets.api_key), "Some(Plaintext([REDACTED]))");
    }

    #[test]
    fn secrets_are_the_same_when_every_column_is() {
        let secrets = |certificate: Option<&str>, secret: Option<&str>| Secrets {
            certificate: certificate.map(|text| Plaintext::from(text.to_owned())),
            secret: secret.map(|text| Plaintext::from(text.to_owned())),
            ..Secrets::default()
        };
        let one = secrets(Some("c"), Some("s"));
        assert!(one.same_as(&secrets(Some("c"), Some("s"))));
        assert!(Secrets::default().same_as(&Secrets::default()));
        for other in [
            secrets(Some("c"), Some("t")),
            secrets(Some("c"), Some("ss")),
            secrets(Some("c"), None),
            secrets(Some("s"), Some("c")),
            Secrets::default(),
        ] {
            assert!(!one.same_as(&other) && !other.same_as(&one));
        }
    }
}
