//! A Postgres of its own, for what happens to a whole server: roles, backups, an empty one to restore on.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pushvault::dev::cluster::{Cluster, Durability};
use tempfile::TempDir;

use super::Database;

/// A server with files of its own. It goes away with this value.
pub(crate) struct Postgres {
    cluster: Cluster,
    directory: TempDir,
}

impl Postgres {
    pub(crate) fn start(durability: Durability) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Where this process is root, Postgres runs as somebody else, who has to pass through.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o711)).unwrap();
        Self::start_in(directory, durability)
    }

    /// Starts the server whose files lie in this directory.
    pub(crate) fn start_in(directory: TempDir, durability: Durability) -> Self {
        Self {
            cluster: Cluster::start(directory.path(), durability).unwrap(),
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
