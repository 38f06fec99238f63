//! Verifying: the leaves one after the other, against their hashes, against their events, and against checkpoints.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::error::TrailError;
use super::event::{Authenticity, EventRecord, Leaf};
use super::tree::{Hash, Hashes, Tree, positions_of_edge};
use crate::domain::audit::Action;

/// No more findings than this are told one by one.
const MOST_FINDINGS: usize = 100;

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
}

/// What was found.
#[derive(Debug)]
pub struct Verdict {
    /// How many leaves the tree has.
    pub tree_size: u64,
    /// How many of them were looked at.
    pub checked: u64,
    /// How many of these have no MAC, and had none to have.
    pub unsigned: u64,
    /// The largest checkpoint that fits.
    pub fits: u64,
    /// How much is wrong.
    pub count: usize,
    /// What is wrong, the first first.
    pub findings: Vec<Finding>,
}

/// A verification under way.
pub struct Verifier {
    first: u64,
    next: u64,
    tree: Tree,
    /// Whether the tree could be computed so far.
    is_whole: bool,
    /// Checkpoints whose size has not been reached.
    expected: BTreeMap<u64, Vec<Hash>>,
    fits: u64,
    unsigned: u64,
    is_pruning_told: bool,
    count: usize,
    findings: Vec<Finding>,
}

impl Verifier {
    /// Begins with this leaf, when the tree before it had this right edge.
    pub fn new(first: u64, edge: &[Hash]) -> Result<Self, TrailError> {
        let positions = positions_of_edge(first);
        if positions.len() != edge.len() {
            return Err(TrailError::Tree);
        }
        let edge: Hashes = positions.into_iter().zip(edge.iter().copied()).collect();
        Ok(Self {
            first,
            next: first,
            tree: Tree::new(first, edge)?,
            is_whole: true,
            expected: BTreeMap::new(),
            fits: first,
            unsigned: 0,
            is_pruning_told: false,
            count: 0,
            findings: Vec::new(),
        })
    }

    /// Holds the tree against a checkpoint when it is as large. Whether it is signed is looked at elsewhere.
    pub fn expect(&mut self, checkpoint: &Checkpoint) -> Result<(), TrailError> {
        let size = checkpoint.size();
        if !self.is_whole {
            // What is wrong was found; what the tree would be, nobody can say.
            return Ok(());
        }
        match size.cmp(&self.tree.size()) {
            Ordering::Less => return Err(TrailError::Tree),
            Ordering::Equal => self.hold_against(size, checkpoint.root())?,
            Ordering::Greater => self.expected.entry(size).or_default().push(checkpoint.root()),
        }
        Ok(())
    }

    /// Takes the next leaf. Answers the hashes that the tree has by it, with their positions; none where it cannot be told.
    pub fn take(&mut self, entry: &Entry) -> Result<Vec<(u64, Hash)>, TrailError> {
        if entry.index != self.next {
            self.is_whole = false;
            self.find(of_leaf(self.next, Problem::LeafGone));
        }
        self.next = entry.index.saturating_add(1);
        let computed = match &entry.leaf {
            Some(leaf) if leaf.event.is_some() || leaf.authenticity == Authenticity::Missing => Some(leaf.hash()?),
            _ => None,
        };
        if let Some(problem) = problem(entry, computed) {
            let leaf = entry.leaf.as_ref();
            self.find(Finding {
                leaf: Some(entry.index),
                account_sid: leaf.map(|leaf| leaf.account_sid.clone()),
                event_sid: leaf.map(|leaf| leaf.event_sid.clone()),
                problem,
            });
        }
        if let Some(leaf) = &entry.leaf {
            self.unsigned += u64::from(leaf.authenticity == Authenticity::Unsigned);
            self.is_pruning_told |= leaf.authenticity == Authenticity::Authentic
                && leaf.event.as_ref().is_some_and(|event| self.tells_of_pruning(event));
        }
        // By its stored hash, so that one leaf that is wrong hides nothing of those after it.
        let Some(hash) = entry.hash.or(computed) else {
            self.is_whole = false;
            return Ok(Vec::new());
        };
        if !self.is_whole {
            return Ok(Vec::new());
        }
        let stored = self.tree.push(hash)?;
        let size = self.tree.size();
        for root in self.expected.remove(&size).unwrap_or_default() {
            self.hold_against(size, root)?;
        }
        Ok(stored)
    }

    /// Notes what was found elsewhere.
    pub fn find(&mut self, finding: Finding) {
        self.count += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// Notes an event that is in no leaf.
    pub fn find_stray(&mut self, account_sid: String, event_sid: String) {
        self.find(Finding {
            leaf: None,
            account_sid: Some(account_sid),
            event_sid: Some(event_sid),
            problem: Problem::Stray,
        });
    }

    /// Ends. Where everything should be there, what was before the first leaf must have been pruned.
    pub fn finish(mut self, is_everything: bool) -> Verdict {
        let there = self.next;
        if let Some(&size) = self.expected.keys().next_back().filter(|&&size| size > there) {
            self.find(of_leaf(there, Problem::CutOff { size, there }));
        }
        if is_everything && self.first > 0 && !self.is_pruning_told {
            self.find(of_leaf(0, Problem::Unpruned));
        }
        self.findings.sort_by_key(Finding::rank);
        Verdict {
            tree_size: there,
            checked: there.saturating_sub(self.first),
            unsigned: self.unsigned,
            fits: self.fits,
            count: self.count,
            findings: self.findings,
        }
    }

    fn hold_against(&mut self, size: u64, root: Hash) -> Result<(), TrailError> {
        if self.tree.root()? == root {
            self.fits = size;
        } else {
            let fits = self.fits;
            self.find(of_leaf(fits, Problem::Forked { fits, size }));
        }
        Ok(())
    }

    fn tells_of_pruning(&self, event: &EventRecord) -> bool {
        let size = event
            .after
            .as_ref()
            .and_then(|after| after.get("tree_size"))
            .and_then(Value::as_u64);
        event.action == Action::AuditPrune.as_str() && event.outcome == "success" && size == Some(self.first)
    }
}

impl Finding {
    /// Where it comes among the others: by its leaf; what can only be narrowed down to some leaves, after those of them of
    /// which it is known what is wrong.
    fn rank(&self) -> (u64, bool) {
        match self.problem {
            Problem::Forked { size, .. } => (size.saturating_sub(1), true),
            _ => (self.leaf.unwrap_or(u64::MAX), false),
        }
    }
}

impl Verdict {
    /// Whether the trail is whole.
    pub fn is_whole(&self) -> bool {
        self.count == 0
    }
}

/// What is wrong with a leaf, if anything.
fn problem(entry: &Entry, computed: Option<Hash>) -> Option<Problem> {
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
            Self::Unpruned => {
                formatter.write_str("the first leaves are gone, and no event of the trail tells that they were pruned")
            }
        }
    }
}
