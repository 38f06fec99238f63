//! Verifying: the leaves one after the other, against their hashes, against their events, and against checkpoints.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;

use super::checkpoint::Checkpoint;
use super::entry::Entry;
use super::error::TrailError;
use super::event::{Authenticity, EventRecord};
use super::order::{Grace, Order, is_before};
use super::problem::{Finding, Problem, of_event, of_leaf, problem_of};
use super::tree::{Hash, Hashes, Tree, positions_of_edge};
use crate::domain::audit::Action;

/// No more findings than this are told one by one.
const MOST_FINDINGS: usize = 100;

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
    /// How much of that the tree itself says, sealed for ever: events that were found to be forged, or gone.
    pub sealed_facts: usize,
    /// What is wrong, the first first.
    pub findings: Vec<Finding>,
    /// Until when events without a MAC are to be expected.
    pub grace: Grace,
    /// The largest checkpoint that fits and has only events from before the time that was given: its size and root.
    pub cut: Option<(u64, Hash)>,
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
    order: Order,
    /// Whether an event tells why the first leaf is where it is: that the key was made, or that leaves were pruned.
    is_beginning_told: bool,
    /// The size of the largest checkpoint that the tree was held against.
    held: u64,
    count: usize,
    sealed_facts: usize,
    findings: Vec<Finding>,
    /// What may be cut off is from before that.
    before: Option<OffsetDateTime>,
    /// The first leaf that is not.
    first_since: Option<u64>,
    cut: Option<(u64, Hash)>,
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
            tree: Tree::new(first, edge)?,
            is_whole: true,
            ..Self::blind(first)
        })
    }

    /// Begins with this leaf, when what was before it is not to be had: what the tree is cannot be told.
    pub fn without_edge(first: u64) -> Self {
        let mut verifier = Self::blind(first);
        verifier.find(of_leaf(first, Problem::Hash));
        verifier
    }

    fn blind(first: u64) -> Self {
        Self {
            first,
            next: first,
            tree: Tree::empty(),
            is_whole: false,
            expected: BTreeMap::new(),
            fits: first,
            unsigned: 0,
            order: Order::new(),
            is_beginning_told: false,
            held: first,
            count: 0,
            sealed_facts: 0,
            findings: Vec::new(),
            before: None,
            first_since: None,
            cut: None,
        }
    }

    /// Looks for the largest checkpoint that has only events from before this time.
    pub fn look_for_cut(&mut self, before: OffsetDateTime) {
        self.before = Some(before);
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
        if let Some(problem) = problem_of(entry, computed) {
            self.find(match &entry.leaf {
                Some(leaf) => of_event(entry.index, leaf, problem),
                None => of_leaf(entry.index, problem),
            });
        }
        if let Some(leaf) = &entry.leaf {
            for finding in self.order.take(entry.index, leaf) {
                self.find(finding);
            }
            self.unsigned += u64::from(leaf.authenticity == Authenticity::Unsigned);
            if let Some(event) = &leaf.event {
                self.learn(leaf.authenticity, event);
            }
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
        self.sealed_facts += usize::from(finding.is_sealed_fact());
        self.findings.push(finding);
        if self.findings.len() > MOST_FINDINGS {
            // The first ones by their place in the trail, whatever they were found by.
            self.findings.sort_by_key(Finding::rank);
            self.findings.truncate(MOST_FINDINGS);
        }
    }

    /// Notes what was found at a leaf.
    pub fn find_at(&mut self, leaf: u64, problem: Problem) {
        self.find(of_leaf(leaf, problem));
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
        if self.is_whole && self.held < there {
            let covered = self.held;
            self.find(of_leaf(covered, Problem::Uncovered { covered }));
        }
        let grace = self.order.grace();
        for finding in std::mem::replace(&mut self.order, Order::new()).finish() {
            self.find(finding);
        }
        if is_everything && !self.is_beginning_told {
            self.find(of_leaf(
                0,
                if self.first > 0 {
                    Problem::Unpruned
                } else {
                    Problem::NoBeginning
                },
            ));
        }
        self.findings.sort_by_key(Finding::rank);
        Verdict {
            tree_size: there,
            checked: there.saturating_sub(self.first),
            unsigned: self.unsigned,
            fits: self.fits,
            count: self.count,
            sealed_facts: self.sealed_facts,
            findings: self.findings,
            grace,
            cut: self.cut,
        }
    }

    fn hold_against(&mut self, size: u64, root: Hash) -> Result<(), TrailError> {
        self.held = self.held.max(size);
        if self.tree.root()? == root {
            self.fits = size;
            if self.first_since.is_none() {
                self.cut = Some((size, root));
            }
        } else {
            let fits = self.fits;
            self.find(of_leaf(fits, Problem::Forked { fits, size }));
        }
        Ok(())
    }

    /// Learns from an event how the trail began.
    fn learn(&mut self, authenticity: Authenticity, event: &EventRecord) {
        if self.first_since.is_none() && self.before.is_some_and(|before| !is_before(event, before)) {
            self.first_since = Some(self.next.saturating_sub(1));
        }
        if event.outcome != "success" {
            return;
        }
        let is = |action: Action| event.action == action.as_str();
        if self.first == 0 {
            // Also one without a MAC: a key that is older than MACs is not made again when the release is replaced.
            let makers = [
                Action::RootKeyRegister,
                Action::SigningKeyCreate,
                Action::RecoveryRestore,
            ];
            self.is_beginning_told |= makers.into_iter().any(is);
            return;
        }
        let is_pruning = authenticity == Authenticity::Authentic && is(Action::AuditPrune);
        let Some(after) = event.after.as_ref().filter(|_| is_pruning) else {
            return;
        };
        if after.get("tree_size").and_then(Value::as_u64) == Some(self.first) {
            self.is_beginning_told = true;
            for finding in self.order.learn(Grace::of_pruning(after)) {
                self.find(finding);
            }
        }
    }
}

impl Verdict {
    /// Whether the trail is whole.
    pub fn is_whole(&self) -> bool {
        self.count == 0
    }

    /// Whether nothing is wrong but what the tree itself says: that is kept in the event of a pruning.
    pub fn is_as_sealed(&self) -> bool {
        self.count == self.sealed_facts
    }
}
