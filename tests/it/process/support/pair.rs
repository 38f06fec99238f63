//! Two servers of this machine's Postgres: a primary, and a hot standby without which nothing is acknowledged.

use pushvault::dev::cluster::{Cluster, Durability};

use super::database::Database;
use super::dev::DataDirectory;
use super::program::Signal;

/// The name by which the primary knows its standby.
const STANDBY: &str = "standby";

/// A primary and its standby. The servers end before their directories go away.
pub(crate) struct Pair {
    primary: Cluster,
    standby: Cluster,
    primary_directory: DataDirectory,
    _standby_directory: DataDirectory,
}

impl Pair {
    /// A primary that acknowledges no commit which its standby has not written down.
    pub(crate) async fn start() -> Self {
        let primary_directory = DataDirectory::new().open_to_all();
        let standby_directory = DataDirectory::new().open_to_all();
        let primary = Cluster::start(primary_directory.path(), Durability::Full).unwrap();
        let database = Database::connect(&primary.url("postgres")).await;
        // What is set before the copy is made is set in the copy too, as it is where both are set up alike.
        database
            .execute("alter system set synchronous_standby_names = 'standby'")
            .await;
        primary.copy_to_standby(standby_directory.path(), STANDBY).unwrap();
        let standby = Cluster::start(standby_directory.path(), Durability::Full).unwrap();
        let _reloaded: bool = database.value("select pg_reload_conf()").await;
        let is_followed = "select exists (select from pg_stat_replication where sync_state = 'sync')";
        database.wait_for("the standby follows", is_followed).await;
        Self {
            primary,
            standby,
            primary_directory,
            _standby_directory: standby_directory,
        }
    }

    pub(crate) fn primary_url(&self) -> String {
        self.primary.url("postgres")
    }

    pub(crate) fn standby_url(&self) -> String {
        self.standby.url("postgres")
    }

    pub(crate) async fn primary(&self) -> Database {
        Database::connect(&self.primary_url()).await
    }

    pub(crate) async fn standby(&self) -> Database {
        Database::connect(&self.standby_url()).await
    }

    pub(crate) fn kill_primary(&self) {
        kill(&self.primary_directory);
    }

    /// Makes the standby a primary that waits for nobody: `docs/operations.md` has the same statements.
    pub(crate) async fn promote_standby(&self) {
        let standby = self.standby().await;
        standby.execute("alter system set synchronous_standby_names = ''").await;
        let _reloaded: bool = standby.value("select pg_reload_conf()").await;
        assert!(standby.value::<bool>("select pg_promote()").await);
    }
}

/// Kills the first process of a server, and waits until those that it started have noticed.
fn kill(directory: &DataDirectory) {
    let postmaster: Vec<_> = directory
        .postgres()
        .into_iter()
        .filter(|process| process.command_line.contains("bin/postgres -D"))
        .map(|process| process.id)
        .collect();
    assert_eq!(postmaster.len(), 1, "{:?}", directory.postgres());
    Signal::Kill.send(&postmaster);
    directory.wait_until_down();
}
