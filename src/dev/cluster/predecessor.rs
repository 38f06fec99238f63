//! What an earlier process left behind for the same directory, and how long to wait for it.
//!
//! The lock says who is still there. The supervisor, Postgres and every process of Postgres inherit it, so it is
//! free only when the last of them is gone, and no start can meet half of an earlier one. `postmaster.pid` is asked
//! as well, for a Postgres that was started by hand and on file systems where a lock is not inherited.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::binaries::Binaries;
use super::error::ClusterError;
use super::home::{ENTRY, Home};
use super::machine::Patience;
use super::runner::{self, Runner};

/// Takes the lock of a directory, which is held for as long as one of the file's descriptors is open anywhere.
pub(super) fn lock(directory: &Path, patience: &Patience) -> Result<File, ClusterError> {
    let path = directory.join("postgres.lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(ClusterError::file("open", &path))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(ClusterError::file("lock", &path)(error));
            }
        }
        if !patience.pause() {
            let pid = recorded_process(&directory.join(ENTRY).join("data"));
            return Err(still_running(directory, pid));
        }
    }
}

/// Waits until no Postgres uses the data any more, whoever started it.
pub(super) fn wait_until_down(home: &Home, binaries: &Binaries, patience: &Patience) -> Result<(), ClusterError> {
    loop {
        let mut command = home.runner().command(binaries.program("pg_ctl"));
        command.args(["status", "--pgdata"]).arg(home.data());
        if !runner::output_of(&mut command)?.status.success() {
            return Ok(());
        }
        let pid = recorded_process(&home.data());
        if pid.is_some_and(|pid| !may_be_postgres(home.runner(), pid)) {
            // After a crash the number can belong to any program by now, and Postgres would not start because of it.
            let file = process_file(&home.data());
            return fs::remove_file(&file).map_err(ClusterError::file("remove", &file));
        }
        if !patience.pause() {
            return Err(still_running(home.path(), pid));
        }
    }
}

fn still_running(directory: &Path, pid: Option<u32>) -> ClusterError {
    ClusterError::StillRunning {
        directory: directory.to_owned(),
        process: pid.map_or_else(|| "process unknown".to_owned(), |pid| format!("process {pid}")),
    }
}

fn process_file(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

/// The process that Postgres wrote down when it started.
fn recorded_process(data: &Path) -> Option<u32> {
    parse_process(&fs::read_to_string(process_file(data)).ok()?)
}

fn parse_process(text: &str) -> Option<u32> {
    text.lines().next()?.trim().parse().ok()
}

/// Whether the process is a Postgres that still runs, as far as its name and state tell. In doubt it is.
fn may_be_postgres(runner: Runner, pid: u32) -> bool {
    if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        return tells_of_postgres(&stat);
    }
    // Without /proc, as on macOS, the same is known to ps.
    let mut command = runner.command("ps");
    command.args(["-o", "comm=", "-o", "stat=", "-p", &pid.to_string()]);
    runner::output_of(&mut command).map_or(true, |output| {
        tells_of_postgres(&String::from_utf8_lossy(&output.stdout))
    })
}

/// Reads a name and, after it and blanks or a bracket, the state. A zombie has nothing open any more, but its
/// number is taken until somebody asks for its exit status, and the first process of a container may never do that.
fn tells_of_postgres(description: &str) -> bool {
    let name_ends = ["postgres", "postmaster"]
        .iter()
        .filter_map(|name| Some(description.rfind(name)? + name.len()))
        .max();
    match name_ends {
        Some(end) => !description
            .get(end..)
            .unwrap_or_default()
            .trim_start_matches([')', ' '])
            .starts_with('Z'),
        None => description.trim().is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_process, tells_of_postgres};

    #[test]
    fn only_a_postgres_that_runs_is_in_the_way() {
        assert!(tells_of_postgres("4711 (postgres) S 1 4711 4711 0 -1"));
        assert!(tells_of_postgres("/opt/homebrew/bin/postgres Ss\n"));
        assert!(tells_of_postgres(""));
        assert!(!tells_of_postgres("4711 (postgres) Z 1 4711 4711 0 -1"));
        assert!(!tells_of_postgres("(postgres) Z+\n"));
        assert!(!tells_of_postgres("4711 (sleep) S 1 4711 4711 0 -1"));
        assert!(!tells_of_postgres("/sbin/launchd Ss\n"));
    }

    #[test]
    fn the_process_stands_in_the_first_line() {
        assert_eq!(parse_process("4711\n/var/data\n1700000000\n5432\n"), Some(4711));
        assert_eq!(parse_process(""), None);
        assert_eq!(parse_process("\n"), None);
        // A single-user Postgres writes a negative number.
        assert_eq!(parse_process("-4711\n"), None);
    }
}
