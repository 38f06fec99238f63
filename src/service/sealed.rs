//! What a process remembers of the sealed trail, so that it notices when the trail is another one.

use crate::trail::{Checkpoint, VerifierKey};

/// What this process knows of the sealed trail: the newest checkpoint that it has seen.
#[derive(Default)]
pub(super) struct Sealed {
    pub(super) newest: Option<Checkpoint>,
    /// The last reason that it could not seal, as it was told to the log.
    pub(super) told: Option<String>,
}

/// How one checkpoint comes after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Continuation {
    /// The newer tree begins with the older one, or is the same.
    Proven,
    /// It is smaller, or another one.
    Contradicted,
    /// What would prove it was pruned.
    Pruned,
}

/// A key that was lost with a root key, and the leaf that tells of it.
pub(super) struct LostKey {
    pub(super) key: VerifierKey,
    /// The leaf of the restore; none while it waits to be sealed.
    pub(super) until: Option<u64>,
}
