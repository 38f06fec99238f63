//! The audit trail as a tree whose heads are signed: what a leaf is, how the tree grows, what a checkpoint and an export
//! say, and how all of it is verified. Bytes in, bytes out: nothing here asks a database or knows a secret.

mod checkpoint;
mod entry;
mod error;
mod event;
mod export;
mod ocsf;
mod offline;
mod order;
mod problem;
mod proof;
mod tree;
mod verifier;

pub use checkpoint::{Checkpoint, MOST_LEAVES, VerifierKey};
pub use entry::Entry;
pub use error::TrailError;
pub use event::{AuditKey, Authenticity, EventRecord, Leaf};
pub use export::{
    ExportFormat, ExportHeader, ExportLine, ExportReader, checkpoint_line, header_line, leaf_line, stray_line,
    unsigned_line,
};
pub use offline::{ExportVerdict, verify_export};
pub use order::{Grace, LATE, ROLLOUT, SKEW, is_as_written};
pub use problem::{Finding, Problem};
pub use proof::{Proof, consistency_positions, is_consistent};
pub use tree::{Hash, Hashes, Tree, hashes_before, positions_of_edge};
pub use verifier::{Verdict, Verifier};
