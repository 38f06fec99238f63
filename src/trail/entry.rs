//! A leaf as it is found, in the database or in an export.

use super::event::Leaf;
use super::tree::Hash;

/// A leaf as it was found.
pub struct Entry {
    /// Where it is.
    pub index: u64,
    /// Its hash as it is stored.
    pub hash: Option<Hash>,
    /// What is there; none if nobody knows what was.
    pub leaf: Option<Leaf>,
    /// Whether it is seen elsewhere that it is not what the vault wrote: its MAC does not fit, or, in an export, the fields
    /// that it was mapped to.
    pub is_altered: bool,
}
