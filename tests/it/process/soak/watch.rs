//! What a process holds, from the outside: memory, threads, descriptors, connections to its database.

use std::fmt::{self, Display, Formatter, Write as _};
use std::fs;
use std::time::{Duration, Instant};

use crate::process::support::Database;

/// How long to wait between two looks at the memory.
const GLANCE: Duration = Duration::from_millis(10);

/// What was held at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    after: Duration,
    requests: u64,
    /// The least and the most memory lately, in KiB.
    memory_kib: (u64, u64),
    pub(super) threads: usize,
    /// Files and sockets without the connections to the database.
    pub(super) descriptors: usize,
    pub(super) connections: usize,
}

/// How memory grew, in bytes.
pub(super) struct Growth {
    pub(super) per_request: f64,
    pub(super) bytes: f64,
}

impl Display for Growth {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (kib, per_request) = (self.bytes / 1024.0, self.per_request);
        write!(formatter, "{kib:.0} KiB, {per_request:.1} bytes per request")
    }
}

/// Looks at one process.
pub(super) struct Watch {
    process: u32,
    database: Database,
    began: Instant,
    pub(super) samples: Vec<Sample>,
}

impl Watch {
    /// The database tells whose connections are the process's: all of them but this one.
    pub(super) fn new(process: u32, database: Database) -> Self {
        Self {
            process,
            database,
            began: Instant::now(),
            samples: Vec::new(),
        }
    }

    /// Looks for that long: the memory of an Argon2 run comes and goes, and it is the rest that must not grow.
    pub(super) async fn look(&self, time: Duration, requests: impl Fn() -> u64) -> Sample {
        let end = Instant::now() + time;
        let mut memory_kib = (u64::MAX, 0);
        loop {
            let now = self.status("RssAnon:");
            memory_kib = (memory_kib.0.min(now), memory_kib.1.max(now));
            if Instant::now() >= end {
                break;
            }
            tokio::time::sleep(GLANCE).await;
        }
        let connections: i64 = self
            .database
            .value(
                "select count(*) from pg_stat_activity
                where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()",
            )
            .await;
        let connections = usize::try_from(connections).unwrap();
        let open = fs::read_dir(format!("/proc/{}/fd", self.process)).unwrap().count();
        Sample {
            after: self.began.elapsed(),
            requests: requests(),
            memory_kib,
            threads: usize::try_from(self.status("Threads:")).unwrap(),
            descriptors: open.saturating_sub(connections),
            connections,
        }
    }

    pub(super) async fn note(&mut self, time: Duration, requests: impl Fn() -> u64) {
        let sample = self.look(time, requests).await;
        self.samples.push(sample);
    }

    /// A number that the system tells of the process. `RssAnon` is the memory that is its own: not the pages of files,
    /// which the system may take back.
    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// By how much the memory grew since then: the line that lies best through the samples, so that no single one counts.
    pub(super) fn growth(&self, since: Duration) -> Growth {
        let points: Vec<(f64, f64)> = self
            .samples
            .iter()
            .filter(|sample| sample.after >= since)
            .map(|sample| (float(sample.requests), float(sample.memory_kib.0) * 1024.0))
            .collect();
        let count = float(points.len().try_into().unwrap());
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let together: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let alone: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let per_request = together / alone;
        let requests = points.last().unwrap().0 - points[0].0;
        Growth {
            per_request,
            bytes: per_request * requests,
        }
    }

    /// The samples as a table of at most so many lines.
    pub(super) fn table(&self, lines: usize) -> String {
        let mut table =
            String::from("  second  requests/s  memory, MiB: least, most  threads  descriptors  connections\n");
        let step = self.samples.len().div_ceil(lines).max(1);
        let shown: Vec<_> = self.samples.iter().step_by(step).chain(self.samples.last()).collect();
        for pair in shown.windows(2) {
            let (before, now) = (pair[0], pair[1]);
            let seconds = now.after.saturating_sub(before.after).as_secs_f64();
            if seconds > 0.0 {
                writeln!(
                    table,
                    "{:>8.0}{:>12.0}{:>19.1}{:>6.1}{:>9}{:>13}{:>13}",
                    now.after.as_secs_f64(),
                    float(now.requests - before.requests) / seconds,
                    float(now.memory_kib.0) / 1024.0,
                    float(now.memory_kib.1) / 1024.0,
                    now.threads,
                    now.descriptors,
                    now.connections
                )
                .unwrap();
            }
        }
        table
    }
}

/// Counts here are far below where this would lose anything.
fn float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}
