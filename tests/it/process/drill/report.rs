//! What a drill took, as a table.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::process::load::tell;

/// How long each part took.
#[derive(Default)]
pub(super) struct Report {
    parts: Vec<(&'static str, Duration)>,
}

impl Report {
    /// Does a part, and remembers how long it took.
    pub(super) fn time<T>(&mut self, part: &'static str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = work();
        self.parts.push((part, began.elapsed()));
        result
    }

    /// Shows the sizes, then the times; all that comes after the backup is the time without a vault.
    pub(super) fn print(&self, backup: &'static str, sizes: &[(&str, u64)]) {
        let mut table = String::from("\n");
        for (what, size) in sizes {
            writeln!(table, "{what:<28}{size:>12}").unwrap();
        }
        for (part, time) in &self.parts {
            writeln!(table, "{part:<19} seconds {:>12.2}", time.as_secs_f64()).unwrap();
        }
        let without = self.parts.iter().filter(|(part, _)| *part != backup);
        let total: Duration = without.map(|(_, time)| time).sum();
        write!(table, "{:<19} seconds {:>12.2}", "restore in all", total.as_secs_f64()).unwrap();
        tell(&table);
    }
}
