//! The table in `docs/operations.md`, which a run with `PUSHVAULT_WRITE_TABLE` writes and every other run reads.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::process::load::Outcome;

/// What a fault may cost.
pub(super) struct Cost {
    pub(super) fault: &'static str,
    /// How steps ended that were not acknowledged: the first of them is seen for certain, no other than these.
    pub(super) sees: &'static [Outcome],
    /// How long a caller may wait for its answer.
    pub(super) within: Duration,
    /// What else there is to say of the callers.
    pub(super) remark: &'static str,
    /// How long it may take on a busy machine until all is well again.
    pub(super) healthy_within: Duration,
}

const VARIABLE: &str = "PUSHVAULT_WRITE_TABLE";
const BEGIN: &str = "<!-- what a fault costs: written by `make faults` -->\n";
const END: &str = "<!-- end of what a fault costs -->\n";
const HEAD: &str = "\n| fault | what callers see | healthy again after | lost |\n|---|---|---|---|\n";

/// The rows in their order.
const FAULTS: [&str; 16] = [
    "the way to Postgres is cut, new connections are refused",
    "the way is slow: 150 ms in each direction",
    "connections are reset in the middle of statements",
    "half-open: connections are silent for good, new ones work",
    "everything to Postgres is swallowed for a while, then delivered",
    "all connections wait for a lock",
    "Postgres is restarted",
    "`kill -9` of one of Postgres's backends",
    "`kill -9` of Postgres itself, and a start",
    "Postgres is made read-only",
    "disk full where the tables are",
    "disk full where the write-ahead log is",
    "the vault's clock jumps an hour forward, then back",
    "Postgres's clock jumps an hour forward, then back",
    "SIGTERM to the vault, and a start",
    "`kill -9` of the vault, and a start",
];

/// The document is read and written as a whole.
static TURN: Mutex<()> = Mutex::new(());

/// Writes the row of a fault, or holds it against the one that is there.
pub(super) fn hold(cost: &Cost, healthy: Duration) {
    assert!(FAULTS.contains(&cost.fault), "{} has no place in the table", cost.fault);
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (before, rows, after) = read();
    let fresh = [
        cost.fault.to_owned(),
        cost.callers(),
        time(healthy),
        "nothing".to_owned(),
    ];
    let known = rows.iter().find(|row| row[0] == cost.fault);
    if std::env::var_os(VARIABLE).is_some() {
        let mut table = format!("{before}{BEGIN}{}{HEAD}", caption());
        for fault in FAULTS {
            let others = rows.iter().find(|row| row[0] == fault);
            if let Some(row) = (fault == cost.fault).then_some(&fresh).or(others) {
                table.extend(["| ", &row.join(" | "), " |\n"]);
            }
        }
        fs::write(document(), table + END + &after).unwrap();
        return;
    }
    let known = known.unwrap_or_else(|| panic!("no row for {:?}: run `make faults`", cost.fault));
    // Times are of the machine that wrote the table; how long they may be is held above.
    assert_eq!((&known[1], &known[3]), (&fresh[1], &fresh[3]), "run `make faults`");
}

#[test]
fn the_table_has_a_row_for_each_fault_and_no_other() {
    if std::env::var_os(VARIABLE).is_none() {
        let (_, rows, _) = read();
        let faults: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(faults, FAULTS);
    }
}

impl Cost {
    fn callers(&self) -> String {
        let seconds = self.within.as_secs();
        let sees: Vec<_> = self.sees.iter().map(words).collect();
        let answers = match sees.as_slice() {
            [] => "their answers".to_owned(),
            sees => sees.join(" or "),
        };
        let remark = if self.remark.is_empty() { "" } else { "; " };
        format!("{answers}, within {seconds} s{remark}{}", self.remark)
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused(503) => "503 with `Retry-After`".to_owned(),
        Outcome::NoConnection => "a refused connection".to_owned(),
        Outcome::NoAnswer => "a broken connection".to_owned(),
        other => other.to_string(),
    }
}

fn time(healthy: Duration) -> String {
    match healthy.as_secs() {
        0 => "less than 1 s".to_owned(),
        seconds => format!("{} s", seconds + 1),
    }
}

fn caption() -> String {
    let cores = std::thread::available_parallelism().unwrap();
    format!(
        "\nTimes on a machine with {cores} cores ({}, {}), which runs Postgres, vaults and callers of all faults together.\n",
        std::env::consts::ARCH,
        std::env::consts::OS,
    )
}

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")
}

/// The document before the table, the table's rows, and the document after it.
fn read() -> (String, Vec<[String; 4]>, String) {
    let text = fs::read_to_string(document()).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark where the table begins");
    let (table, after) = rest.split_once(END).expect("the mark where it ends");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let rows = rows.map(|row| {
        let cells = row.trim_start_matches("| ").trim_end_matches(" |").split(" | ");
        let cells: Vec<_> = cells.map(str::to_owned).collect();
        cells.try_into().unwrap_or_else(|_| panic!("four cells in {row}"))
    });
    (before.to_owned(), rows.collect(), after.to_owned())
}
