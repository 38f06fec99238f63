//! What the leaves before one say of it: whether it may come without a MAC, and at this time.
//!
//! The sealer judges by tables that their owner can change for a second and change back. What it sealed stays, and is judged
//! once more by whoever verifies.

use std::collections::VecDeque;

use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::event::{Authenticity, EventRecord, Leaf};
use super::problem::{Finding, Problem, of_event};
use crate::domain::audit::Action;
use crate::domain::text::rfc_3339_micros;

/// How long after the first authenticated event of an upgraded database events may come without a MAC: until then replicas
/// of the earlier release may live.
pub const ROLLOUT: Duration = Duration::days(1);

/// How much earlier than the newest of the leaves before it an event may have been recorded: longer than any transaction
/// lives.
pub const LATE: Duration = Duration::hours(1);

/// How much the clocks of a database, of the one that takes over from it and of the vault's machines may differ.
pub const SKEW: Duration = Duration::minutes(5);

/// Leaves that are remembered until it is told how the trail began, at most: of those without a MAC, the last ones.
const MOST_GRANTED: usize = 100;

/// Until when events without a MAC are to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grace {
    /// The beginning was pruned, and nothing was seen that tells.
    Unknown,
    /// The trail is older than MACs, and none was seen yet.
    Open,
    /// Until authenticated events have this time.
    Until(OffsetDateTime),
    /// Never: there were MACs from the first event on.
    Never,
}

/// What was seen so far.
pub(super) struct Order {
    grace: Grace,
    /// When the first authenticated event was recorded that was seen.
    first: Option<OffsetDateTime>,
    /// The newest time of an authenticated event.
    newest: Option<OffsetDateTime>,
    /// Leaves without a MAC that only a restore right after them explains.
    suspects: Vec<Finding>,
    /// Leaves without a MAC that may be explained by how the trail began, with the newest time before each.
    granted: VecDeque<(Option<OffsetDateTime>, Finding)>,
    /// How many of these no restore can explain any more.
    settled: usize,
}

impl Order {
    pub(super) fn new() -> Self {
        Self {
            grace: Grace::Unknown,
            first: None,
            newest: None,
            suspects: Vec::new(),
            granted: VecDeque::new(),
            settled: 0,
        }
    }

    /// Looks at the next leaf; answers what is wrong with it, or with those before it.
    pub(super) fn take(&mut self, index: u64, leaf: &Leaf) -> Vec<Finding> {
        if index == 0 {
            self.grace = match leaf.authenticity {
                Authenticity::Unsigned => Grace::Open,
                _ => Grace::Never,
            };
        }
        match (leaf.authenticity, &leaf.event) {
            (Authenticity::Unsigned, _) => {
                self.take_unsigned(of_event(index, leaf, Problem::Unsigned));
                Vec::new()
            }
            (Authenticity::Authentic, Some(event)) => self.take_authentic(index, leaf, event),
            _ => Vec::new(),
        }
    }

    fn take_unsigned(&mut self, finding: Finding) {
        let is_before = |until: OffsetDateTime| self.newest.is_none_or(|newest| newest < until);
        match self.grace {
            Grace::Open => {}
            Grace::Until(until) if is_before(until) => {}
            Grace::Unknown if self.first.is_none_or(|first| is_before(end_of_rollout(first))) => {
                if self.granted.len() == MOST_GRANTED {
                    self.granted.pop_front();
                    self.settled = self.settled.saturating_sub(1);
                }
                self.granted.push_back((self.newest, finding));
            }
            Grace::Unknown | Grace::Until(_) | Grace::Never => self.suspects.push(finding),
        }
    }

    fn take_authentic(&mut self, index: u64, leaf: &Leaf, event: &EventRecord) -> Vec<Finding> {
        let mut found = std::mem::take(&mut self.suspects);
        if event.action == Action::RecoveryRestore.as_str() && event.outcome == "success" {
            // Until then the root key was lost, and another one authenticates from now on.
            found.clear();
            self.granted.truncate(self.settled);
        }
        self.settled = self.granted.len();
        let Some(time) = parse(event.occurred_at.as_deref()) else {
            found.push(of_event(index, leaf, Problem::Untimely));
            return found;
        };
        let is_late = self
            .newest
            .is_some_and(|newest| time < newest.saturating_sub(LATE + SKEW));
        let is_moved = parse(event.written_at.as_deref()).is_some_and(|written_at| !is_as_written(time, written_at));
        if is_late || is_moved {
            found.push(of_event(index, leaf, Problem::Untimely));
        }
        if self.grace == Grace::Open {
            self.grace = Grace::Until(end_of_rollout(time));
        }
        self.first.get_or_insert(time);
        self.newest = self.newest.max(Some(time));
        found
    }

    /// Learns from the event of the pruning that cut off the beginning until when events without a MAC were to be expected;
    /// answers those that came later.
    pub(super) fn learn(&mut self, grace: Grace) -> Vec<Finding> {
        if self.grace != Grace::Unknown || grace == Grace::Unknown {
            return Vec::new();
        }
        self.grace = grace;
        let is_late = |newest: &Option<OffsetDateTime>| match grace {
            Grace::Until(until) => newest.is_some_and(|newest| newest >= until),
            grace => grace == Grace::Never,
        };
        let granted = std::mem::take(&mut self.granted).into_iter();
        granted
            .filter(|(newest, _)| is_late(newest))
            .map(|(_, finding)| finding)
            .collect()
    }

    /// Until when events without a MAC are to be expected, by all that was seen.
    pub(super) fn grace(&self) -> Grace {
        match (self.grace, self.first) {
            (Grace::Unknown, Some(first)) => Grace::Until(end_of_rollout(first)),
            (grace, _) => grace,
        }
    }

    /// What nothing explained to the end.
    pub(super) fn finish(self) -> Vec<Finding> {
        self.suspects
    }
}

impl Grace {
    /// The name that it has in the event of a pruning.
    pub const NAME: &'static str = "without_mac_until";

    /// As it stands there; none where there is nothing to tell.
    pub fn to_json(self) -> Option<Value> {
        match self {
            Self::Unknown | Self::Open => None,
            Self::Until(until) => Some(Value::String(rfc_3339_micros(until))),
            Self::Never => Some(Value::Null),
        }
    }

    /// What the event of a pruning says, if it does.
    pub(super) fn of_pruning(after: &Value) -> Self {
        match after.get(Self::NAME) {
            Some(Value::Null) => Self::Never,
            Some(Value::String(text)) => OffsetDateTime::parse(text, &Rfc3339).map_or(Self::Unknown, Self::Until),
            _ => Self::Unknown,
        }
    }
}

/// Until when replicas of the release before MACs may live.
fn end_of_rollout(first: OffsetDateTime) -> OffsetDateTime {
    first.saturating_add(ROLLOUT + SKEW)
}

/// Whether the database's time of an event is the one at which the vault wrote it down, as far as clocks agree.
pub fn is_as_written(occurred_at: OffsetDateTime, written_at: OffsetDateTime) -> bool {
    (occurred_at - written_at).abs() <= SKEW
}

/// Whether an event is from before this time, by the database's clock.
pub(super) fn is_before(event: &EventRecord, time: OffsetDateTime) -> bool {
    parse(event.occurred_at.as_deref()).is_some_and(|occurred_at| occurred_at < time)
}

fn parse(time: Option<&str>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(time?, &Rfc3339).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use time::macros::datetime;

    use super::*;

    const BEGIN: OffsetDateTime = datetime!(2026-11-01 00:00 UTC);

    /// A leaf of an event that was recorded this long after the beginning.
    fn leaf(authenticity: Authenticity, after: Duration, action: Action) -> Leaf {
        let event = serde_json::json!({
            "account_sid": "AC", "action": action.as_str(), "actor_type": "anonymous", "event_sid": "AE",
            "occurred_at": rfc_3339_micros(BEGIN + after), "outcome": "success",
        });
        Leaf {
            authenticity,
            account_sid: "AC".to_owned(),
            event_sid: "AE".to_owned(),
            event: Some(serde_json::from_value(event).unwrap()),
        }
    }

    fn authentic(after: Duration) -> Leaf {
        leaf(Authenticity::Authentic, after, Action::CredentialCreate)
    }

    fn unsigned() -> Leaf {
        leaf(Authenticity::Unsigned, Duration::ZERO, Action::CredentialCreate)
    }

    /// The leaves that something is wrong with, when these follow each other from this one on.
    fn found(first: u64, leaves: &[Leaf]) -> Vec<(u64, Problem)> {
        let mut order = Order::new();
        let mut found = take_all(&mut order, first, leaves);
        found.extend(order.finish());
        shortened(found)
    }

    fn take_all(order: &mut Order, first: u64, leaves: &[Leaf]) -> Vec<Finding> {
        let places = (first..).zip(leaves);
        places.flat_map(|(index, leaf)| order.take(index, leaf)).collect()
    }

    fn shortened(found: Vec<Finding>) -> Vec<(u64, Problem)> {
        let short = |finding: Finding| (finding.leaf.unwrap(), finding.problem);
        found.into_iter().map(short).collect()
    }

    #[test]
    fn an_event_may_be_late_by_a_transaction_and_the_clocks_but_not_by_more() {
        let begin = authentic(Duration::hours(2));
        let late = authentic(Duration::minutes(55));
        assert_eq!(found(0, &[begin.clone(), late]), []);
        let too_late = authentic(Duration::minutes(54));
        assert_eq!(found(0, &[begin, too_late]), [(1, Problem::Untimely)]);
    }

    #[test]
    fn a_time_that_is_not_the_one_at_which_the_vault_wrote_is_named_where_the_vault_says_it() {
        let mut told = authentic(Duration::HOUR);
        let written_at = |leaf: &mut Leaf, after: Duration| {
            leaf.event.as_mut().unwrap().written_at = Some(rfc_3339_micros(BEGIN + Duration::HOUR + after));
        };
        for after in [-SKEW, Duration::ZERO, SKEW] {
            written_at(&mut told, after);
            assert_eq!(found(0, std::slice::from_ref(&told)), []);
        }
        for after in [-SKEW - Duration::MICROSECOND, SKEW + Duration::MICROSECOND] {
            written_at(&mut told, after);
            assert_eq!(found(0, std::slice::from_ref(&told)), [(0, Problem::Untimely)]);
        }
    }

    #[test]
    fn a_trail_that_begins_with_macs_has_none_without_unless_a_restore_comes_right_after() {
        let begin = authentic(Duration::ZERO);
        let unexplained = [begin.clone(), unsigned(), authentic(Duration::SECOND)];
        assert_eq!(found(0, &unexplained), [(1, Problem::Unsigned)]);
        assert_eq!(found(0, &unexplained[..2]), [(1, Problem::Unsigned)]);
        let restored = leaf(Authenticity::Authentic, Duration::SECOND, Action::RecoveryRestore);
        assert_eq!(found(0, &[begin, unsigned(), restored.clone()]), []);
        let after = [authentic(Duration::ZERO), restored, unsigned()];
        assert_eq!(found(0, &after), [(2, Problem::Unsigned)]);
    }

    #[test]
    fn a_trail_older_than_macs_has_some_without_for_a_day_after_the_first_with_one() {
        let day = authentic(Duration::days(1));
        let upgraded = [
            unsigned(),
            unsigned(),
            authentic(Duration::ZERO),
            unsigned(),
            day,
            unsigned(),
        ];
        assert_eq!(found(0, &upgraded), []);
        let over = authentic(Duration::days(1) + SKEW);
        let long_ago = [unsigned(), authentic(Duration::ZERO), over, unsigned()];
        assert_eq!(found(0, &long_ago), [(3, Problem::Unsigned)]);
    }

    #[test]
    fn a_restore_gives_a_trail_older_than_macs_no_second_day() {
        let restored = leaf(Authenticity::Authentic, Duration::days(9), Action::RecoveryRestore);
        let leaves = [unsigned(), authentic(Duration::ZERO), restored, unsigned()];
        assert_eq!(found(0, &leaves), [(3, Problem::Unsigned)]);
    }

    /// What is found in a trail whose beginning was pruned, when the event of the pruning says this.
    fn found_when_told(grace: Grace, leaves: &[Leaf]) -> Vec<(u64, Problem)> {
        let mut order = Order::new();
        let mut found = take_all(&mut order, 7, leaves);
        let told = serde_json::json!({ Grace::NAME: grace.to_json() });
        found.extend(order.learn(Grace::of_pruning(&told)));
        found.extend(order.finish());
        shortened(found)
    }

    #[test]
    fn the_event_of_a_pruning_tells_whether_what_is_left_may_be_without_macs() {
        let leaves = [
            unsigned(),
            authentic(Duration::HOUR),
            unsigned(),
            authentic(Duration::HOUR),
        ];
        assert_eq!(found(7, &leaves), []);
        let named = [(7, Problem::Unsigned), (9, Problem::Unsigned)];
        assert_eq!(found_when_told(Grace::Never, &leaves), named);
        let within = Grace::Until(BEGIN + Duration::HOUR);
        assert_eq!(found_when_told(within, &leaves), [(9, Problem::Unsigned)]);
        let later = Grace::Until(BEGIN + Duration::HOUR * 2);
        assert_eq!(found_when_told(later, &leaves), []);
    }

    #[test]
    fn a_restore_explains_what_is_left_right_before_it() {
        let restored = leaf(Authenticity::Authentic, Duration::HOUR, Action::RecoveryRestore);
        let leaves = [unsigned(), authentic(Duration::HOUR), unsigned(), restored];
        assert_eq!(found_when_told(Grace::Never, &leaves), [(7, Problem::Unsigned)]);
    }

    #[test]
    fn of_many_that_are_granted_the_last_ones_are_remembered() {
        let leaves = vec![unsigned(); MOST_GRANTED + 1];
        let found = found_when_told(Grace::Never, &leaves);
        assert_eq!(found.len(), MOST_GRANTED);
        assert_eq!(found.first().unwrap().0, 8);
    }

    #[test]
    fn what_a_pruning_is_to_tell_is_known_from_the_beginning_or_from_the_pruning_before() {
        let mut order = Order::new();
        take_all(&mut order, 0, &[authentic(Duration::ZERO)]);
        assert_eq!(order.grace(), Grace::Never);
        let mut order = Order::new();
        take_all(&mut order, 0, &[unsigned(), authentic(Duration::ZERO)]);
        assert_eq!(order.grace(), Grace::Until(BEGIN + Duration::days(1) + SKEW));
        let mut order = Order::new();
        take_all(&mut order, 3, &[authentic(Duration::ZERO)]);
        assert_eq!(order.grace(), Grace::Until(BEGIN + Duration::days(1) + SKEW));
        order.learn(Grace::Never);
        assert_eq!(order.grace(), Grace::Never);
    }
}
