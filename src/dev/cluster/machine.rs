//! What differs from one process to the next: search path, temporary directories, clock and randomness.
//!
//! Nothing else in the cluster's code asks for any of them.

use std::collections::hash_map::RandomState;
use std::env;
use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long to sleep between two looks at something that is waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// Where programs are looked for, with the directories of `sh`, `rm` and `ps` in case the path is not set.
pub(super) fn search_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push("/usr/bin:/bin");
    path
}

/// The directories of the search path, in order.
pub(super) fn search_directories() -> Vec<PathBuf> {
    env::split_paths(&search_path())
        .filter(|directory| directory.is_absolute())
        .collect()
}

/// Where temporary files may go. The second choice is for a first one that is too long or too private.
pub(super) fn temporary_directories() -> [PathBuf; 2] {
    [env::temp_dir(), PathBuf::from("/tmp")]
}

/// A directory below `parent` that does not exist yet.
///
/// The name keeps clusters apart and is no secret: it is created with `mkdir`, which takes nothing that is there
/// already.
pub(super) fn fresh_name(parent: &Path) -> PathBuf {
    let number = RandomState::new().build_hasher().finish();
    parent.join(format!("pushvault-{number:016x}"))
}

/// A wait with an end.
#[derive(Debug)]
pub(super) struct Patience {
    end: Instant,
}

impl Patience {
    pub(super) fn lasting(limit: Duration) -> Self {
        Self {
            end: Instant::now() + limit,
        }
    }

    /// Sleeps a little, and says whether it is worth looking again.
    pub(super) fn pause(&self) -> bool {
        thread::sleep(PAUSE);
        Instant::now() < self.end
    }
}
