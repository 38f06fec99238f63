//! What the leaves before one say of it: whether it may come without a MAC, and at this time.
//!
//! The sealer judges by tables that their owner can change for a second and change back. What it sealed stays, and is judged
//! once more by whoever verifies.

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::event::{Authenticity, EventRecord, Leaf};
use super::problem::{Finding, Problem, of_event};
use crate::domain::audit::Action;

/// How long after the first authenticated event of an upgraded database events may come without a MAC: until then replicas
/// of the earlier release may live.
pub const ROLLOUT: Duration = Duration::days(1);

/// How much earlier than the newest of the leaves before it an event may have been recorded: longer than any transaction
/// lives.
pub const LATE: Duration = Duration::hours(1);

/// How much the clocks of a database and of the one that takes over from it may differ.
pub const SKEW: Duration = Duration::minutes(5);

/// What was seen so far.
#[derive(Default)]
pub(super) struct Order {
    /// Whether the first leaf of all has no MAC; none while it was not seen.
    begins_unsigned: Option<bool>,
    /// When the first event was recorded that is authenticated by the present key.
    first: Option<OffsetDateTime>,
    /// The newest time of an authenticated event.
    newest: Option<OffsetDateTime>,
    /// Leaves without a MAC that only a restore right after them explains.
    suspects: Vec<Finding>,
}

impl Order {
    /// Looks at the next leaf; answers what is wrong with it, or with those before it.
    pub(super) fn take(&mut self, index: u64, leaf: &Leaf) -> Vec<Finding> {
        if index == 0 {
            self.begins_unsigned = Some(leaf.authenticity == Authenticity::Unsigned);
        }
        match (leaf.authenticity, &leaf.event) {
            (Authenticity::Unsigned, _) => {
                if !self.may_be_unsigned() {
                    self.suspects.push(of_event(index, leaf, Problem::Unsigned));
                }
                Vec::new()
            }
            (Authenticity::Authentic, Some(event)) => self.take_authentic(index, leaf, event),
            _ => Vec::new(),
        }
    }

    fn take_authentic(&mut self, index: u64, leaf: &Leaf, event: &EventRecord) -> Vec<Finding> {
        let mut found = std::mem::take(&mut self.suspects);
        let Some(time) = time_of(event) else {
            found.push(of_event(index, leaf, Problem::Untimely));
            return found;
        };
        if event.action == Action::RecoveryRestore.as_str() && event.outcome == "success" {
            // Until then the root key was lost, and another one authenticates from now on.
            found.clear();
            self.first = None;
        }
        if self.newest.is_some_and(|newest| time < newest - LATE - SKEW) {
            found.push(of_event(index, leaf, Problem::Untimely));
        }
        self.first.get_or_insert(time);
        self.newest = self.newest.max(Some(time));
        found
    }

    /// What nothing explained to the end.
    pub(super) fn finish(self) -> Vec<Finding> {
        self.suspects
    }

    fn may_be_unsigned(&self) -> bool {
        match (self.first, self.begins_unsigned) {
            // Before the first MAC that is there.
            (None, _) => true,
            (Some(_), Some(false)) => false,
            // Where the beginning is not there, it may have been such a one.
            (Some(first), Some(true) | None) => self.newest.is_none_or(|newest| newest < first + ROLLOUT + SKEW),
        }
    }
}

fn time_of(event: &EventRecord) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(event.occurred_at.as_deref()?, &Rfc3339).ok()
}
