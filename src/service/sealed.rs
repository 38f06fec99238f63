//! What a process remembers of the trail that it sealed, so that it notices when the trail is another one.

use crate::trail::Checkpoint;

/// What this process knows of the sealed trail: the largest checkpoint that it has seen.
#[derive(Default)]
pub(super) struct Sealed {
    pub(super) newest: Option<Checkpoint>,
    /// The last reason that it could not seal, as it was told to the log.
    pub(super) told: Option<String>,
}
