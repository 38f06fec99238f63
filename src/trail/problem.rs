//! What can be wrong with a trail, and how it is told.

use std::fmt;

use super::entry::Entry;
use super::event::{Authenticity, Leaf};
use super::tree::Hash;

/// What is wrong, and with which event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The leaf; none for an event that is none.
    pub leaf: Option<u64>,
    /// The account of the event, where it is known.
    pub account_sid: Option<String>,
    /// The event, where it is known.
    pub event_sid: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The event is not the one that was sealed.
    Changed,
    /// The event was changed, and its hash with it.
    Altered,
    /// The row of the event is gone.
    Removed,
    /// The event was gone before it was sealed.
    RemovedUnsealed,
    /// The event did not come from the vault.
    Forged,
    /// The event is in no leaf and does not wait to be.
    Stray,
    /// The leaf is gone.
    LeafGone,
    /// A hash of the tree is gone, or another one.
    Hash,
    /// From one checkpoint to the next something is not what it was.
    Forked {
        /// How many leaves the last checkpoint that fits has.
        fits: u64,
        /// How many the one that does not fit has.
        size: u64,
    },
    /// A checkpoint has more leaves than there are.
    CutOff {
        /// How many it has.
        size: u64,
        /// How many there are.
        there: u64,
    },
    /// A checkpoint is not signed by the key.
    Signature {
        /// How many leaves it claims.
        size: u64,
    },
    /// What comes before the first leaf is gone, and no event tells of a pruning.
    Unpruned,
    /// No event tells that the signing key was made: whatever was there at first is gone.
    NoBeginning,
    /// No signed checkpoint covers what is there from this leaf on.
    Uncovered {
        /// How many leaves the largest one covers that does.
        covered: u64,
    },
    /// The event has no MAC, and should have one.
    Unsigned,
    /// The event is much older than those before it, or than the vault says.
    Untimely,
}

impl Finding {
    /// Where it comes among the others: by its leaf; what can only be narrowed down to some leaves, after those of them of
    /// which it is known what is wrong.
    pub(super) fn rank(&self) -> (u64, bool) {
        match self.problem {
            Problem::Forked { size, .. } => (size.saturating_sub(1), true),
            Problem::Uncovered { .. } => (u64::MAX - 1, true),
            _ => (self.leaf.unwrap_or(u64::MAX), false),
        }
    }

    /// Whether the tree itself says it, sealed for ever: that an event was found to be forged, or gone, or stands where it
    /// cannot have come to be.
    pub(super) fn is_sealed_fact(&self) -> bool {
        matches!(
            self.problem,
            Problem::Forged | Problem::RemovedUnsealed | Problem::Unsigned | Problem::Untimely | Problem::NoBeginning
        )
    }
}

/// What is wrong with a leaf, if anything.
pub(super) fn problem_of(entry: &Entry, computed: Option<Hash>) -> Option<Problem> {
    let Some(leaf) = &entry.leaf else {
        return Some(Problem::LeafGone);
    };
    match computed {
        None => return Some(Problem::Removed),
        Some(computed) if entry.hash.is_some_and(|hash| hash != computed) => return Some(Problem::Changed),
        Some(_) => {}
    }
    match leaf.authenticity {
        Authenticity::Missing => Some(Problem::RemovedUnsealed),
        Authenticity::Forged => Some(Problem::Forged),
        _ if entry.is_altered => Some(Problem::Altered),
        _ if entry.hash.is_none() => Some(Problem::Hash),
        _ => None,
    }
}

/// A finding at a leaf of which no event is known.
pub(super) fn of_leaf(leaf: u64, problem: Problem) -> Finding {
    Finding {
        leaf: Some(leaf),
        account_sid: None,
        event_sid: None,
        problem,
    }
}

/// A finding at a leaf whose event is known.
pub(super) fn of_event(index: u64, leaf: &Leaf, problem: Problem) -> Finding {
    Finding {
        account_sid: Some(leaf.account_sid.clone()),
        event_sid: Some(leaf.event_sid.clone()),
        ..of_leaf(index, problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => formatter.write_str("it is not the event that was sealed: it was edited, or exchanged"),
            Self::Altered => formatter.write_str("it does not fit its MAC, or what it was mapped to: it was edited"),
            Self::Removed => formatter.write_str("its row is gone from audit_events"),
            Self::RemovedUnsealed => formatter.write_str("it was removed before it was sealed"),
            Self::Forged => formatter.write_str(
                "it does not come from the vault: its MAC was missing or wrong when it was sealed, or its time cannot be",
            ),
            Self::Stray => formatter.write_str(
                "it was added behind the vault's back: it is in no leaf of the tree, and does not wait to be sealed",
            ),
            Self::LeafGone => formatter.write_str("its row is gone from audit_leaves"),
            Self::Hash => formatter.write_str("a hash of the tree is gone from audit_hashes, or is another one"),
            Self::Forked { fits, size } => write!(
                formatter,
                "what is there is not what the checkpoint over {size} leaves covers: something between leaf {fits} and \
                 leaf {} was edited, or the tables are older than the checkpoint",
                size.saturating_sub(1)
            ),
            Self::CutOff { size, there } => write!(
                formatter,
                "the trail ends with {there} leaves, and a checkpoint covers {size}: the tail was cut off, or the tables \
                 were restored from before it"
            ),
            Self::Signature { size } => {
                write!(formatter, "the checkpoint over {size} leaves is not signed by the vault's key: it is forged")
            }
            Self::Uncovered { covered } => write!(
                formatter,
                "no signed checkpoint covers what comes from leaf {covered} on: it was added, or the checkpoint was taken away"
            ),
            Self::Unsigned => formatter.write_str("it has no MAC, and was recorded when every event had one"),
            Self::Untimely => formatter.write_str(
                "its time is not the one at which the vault wrote it, or is long before that of the events before it",
            ),
            Self::NoBeginning => formatter.write_str(
                "no event tells that the signing key was made, and the vault recorded that first: the tables were emptied",
            ),
            Self::Unpruned => {
                formatter.write_str("the first leaves are gone, and no event of the trail tells that they were pruned")
            }
        }
    }
}
