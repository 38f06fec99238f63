//! The clock of this machine, held against the database's.

use time::{Duration, OffsetDateTime};

/// How far the clocks may be apart before it is said. Machines that keep the time at all keep it better than this.
const TOLERANCE: Duration = Duration::seconds(5);

/// What the database's clock said, and ours before and after it was asked.
pub(super) struct Comparison {
    before: OffsetDateTime,
    database: OffsetDateTime,
    after: OffsetDateTime,
}

impl Comparison {
    /// Asks the database, and the own clock around it.
    pub(super) async fn with<E>(database: impl Future<Output = Result<OffsetDateTime, E>>) -> Result<Self, E> {
        let before = OffsetDateTime::now_utc();
        let database = database.await?;
        Ok(Self {
            before,
            database,
            after: OffsetDateTime::now_utc(),
        })
    }

    /// By how much this machine's clock is ahead of the database's; below zero it is behind. The database looked at its
    /// clock at some moment between: what that may explain is no difference.
    pub(super) fn skew(&self) -> Duration {
        // A clock that is set just now may run backwards.
        let (first, last) = (self.before.min(self.after), self.before.max(self.after));
        if self.database < first {
            first - self.database
        } else if self.database > last {
            last - self.database
        } else {
            Duration::ZERO
        }
    }

    pub(super) fn agrees(&self) -> bool {
        self.skew().abs() <= TOLERANCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The database's clock at this many milliseconds, asked between two readings of ours.
    fn comparison(before: i64, database: i64, after: i64) -> Comparison {
        let at = |milliseconds| OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(milliseconds);
        Comparison {
            before: at(before),
            database: at(database),
            after: at(after),
        }
    }

    #[test]
    fn what_the_way_to_the_database_may_explain_is_no_difference() {
        for database in [0, 1, 30_000] {
            let slow = comparison(0, database, 30_000);
            assert_eq!(slow.skew(), Duration::ZERO);
            assert!(slow.agrees());
        }
    }

    #[test]
    fn a_clock_ahead_is_above_zero_and_one_behind_below() {
        assert_eq!(comparison(1000, 0, 1200).skew(), Duration::milliseconds(1000));
        assert_eq!(comparison(0, 1000, 200).skew(), Duration::milliseconds(-800));
    }

    #[test]
    fn a_difference_is_said_from_the_tolerance_on_in_both_directions() {
        assert!(comparison(5000, 0, 5010).agrees());
        assert!(!comparison(5001, 0, 5010).agrees());
        assert!(comparison(0, 5010, 10).agrees());
        assert!(!comparison(0, 5011, 10).agrees());
    }

    #[test]
    fn a_clock_that_is_set_back_meanwhile_is_taken_at_either_word() {
        assert_eq!(comparison(60_000, 30_000, 0).skew(), Duration::ZERO);
        assert_eq!(comparison(60_000, 61_000, 0).skew(), Duration::seconds(-1));
    }
}
