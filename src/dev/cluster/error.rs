//! What can go wrong with a private cluster, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The reason why a private cluster could not be started, used or stopped.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// No usable server programs on this machine.
    #[error(
        "no PostgreSQL server of version {oldest} or newer was found: looked at {looked_at} for {programs}; \
         {passed_over}; install it with `apt-get install postgresql` (Debian, Ubuntu) or \
         `brew install postgresql@16` (macOS)"
    )]
    NoServer {
        /// The oldest major version that will do.
        oldest: u32,
        /// The places, in the order in which they were looked at.
        looked_at: &'static str,
        /// The programs that have to be there.
        programs: String,
        /// What was found and why it would not do.
        passed_over: String,
    },

    /// The cluster was created by another major version than those installed.
    #[error(
        "`{directory}` was created by PostgreSQL {major}, and only the same major version can open it; \
         {passed_over}; install PostgreSQL {major}, or move `{directory}` away to start with an empty cluster"
    )]
    OtherMajor {
        /// Where the cluster is kept.
        directory: PathBuf,
        /// The major version that created it.
        major: u32,
        /// What was found and why it would not do.
        passed_over: String,
    },

    /// The cluster was created by a version that is not supported.
    #[error(
        "`{directory}` was created by PostgreSQL {major}, and {oldest} is the oldest version that is supported; \
         dump it with its own programs, then move it away to start with an empty cluster"
    )]
    TooOld {
        /// Where the cluster is kept.
        directory: PathBuf,
        /// The major version that created it.
        major: u32,
        /// The oldest major version that will do.
        oldest: u32,
    },

    /// We are root, and there is nobody else to run Postgres as.
    #[error(
        "Postgres does not run as root, and /etc/passwd names neither `postgres` nor `nobody`; create a user with \
         `useradd --system postgres`, or start as another user than root"
    )]
    NoUnprivilegedUser,

    /// The cluster cannot be used by the user who would have to run it.
    #[error(
        "`{path}` belongs to user {owner}, and Postgres would run as user {uid}; start as the user who created it, or \
         give it away with `chown -R`"
    )]
    OtherOwner {
        /// Where the cluster is kept.
        path: PathBuf,
        /// The number of the user who owns it.
        owner: u32,
        /// The number of the user who would run Postgres.
        uid: u32,
    },

    /// The cluster's owner is shut out by a directory above it.
    #[error(
        "user {uid}, who owns `{path}`, may not enter it; let that user through the directories above it, or move it \
         to where that user can go"
    )]
    ShutOut {
        /// Where the cluster is kept.
        path: PathBuf,
        /// The number of the user who owns it.
        uid: u32,
    },

    /// The symbolic link to the cluster leads nowhere.
    #[error(
        "`{link}` is a link to a cluster that is gone; put the cluster back, or remove the link to start with an \
         empty one"
    )]
    Dangling {
        /// The symbolic link.
        link: PathBuf,
    },

    /// The directory for clusters of root could be changed by somebody else.
    #[error(
        "`{path}` must be a directory that belongs to root and that nobody else can write to; put it right or remove it"
    )]
    UntrustedParent {
        /// The directory.
        path: PathBuf,
    },

    /// There is no place for a socket or for temporary files.
    #[error(
        "found no temporary directory that user {uid} may write to and whose path is short enough for a socket (tried \
         {tried}); set TMPDIR to one"
    )]
    NoTemporaryDirectory {
        /// The number of the user who would run Postgres.
        uid: u32,
        /// The directories that would not do.
        tried: String,
    },

    /// An earlier Postgres of the same directory does not end.
    #[error(
        "another Postgres ({process}) still uses `{directory}`; stop the pushvault that owns it, or end it yourself \
         with `kill -INT` and that process id"
    )]
    StillRunning {
        /// Where the cluster is kept.
        directory: PathBuf,
        /// The process, as far as it is known.
        process: String,
    },

    /// Postgres or initdb ended although nobody asked it to, or did not end well.
    #[error(
        "Postgres ended on its own or badly ({status}); its last words are below, mend what they complain about\n{log}"
    )]
    Ended {
        /// How the supervisor ended, which repeats how Postgres did.
        status: String,
        /// The last lines of the log.
        log: String,
    },

    /// Postgres runs but does not accept connections.
    #[error("Postgres accepted no connection within {seconds} s; look into `{log}` and start again")]
    NotReady {
        /// How long it was waited for.
        seconds: u64,
        /// The log of Postgres.
        log: PathBuf,
    },

    /// A name of a database or of a standby that would need quotes.
    #[error("`{name}` cannot be a name here; use 1 to 63 of the characters a-z, 0-9 and _")]
    Name {
        /// The refused name.
        name: String,
    },

    /// A statement of our own failed.
    #[error("the statement `{statement}` failed, mend what Postgres complains about: {output}")]
    Statement {
        /// The statement, which never holds a value of the vault.
        statement: String,
        /// What psql said.
        output: String,
    },

    /// A copy for a standby was not made.
    #[error("could not copy the cluster for a standby, mend what pg_basebackup complains about: {output}")]
    Standby {
        /// What it said.
        output: String,
    },

    /// A program could not be started.
    #[error("could not run `{program}`; make sure that it is installed and that the user who runs Postgres may run it")]
    Program {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },

    /// Something about a file or directory failed.
    #[error("could not {action} `{path}`; make sure that this user may do so there and that the disk is not full")]
    File {
        /// What was to be done with it.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl ClusterError {
    /// Turns the error of an operation on `path` into one that says what was to be done.
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}
