//! The shell that stands between this process and Postgres, so that the one does not outlive the other.
//!
//! `supervisor.sh` holds the read end of a pipe whose write end only we hold. The system closes ours however we
//! end, and the shell then shuts Postgres down. No other child of ours can keep the pipe open: the standard library
//! opens its pipes with `CLOEXEC`. The shell has a process group of its own, so a Ctrl-C in the terminal reaches us
//! and not Postgres, which has to outlast the connections we still need.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use super::binaries::Binaries;
use super::error::ClusterError;
use super::home::{Home, PORT};

/// The superuser of every cluster. The script that creates them knows the name as well.
pub(super) const SUPERUSER: &str = "pushvault";

const SCRIPT: &str = include_str!("supervisor.sh");
/// The most that is read of what the supervisor has to say in the end.
const LAST_WORDS_BYTES_MAX: u64 = 16 * 1024;

/// What becomes of committed data when Postgres or the machine crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What has been committed survives: Postgres's own defaults.
    Full,
    /// Nothing is promised after a crash, and nothing waits for the disk. For tests only.
    ForgetOnCrash,
}

/// The settings of every cluster. On the command line they come before those of any file.
///
/// The log must never hold the text of a statement, a bind parameter or a value of a row: ciphertexts and the
/// hashes of tokens pass through here. That takes more than not logging statements. The details of an error quote
/// rows and keys, which `terse` leaves out, and its message can quote a value, so ordinary errors stay out of the
/// log altogether (`log_min_messages = log` lets pass what concerns the server as a whole). Clients still get all
/// of it.
const SETTINGS: [&str; 23] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "cluster_name=pushvault",
    "max_connections=100",
    "shared_buffers=32MB",
    "log_destination=stderr",
    "logging_collector=off",
    "log_min_messages=log",
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
    "log_parameter_max_length=0",
    "log_parameter_max_length_on_error=0",
    "log_statement=none",
    "log_duration=off",
    "log_min_duration_statement=-1",
    "log_min_duration_sample=-1",
    "log_transaction_sample_rate=0",
    "log_statement_stats=off",
    "log_parser_stats=off",
    "log_planner_stats=off",
    "log_executor_stats=off",
    "debug_print_parse=off",
    "debug_print_plan=off",
];
/// Of a cluster that is thrown away, and that many tests may share.
const SETTINGS_THAT_FORGET: [&str; 4] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=300",
];

/// A running supervisor. Dropping it shuts Postgres down and waits for that.
#[derive(Debug)]
pub(super) struct Supervisor {
    process: Child,
}

impl Supervisor {
    /// Starts the supervisor, which creates the cluster if need be and starts Postgres.
    pub(super) fn start(
        binaries: &Binaries,
        home: &Home,
        durability: Durability,
        lock: Option<File>,
    ) -> Result<Self, ClusterError> {
        let (initdb_option, forget): (&str, &[&str]) = match durability {
            Durability::Full => ("", &[]),
            Durability::ForgetOnCrash => ("--no-sync", &SETTINGS_THAT_FORGET),
        };
        let mut command = home.runner().command("sh");
        command
            .args(["-c", SCRIPT, "pushvault-postgres"])
            .args([binaries.directory(), home.path(), home.sockets()])
            .arg(home.scratch().map_or(OsStr::new(""), |path| path.as_os_str()))
            .arg(initdb_option)
            .arg("-c")
            .arg(format!("port={PORT}"))
            .arg("-c")
            .arg(format!("unix_socket_directories=\"{}\"", home.sockets().display()));
        for setting in SETTINGS.iter().chain(forget) {
            command.args(["-c", setting]);
        }
        command
            .stdin(Stdio::piped())
            .stdout(lock.map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::piped())
            .process_group(0);
        let process = command.spawn().map_err(|source| ClusterError::Program {
            program: "sh".to_owned(),
            source,
        })?;
        Ok(Self { process })
    }

    /// An error if Postgres has ended, which it does not do unasked unless something is wrong.
    pub(super) fn check_running(&mut self) -> Result<(), ClusterError> {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(status.to_string())),
            Err(error) => Err(self.ended(error.to_string())),
        }
    }

    /// Lets go of the pipe and waits until Postgres is down. Only the first call does anything.
    pub(super) fn end(&mut self) -> Result<(), ClusterError> {
        drop(self.process.stdin.take());
        match self.process.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.ended(status.to_string())),
            Err(error) => Err(self.ended(error.to_string())),
        }
    }

    fn ended(&mut self, status: String) -> ClusterError {
        let mut words = Vec::new();
        if let Some(pipe) = self.process.stderr.take() {
            // What can still be read is read; the status stands in the error in any case.
            let _ = pipe.take(LAST_WORDS_BYTES_MAX).read_to_end(&mut words);
        }
        ClusterError::Ended {
            status,
            log: String::from_utf8_lossy(&words).trim().to_owned(),
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Nobody is left to tell about an error.
        let _ = self.end();
    }
}
