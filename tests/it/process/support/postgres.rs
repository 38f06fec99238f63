//! A Postgres of its own, for what happens to a whole server: roles, backups, an empty one to restore on.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pushvault::dev::cluster::{Cluster, Durability};
use tempfile::TempDir;

use super::Database;

/// A server that keeps what it was told, as one in production does: what the disk takes is part of every time measured
/// on it. It goes away with this value.
pub(crate) struct Postgres {
    cluster: Cluster,
    directory: TempDir,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Where this process is root, Postgres runs as somebody else, who has to pass through.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o711)).unwrap();
        Self::start_in(directory)
    }

    /// Starts the server whose files lie in this directory.
    pub(crate) fn start_in(directory: TempDir) -> Self {
        Self {
            cluster: Cluster::start(directory.path(), Durability::Full).unwrap(),
            directory,
        }
    }

    /// Stops the server and leaves its files.
    pub(crate) fn stop(self) -> TempDir {
        self.cluster.stop().unwrap();
        self.directory
    }

    /// The superuser's address of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        self.cluster.url(database)
    }

    /// What stands between the `@` and the end in the address of a database: a role's own address is made with it.
    pub(crate) fn place(&self, database: &str) -> String {
        let url = self.url(database);
        let (_, place) = url.split_once('@').unwrap();
        place.to_owned()
    }

    pub(crate) async fn database(&self, name: &str) -> Database {
        Database::connect(&self.url(name)).await
    }

    /// Where `psql`, `pg_dump` and the others of the same version are.
    pub(crate) fn programs(&self) -> &Path {
        self.cluster.bin_directory()
    }

    /// Where its files are.
    pub(crate) fn files(&self) -> PathBuf {
        self.directory.path().join("postgres")
    }
}
