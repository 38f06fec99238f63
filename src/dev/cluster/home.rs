//! Where a cluster's files are.
//!
//! Below the directory that the caller names:
//!
//! - `postgres`: the cluster, of mode 0700 and owned by the user who runs Postgres, or a symbolic link to it;
//! - `postgres.lock`: whose lock everything that belongs to a running Postgres holds.
//!
//! And inside the cluster: `data`, the log `postgres.log`, and `socket` if the socket's path is not too long for
//! that.

use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::binaries::{OLDEST, leading_number};
use super::error::ClusterError;
use super::machine;
use super::runner::{Access, Runner};

/// The port, which on a Unix socket is only a part of a file's name. `supervisor.sh` knows that name as well.
pub(super) const PORT: &str = "5432";
/// The name of the cluster in the directory that the caller names.
pub(super) const ENTRY: &str = "postgres";
/// Where the clusters of root are kept if the user who runs Postgres is shut out of where they should be.
const PARENT_FOR_ROOT: &str = "/var/lib/pushvault-dev";
/// The longest path of a socket that every system takes: macOS has room for 104 bytes, with a zero at the end.
const SOCKET_BYTES_MAX: usize = 103;

/// The directories of one cluster and the user they belong to.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    sockets: PathBuf,
    scratch: Option<PathBuf>,
    runner: Runner,
}

impl Home {
    /// The cluster in `directory`, with a home of its own from the first time on.
    pub(super) fn open(directory: &Path, runner: Runner) -> Result<Self, ClusterError> {
        let entry = directory.join(ENTRY);
        match fs::symlink_metadata(&entry) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => create(directory, &entry, runner)?,
            Err(error) => return Err(ClusterError::file("look at", &entry)(error)),
        }
        let path = fs::canonicalize(&entry).map_err(|error| match error.kind() {
            ErrorKind::NotFound => ClusterError::Dangling { link: entry.clone() },
            _ => ClusterError::file("look at", &entry)(error),
        })?;
        let metadata = fs::metadata(&path).map_err(ClusterError::file("look at", &path))?;
        let runner = runner.for_owner(&path, &metadata)?;
        if !runner.may(Access::Enter, &path)? {
            let uid = runner.uid();
            return Err(ClusterError::ShutOut { path, uid });
        }

        let inside = path.join("socket");
        if holds_a_socket(&inside) {
            return Ok(Self {
                path,
                sockets: inside,
                scratch: None,
                runner,
            });
        }
        let sockets = fresh_temporary(runner, holds_a_socket)?;
        Ok(Self {
            path,
            scratch: Some(sockets.clone()),
            sockets,
            runner,
        })
    }

    /// A home that is yet to be created, by the supervisor, which removes it as well.
    pub(super) fn temporary(runner: Runner) -> Result<Self, ClusterError> {
        let path = fresh_temporary(runner, |path| holds_a_socket(&path.join("socket")))?;
        Ok(Self {
            sockets: path.join("socket"),
            scratch: Some(path.clone()),
            path,
            runner,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn runner(&self) -> Runner {
        self.runner
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn has_data(&self) -> bool {
        self.data().exists()
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("postgres.log")
    }

    /// The directory of the socket.
    pub(super) fn sockets(&self) -> &Path {
        &self.sockets
    }

    pub(super) fn socket(&self) -> PathBuf {
        socket_in(&self.sockets)
    }

    /// A directory that the supervisor creates at the beginning and removes at the end.
    pub(super) fn scratch(&self) -> Option<&Path> {
        self.scratch.as_deref()
    }

    /// The major version that created the data, if there is any.
    pub(super) fn major(&self) -> Result<Option<u32>, ClusterError> {
        if !self.has_data() {
            return Ok(None);
        }
        let file = self.data().join("PG_VERSION");
        let version = fs::read_to_string(&file).map_err(ClusterError::file("read", &file))?;
        match leading_number(&version) {
            Some(major) if major >= OLDEST => Ok(Some(major)),
            Some(major) => Err(ClusterError::TooOld {
                directory: self.path.clone(),
                major,
                oldest: OLDEST,
            }),
            None => Err(ClusterError::file("understand", &file)(ErrorKind::InvalidData.into())),
        }
    }
}

/// Creates the directory that the caller names unless it is there, and returns its absolute path.
pub(super) fn prepare(directory: &Path) -> Result<PathBuf, ClusterError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(ClusterError::file("create", directory))?;
    fs::canonicalize(directory).map_err(ClusterError::file("look at", directory))
}

/// Creates an empty home at `entry`, or somewhere else and a link to it at `entry`.
fn create(directory: &Path, entry: &Path, runner: Runner) -> Result<(), ClusterError> {
    if runner.may(Access::Enter, directory)? {
        // Under its own name it appears only when it belongs to the right user, even if we are killed in between.
        let unfinished = entry.with_extension("new");
        match fs::remove_dir(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(ClusterError::file("remove", &unfinished)(error));
            }
            Ok(()) | Err(_) => {}
        }
        runner.create_directory(&unfinished)?;
        return fs::rename(&unfinished, entry).map_err(ClusterError::file("create", entry));
    }
    let parent = Path::new(PARENT_FOR_ROOT);
    prepare_parent(parent)?;
    let home = machine::fresh_name(parent);
    runner.create_directory(&home)?;
    symlink(&home, entry).map_err(ClusterError::file("create", entry))
}

/// Creates the directory that others may pass through but neither list nor change.
fn prepare_parent(parent: &Path) -> Result<(), ClusterError> {
    match DirBuilder::new().mode(0o711).create(parent) {
        // The mode is set again because the umask may have taken something away from it.
        Ok(()) => fs::set_permissions(parent, Permissions::from_mode(0o711))
            .map_err(ClusterError::file("change the mode of", parent))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(ClusterError::file("create", parent)(error)),
    }
    let metadata = fs::symlink_metadata(parent).map_err(ClusterError::file("look at", parent))?;
    if metadata.is_dir() && metadata.uid() == 0 && metadata.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(ClusterError::UntrustedParent {
            path: parent.to_owned(),
        })
    }
}

/// A path in a temporary directory that the runner may write to and that is `suitable`.
fn fresh_temporary(runner: Runner, suitable: impl Fn(&Path) -> bool) -> Result<PathBuf, ClusterError> {
    let mut tried = Vec::new();
    for parent in machine::temporary_directories() {
        if let Ok(parent) = fs::canonicalize(&parent) {
            let path = machine::fresh_name(&parent);
            if suitable(&path) && runner.may(Access::Write, &parent)? {
                return Ok(path);
            }
        }
        tried.push(parent.display().to_string());
    }
    Err(ClusterError::NoTemporaryDirectory {
        uid: runner.uid(),
        tried: tried.join(", "),
    })
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join(format!(".s.PGSQL.{PORT}"))
}

/// Whether a socket in `directory` can be named everywhere: in the system's address, where it must be short, in a
/// setting of Postgres, where quotes would need quoting, and as a host of libpq, where a comma begins another host.
fn holds_a_socket(directory: &Path) -> bool {
    socket_in(directory).as_os_str().len() <= SOCKET_BYTES_MAX
        && directory
            .to_str()
            .is_some_and(|path| !path.contains(|character: char| character.is_control() || ",\"".contains(character)))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::{SOCKET_BYTES_MAX, holds_a_socket, socket_in};

    #[test]
    fn the_longest_path_of_a_socket_still_fits() {
        let name = "/.s.PGSQL.5432".len();
        let longest = format!("/{}", "a".repeat(SOCKET_BYTES_MAX - name - 1));
        assert_eq!(socket_in(Path::new(&longest)).as_os_str().len(), 103);
        assert!(holds_a_socket(Path::new(&longest)));
        assert!(!holds_a_socket(Path::new(&format!("{longest}a"))));
        // Bytes count, not characters.
        assert!(!holds_a_socket(Path::new(&longest.replace("aa", "aä"))));
    }

    #[test]
    fn a_path_with_another_meaning_somewhere_is_not_used() {
        assert!(holds_a_socket(Path::new("/with spaces/and 'quotes'")));
        for path in ["/a,b", "/a\"b", "/a\nb"] {
            assert!(!holds_a_socket(Path::new(path)), "{path:?} was taken");
        }
        assert!(!holds_a_socket(Path::new(OsStr::from_bytes(b"/\xff"))));
    }
}
