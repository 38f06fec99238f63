//! The data directory of `pushvault dev`: private to its owner, used by one process at a time, with the root key in it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use pushvault_crypto::{CryptoError, KeyEncryptionKey, random};
use zeroize::Zeroizing;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirectoryError {
    /// A file could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error(
        "{} is in use by another `pushvault dev`: stop that one first, or choose another directory with --data-dir",
        .0.display()
    )]
    InUse(PathBuf),
    /// There is a database, and the key to it is gone.
    #[error(
        "{} is missing, and the database beside it cannot be opened without it: restore the file, or remove the whole \
         data directory to begin anew",
        .0.display()
    )]
    RootKeyMissing(PathBuf),
    /// The operating system gave no randomness.
    #[error("cannot make a root key")]
    Randomness(#[from] CryptoError),
}

impl DataDirectoryError {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// A data directory, locked for as long as this lives. The kernel drops the lock with the process, however it ends.
pub(super) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    pub(super) fn open(path: &Path) -> Result<Self, DataDirectoryError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(DataDirectoryError::file(path))?;
        let path = path.canonicalize().map_err(DataDirectoryError::file(path))?;
        let lock_file = path.join("lock");
        let lock = private_options()
            .open(&lock_file)
            .map_err(DataDirectoryError::file(&lock_file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataDirectoryError::InUse(path)),
            Err(TryLockError::Error(source)) => {
                return Err(DataDirectoryError::File {
                    path: lock_file,
                    source,
                });
            }
        }
        let directory = Self { path, _lock: lock };
        directory.make_root_key()?;
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn root_key(&self) -> PathBuf {
        self.path.join("root.key")
    }

    pub(super) fn settings_file(&self) -> PathBuf {
        self.path.join("pushvault.toml")
    }

    /// Writes the settings with which the operator's commands reach this vault while it runs.
    pub(super) fn write_settings(&self, url: &str) -> Result<(), DataDirectoryError> {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let text = format!(
            "# Written by `pushvault dev` at each start, for the operator's commands:\n\
             # pushvault --config THIS_FILE account list\n\
             [database]\nurl = {}\n\n[kek]\nprovider = \"file\"\nfile = {}\n",
            quoted(url),
            quoted(&self.root_key().to_string_lossy()),
        );
        write_private(&self.settings_file(), text.as_bytes())
    }

    /// Makes the root key at the first start. A database without its key is never given a new one.
    fn make_root_key(&self) -> Result<(), DataDirectoryError> {
        let path = self.root_key();
        if path.exists() {
            return Ok(());
        }
        if self.path.join("postgres").exists() {
            return Err(DataDirectoryError::RootKeyMissing(path));
        }
        let mut key = Zeroizing::new([0_u8; KeyEncryptionKey::LENGTH]);
        random::fill(key.as_mut_slice())?;
        write_private(&path, key.as_slice())
    }
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    options
}

/// Writes a file that only its owner may read: whole, or not at all.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), DataDirectoryError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let write = || {
        let mut file = private_options().truncate(true).open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    write().map_err(DataDirectoryError::file(path))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_second_user_of_a_directory_is_refused_while_the_first_lives() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataDirectory::open(directory.path()).unwrap();
        let refused = DataDirectory::open(directory.path()).err().unwrap();
        assert!(matches!(refused, DataDirectoryError::InUse(_)), "{refused}");
        drop(first);
        assert!(DataDirectory::open(directory.path()).is_ok());
    }

    #[test]
    fn the_root_key_is_made_once_private_and_never_anew_beside_a_database() {
        let directory = tempfile::tempdir().unwrap();
        let key = DataDirectory::open(directory.path()).unwrap().root_key();
        let made = std::fs::read(&key).unwrap();
        assert_eq!(made.len(), 32);
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        drop(DataDirectory::open(directory.path()).unwrap());
        assert_eq!(std::fs::read(&key).unwrap(), made);

        std::fs::create_dir(directory.path().join("postgres")).unwrap();
        std::fs::remove_file(&key).unwrap();
        let refused = DataDirectory::open(directory.path()).err().unwrap();
        assert!(matches!(refused, DataDirectoryError::RootKeyMissing(_)), "{refused}");
    }
}
