//! The figures that Prometheus expects of every process, as far as the system tells them.

use time::OffsetDateTime;

/// What the system tells of this process now.
pub(super) struct Figures {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) threads: i64,
    /// Open, and how many may be.
    pub(super) files: (u64, u64),
}

/// The time of day, in seconds since 1970. Metrics are made when the program starts: `/proc` knows when that was too, but
/// not in every sandbox.
pub(super) fn now() -> f64 {
    (OffsetDateTime::now_utc() - OffsetDateTime::UNIX_EPOCH).as_seconds_f64()
}

/// None where the system tells nothing.
#[cfg(target_os = "linux")]
pub(super) fn figures() -> Option<Figures> {
    use procfs::process::{LimitValue, Process};
    use std::time::Duration;

    let process = Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let seconds = |ticks| Duration::from_secs(ticks).as_secs_f64();
    Some(Figures {
        cpu_seconds: seconds(stat.utime + stat.stime) / seconds(procfs::ticks_per_second()),
        resident_bytes: stat.rss * procfs::page_size(),
        virtual_bytes: stat.vsize,
        threads: stat.num_threads,
        files: (
            process.fd_count().ok()?.try_into().ok()?,
            match process.limits().ok()?.max_open_files.soft_limit {
                LimitValue::Value(count) => count,
                LimitValue::Unlimited => u64::MAX,
            },
        ),
    })
}

/// None where the system tells nothing.
#[cfg(not(target_os = "linux"))]
pub(super) fn figures() -> Option<Figures> {
    None
}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_threads_and_files() {
        let figures = figures().unwrap();
        assert!(figures.resident_bytes > 0 && figures.resident_bytes < figures.virtual_bytes);
        assert!(figures.threads > 0);
        let (open, most) = figures.files;
        assert!(open > 0 && open < most, "{open} of {most}");
        assert!(now() > 1.7e9);
    }
}
