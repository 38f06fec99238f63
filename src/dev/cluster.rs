//! A real Postgres, private to one directory: the embedded default of `pushvault dev` and the private cluster of
//! the tests.
//!
//! It is started from the server programs of the machine, listens on a Unix socket only and lives no longer than the
//! process that started it, however that one ends (`supervisor`). When that process is root, Postgres runs as another
//! user, because it refuses to run as root (`runner`).
//!
//! Whoever reaches the socket is let in as superuser, with no password. That is sound only because the socket lies
//! in a directory of mode 0700 and there is no TCP listener; both are set here and nowhere else.

mod binaries;
mod error;
mod home;
mod machine;
mod predecessor;
mod runner;
mod supervisor;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use self::binaries::Binaries;
pub use self::error::ClusterError;
use self::home::{Home, PORT};
use self::machine::Patience;
use self::runner::Runner;
pub use self::supervisor::Durability;
use self::supervisor::{SUPERUSER, Supervisor};

/// How long an earlier Postgres of the same directory may take to go down.
const PREDECESSOR_LIMIT: Duration = Duration::from_secs(30);
/// How long Postgres may take until it accepts connections, recovery included.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// How much longer the first start may take, which creates the cluster.
const INITDB_LIMIT: Duration = Duration::from_mins(1);
/// The length at which Postgres cuts off a name.
const NAME_BYTES_MAX: usize = 63;

/// A running Postgres of our own. It is stopped when this value is dropped, and also when this process is killed.
#[derive(Debug)]
pub struct Cluster {
    binaries: Binaries,
    home: Home,
    supervisor: Supervisor,
}

impl Cluster {
    /// Starts the cluster kept in `directory`, and on the first start creates it (and the directory, with mode 0700).
    ///
    /// A Postgres that an earlier process left behind is waited for, so a start right after `kill -9` recovers.
    pub fn start(directory: &Path, durability: Durability) -> Result<Self, ClusterError> {
        let runner = Runner::for_this_process()?;
        let directory = home::prepare(directory)?;
        let patience = Patience::lasting(PREDECESSOR_LIMIT);
        let lock = predecessor::lock(&directory, &patience)?;
        let home = Home::open(&directory, runner)?;
        let major = home.major()?;
        let binaries = Binaries::find(home.runner(), major).map_err(|missing| match major {
            Some(major) => missing.for_cluster(home.path(), major),
            None => missing.for_any(),
        })?;
        if major.is_some() {
            predecessor::wait_until_down(&home, &binaries, &patience)?;
        }
        Self::launch(binaries, home, durability, Some(lock))
    }

    /// Starts a throw-away cluster in a fresh temporary directory.
    ///
    /// The directory is removed with everything in it when this process ends, however it ends.
    pub fn start_temporary() -> Result<Self, ClusterError> {
        let home = Home::temporary(Runner::for_this_process()?)?;
        let binaries = Binaries::find(home.runner(), None).map_err(binaries::NoneSuitable::for_any)?;
        Self::launch(binaries, home, Durability::ForgetOnCrash, None)
    }

    /// The address of a database of this cluster, for sqlx as well as for `psql` and `pg_dump`.
    ///
    /// The port and the TLS mode are spelled out so that `PGPORT` and `PGSSLMODE` cannot lead anywhere else.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let sockets = percent_encode(self.socket_directory().as_os_str().as_encoded_bytes());
        let database = percent_encode(database.as_bytes());
        format!("postgres://{SUPERUSER}@{sockets}:{PORT}/{database}?sslmode=disable")
    }

    /// The directory that holds the socket, for programs that take it as their host.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        self.home.sockets()
    }

    /// The directory of `psql`, `pg_dump` and the other programs that belong to this server.
    #[must_use]
    pub fn bin_directory(&self) -> &Path {
        self.binaries.directory()
    }

    /// The major version of the server.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.binaries.major()
    }

    /// Creates the database `name` unless the cluster has it already. The name consists of `a-z`, `0-9` and `_`.
    pub fn create_database_if_missing(&self, name: &str) -> Result<(), ClusterError> {
        if !is_plain_name(name) {
            return Err(ClusterError::Name { name: name.to_owned() });
        }
        if self.has_database(name)? {
            return Ok(());
        }
        // `template0` has no session that could be in the way of copying it.
        let statement = format!("create database {name} template template0");
        match self.psql(&statement) {
            Ok(_) => Ok(()),
            // Somebody else may have created it in the meantime, and then it is there as asked.
            Err(_) if self.has_database(name)? => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Copies this running cluster to `directory`, to be started from there as a hot standby that follows this one and
    /// goes by `name`, of `a-z`, `0-9` and `_`, among its standbys.
    pub fn copy_to_standby(&self, directory: &Path, name: &str) -> Result<(), ClusterError> {
        if !is_plain_name(name) {
            return Err(ClusterError::Name { name: name.to_owned() });
        }
        let home = Home::open(&home::prepare(directory)?, self.home.runner())?;
        let source = format!("{}&application_name={name}", self.url("postgres"));
        let mut command = home.runner().command(self.binaries.program("pg_basebackup"));
        command
            .args(["--no-password", "--checkpoint=fast", "--wal-method=stream"])
            .args(["--write-recovery-conf", "--dbname", &source, "--pgdata"])
            .arg(home.data());
        let output = runner::output_of(&mut command)?;
        if output.status.success() {
            Ok(())
        } else {
            Err(ClusterError::Standby {
                output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            })
        }
    }

    /// Shuts Postgres down cleanly and waits until it is down. Dropping the value does the same, but hides errors.
    pub fn stop(mut self) -> Result<(), ClusterError> {
        self.supervisor.end()
    }

    fn launch(
        binaries: Binaries,
        home: Home,
        durability: Durability,
        lock: Option<File>,
    ) -> Result<Self, ClusterError> {
        let limit = if home.has_data() {
            READY_LIMIT
        } else {
            READY_LIMIT + INITDB_LIMIT
        };
        let supervisor = Supervisor::start(&binaries, &home, durability, lock)?;
        let mut cluster = Self {
            binaries,
            home,
            supervisor,
        };
        cluster.wait_until_ready(limit)?;
        Ok(cluster)
    }

    fn wait_until_ready(&mut self, limit: Duration) -> Result<(), ClusterError> {
        let patience = Patience::lasting(limit);
        loop {
            self.supervisor.check_running()?;
            if self.accepts_connections()? {
                return Ok(());
            }
            if !patience.pause() {
                return Err(ClusterError::NotReady {
                    seconds: limit.as_secs(),
                    log: self.home.log(),
                });
            }
        }
    }

    fn accepts_connections(&self) -> Result<bool, ClusterError> {
        // Without the socket there is no need to start a program just to hear that it is missing.
        if !self.home.socket().exists() {
            return Ok(false);
        }
        let mut command = self.home.runner().command(self.binaries.program("pg_isready"));
        command.arg("--quiet").args(self.connection("postgres"));
        Ok(runner::output_of(&mut command)?.status.success())
    }

    fn has_database(&self, name: &str) -> Result<bool, ClusterError> {
        let query = format!("select count(*) from pg_database where datname = '{name}'");
        Ok(self.psql(&query)?.trim() == "1")
    }

    /// Runs one statement in the database `postgres` and returns what psql prints.
    fn psql(&self, statement: &str) -> Result<String, ClusterError> {
        let mut command = self.home.runner().command(self.binaries.program("psql"));
        command
            .args(["--no-psqlrc", "--no-password", "--tuples-only"])
            .args(["--no-align", "--quiet", "--command", statement])
            .args(self.connection("postgres"));
        let output = runner::output_of(&mut command)?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(ClusterError::Statement {
                statement: statement.to_owned(),
                output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            })
        }
    }

    /// The options with which every client program of Postgres finds this server.
    fn connection(&self, database: &str) -> [OsString; 8] {
        [
            "--host".into(),
            self.socket_directory().into(),
            "--port".into(),
            PORT.into(),
            "--username".into(),
            SUPERUSER.into(),
            "--dbname".into(),
            database.into(),
        ]
    }
}

/// Only names that need no quotes, neither in SQL nor in a URL.
fn is_plain_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn percent_encode(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            encoded.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{is_plain_name, percent_encode};

    #[test]
    fn a_socket_directory_becomes_one_host() {
        assert_eq!(percent_encode(b"/tmp/a b-c_d.e"), "%2Ftmp%2Fa%20b-c_d.e");
        assert_eq!(percent_encode("ü@:?#".as_bytes()), "%C3%BC%40%3A%3F%23");
    }

    #[test]
    fn only_names_that_need_no_quotes_are_taken() {
        assert!(is_plain_name("pushvault_test_1"));
        assert!(is_plain_name(&"a".repeat(63)));
        for name in ["", "Upper", "a-b", "a b", "a'b", "ä", &"a".repeat(64)] {
            assert!(!is_plain_name(name), "{name:?} was taken");
        }
    }
}
