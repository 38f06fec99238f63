//! How several fields become one byte string, without two lists ever becoming the same string.

use crate::error::CryptoError;

/// The length of `bytes` as eight bytes, most significant first.
///
/// No platform that Rust supports has a `usize` wider than 64 bits, so the saturation is never
/// reached; it stands here because the conversion has no infallible form.
pub(crate) fn length_prefix(bytes: &[u8]) -> [u8; 8] {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes()
}

/// A list of fields under construction.
///
/// Formula: `field(x) = u64_be(len(x)) ‖ x`, and a list is its fields one after the other. The
/// encoding is injective, which a bare concatenation is not: `("ab", "c")` and `("a", "bc")`
/// differ. The first field of every list is a domain tag.
#[derive(Clone)]
pub(crate) struct Fields(Vec<u8>);

impl Fields {
    /// Starts a list with its domain tag.
    pub(crate) fn tagged(tag: &str) -> Self {
        Self(Vec::new()).bytes(tag.as_bytes())
    }

    /// Appends a field.
    pub(crate) fn bytes(mut self, field: &[u8]) -> Self {
        self.0.extend_from_slice(&length_prefix(field));
        self.0.extend_from_slice(field);
        self
    }

    /// Appends a text field, which must not be empty: an empty SID in a context would mean that a
    /// caller forgot it, and would bind the ciphertext to nothing.
    pub(crate) fn text(self, field: &str) -> Result<Self, CryptoError> {
        if field.is_empty() {
            return Err(CryptoError::MalformedContext);
        }
        Ok(self.bytes(field.as_bytes()))
    }

    /// Appends the fields of another list as they are.
    pub(crate) fn append(mut self, other: &Self) -> Self {
        self.0.extend_from_slice(&other.0);
        self
    }

    /// The encoded list, handed over: for one that holds a key and is to be wiped.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The encoded list.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(parts: &[Vec<u8>]) -> Vec<u8> {
        parts
            .iter()
            .fold(Fields::tagged("test"), |fields, part| fields.bytes(part))
            .0
    }

    #[test]
    fn moving_a_byte_across_a_boundary_changes_the_encoding() {
        let one = Fields::tagged("t").bytes(b"ab").bytes(b"c");
        let other = Fields::tagged("t").bytes(b"a").bytes(b"bc");
        assert_ne!(one.as_bytes(), other.as_bytes());
    }

    proptest! {
        #[test]
        fn different_lists_have_different_encodings(
            one in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..4),
            other in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..4),
        ) {
            prop_assert_eq!(encode(&one) == encode(&other), one == other);
        }
    }
}
