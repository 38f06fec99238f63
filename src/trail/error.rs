//! What is wrong with a text that should be part of a trail.

use pushvault_crypto::CryptoError;

/// A text that is no part of a trail, or a tree that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// The text is not a signed checkpoint.
    #[error("this is no signed checkpoint: give the text as `pushvault audit checkpoint` prints it")]
    Checkpoint,
    /// The text is not a verifier key.
    #[error("this is no verifier key: give one as `pushvault audit key` prints it, name+hash+key")]
    VerifierKey,
    /// The text is not a proof.
    #[error("this is no proof: give the text as `pushvault audit prove` prints it")]
    Proof,
    /// A line of an export cannot be read.
    #[error("line {0} of the export cannot be read: give the file as `pushvault audit export` printed it")]
    Line(usize),
    /// The export has no checkpoint.
    #[error("the export has no checkpoint: its end is missing; export it again")]
    Uncovered,
    /// A checkpoint covers only what comes before the export.
    #[error(
        "the checkpoint covers {size} leaves and the export begins with leaf {first_leaf}: export from an earlier time, or \
         without --since"
    )]
    Older {
        /// How many leaves it covers.
        size: u64,
        /// Where the export begins.
        first_leaf: u64,
    },
    /// The tree cannot be what it says it is.
    #[error("the hashes of the tree do not fit together")]
    Tree,
    /// An event cannot be written down.
    #[error("the event cannot be written down")]
    Event,
    /// The signature could not be made.
    #[error("the checkpoint could not be signed")]
    Signature(#[from] CryptoError),
}

impl From<tlog_tiles::Error> for TrailError {
    fn from(_: tlog_tiles::Error) -> Self {
        Self::Tree
    }
}
