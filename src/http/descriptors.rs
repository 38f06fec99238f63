//! The process's open files. Those that connections of the API may have are bounded below them, so that there are some left
//! for the listener of those who run the service, for Postgres and for files, however many callers there are.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::admission::ADMIN_CONNECTIONS;

/// Kept for what is neither a connection of a caller, nor of the admin listener, nor of the pool: listeners, the log, files
/// of keys and certificates, the read replica, collectors, and three for each thread.
const OTHER: usize = 128;

/// The process may have too few files open.
#[derive(Debug, thiserror::Error)]
#[error(
    "the settings server.max_connections and database.max_connections need {needed} open files, and the process may have \
     {limit}: raise its limit (LimitNOFILE, ulimit -n) or lower server.max_connections"
)]
pub struct TooFewFiles {
    needed: u64,
    limit: u64,
}

/// Sees to it that so many connections of callers, and to the database, can be open at once. The soft limit is raised as far
/// as that needs.
pub(super) fn ensure(connections: usize, database: u32) -> Result<(), TooFewFiles> {
    let needed = u64::try_from(connections + ADMIN_CONNECTIONS + OTHER).unwrap_or(u64::MAX);
    let needed = needed.saturating_add(database.into());
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(|_| TooFewFiles {
        needed,
        limit: maximum.or(current).unwrap_or_default(),
    })
}
