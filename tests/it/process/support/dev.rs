//! `pushvault dev`: its data directory, what it says when it is ready, and how it ends.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::api::{Caller, SECRET};
use super::database::Database;
use super::processes::Process;
use super::program::{Ended, Program, Signal, look_until, pushvault, run, wait_for};

/// Where the clusters of root are kept when the user who runs Postgres cannot enter the data directory.
const CLUSTERS_OF_ROOT: &str = "/var/lib/pushvault-dev";

/// The place of a data directory. It goes away with everything that the vault keeps elsewhere.
pub(crate) struct DataDirectory {
    path: PathBuf,
    parent: TempDir,
}

/// What `dev.env` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) account_sid: String,
    pub(crate) auth_token: String,
    pub(crate) url: String,
}

/// A vault that was started by `pushvault dev` and is ready.
pub(crate) struct DevVault {
    pub(crate) program: Program,
    pub(crate) environment: Environment,
}

impl DataDirectory {
    pub(crate) fn new() -> Self {
        Self::named("data")
    }

    /// A data directory of that name, which is yet to be made, below a directory that only its owner may enter.
    pub(crate) fn named(name: impl AsRef<OsStr>) -> Self {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), Permissions::from_mode(0o700)).unwrap();
        Self {
            path: parent.path().canonicalize().unwrap().join(name.as_ref()),
            parent,
        }
    }

    /// Lets every user of the machine pass through the directory above.
    pub(crate) fn open_to_all(self) -> Self {
        fs::set_permissions(self.parent.path(), Permissions::from_mode(0o755)).unwrap();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// `pushvault dev` on this directory and a free port.
    pub(crate) fn command(&self) -> Command {
        self.command_of(pushvault())
    }

    pub(crate) fn command_of(&self, mut program: Command) -> Command {
        program
            .args(["dev", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&self.path);
        program
    }

    /// An operator's command on the vault of this directory.
    pub(crate) fn operate(&self, arguments: &[&str]) -> Ended {
        let mut command = pushvault();
        command
            .arg("--config")
            .arg(self.join("pushvault.toml"))
            .args(arguments)
            .args(["--format", "json"]);
        run(command)
    }

    /// The database of the running vault, by the address that stands in its settings file.
    pub(crate) async fn database(&self) -> Database {
        let settings = config::Config::builder()
            .add_source(config::File::from(self.join("pushvault.toml")))
            .build()
            .unwrap();
        Database::connect(&settings.get_string("database.url").unwrap()).await
    }

    /// Every process of its Postgres, the supervisor and an `initdb` too.
    pub(crate) fn postgres(&self) -> Vec<Process> {
        match self.join("postgres").canonicalize() {
            Ok(home) => Process::of(&home),
            Err(_) => Vec::new(),
        }
    }

    /// Whether nothing of its Postgres is left. Each process of Postgres inherits the lock, so it cannot be had before
    /// the last one has ended, even where `/proc` tells this user nothing about other users' processes.
    pub(crate) fn is_down(&self) -> bool {
        let lock = OpenOptions::new().write(true).open(self.join("postgres.lock"));
        let lock_is_free = lock.is_ok_and(|lock| lock.try_lock().is_ok());
        lock_is_free && self.postgres().is_empty()
    }

    pub(crate) fn wait_until_down(&self) {
        wait_for("the end of Postgres", || self.is_down().then_some(()));
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        let Ok(home) = self.join("postgres").canonicalize() else {
            return;
        };
        // A test that has failed already must not fail again here, so nothing panics.
        let _down = look_until(Duration::from_secs(30), || self.is_down().then_some(()));
        if home.starts_with(CLUSTERS_OF_ROOT) {
            let _left_behind = fs::remove_dir_all(home);
        }
    }
}

impl Environment {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let values: BTreeMap<_, _> = text.lines().map(|line| line.split_once('=').unwrap()).collect();
        assert_eq!(values.len(), 3, "{:?}", values.keys());
        Self {
            account_sid: values["TWILIO_ACCOUNT_SID"].to_owned(),
            auth_token: values["TWILIO_AUTH_TOKEN"].to_owned(),
            url: values["PUSHVAULT_URL"].to_owned(),
        }
    }

    /// The account that is ready to use, as a caller.
    pub(crate) fn caller(&self) -> Caller {
        Caller::new(&self.url, &self.account_sid, &self.auth_token)
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit_once(':').unwrap().1.parse().unwrap()
    }
}

impl DevVault {
    pub(crate) fn start(directory: &DataDirectory) -> Self {
        Self::start_with(directory.command(), directory)
    }

    /// Starts a command of one's own on the directory and waits until it says that it is ready.
    pub(crate) fn start_with(command: Command, directory: &DataDirectory) -> Self {
        Self::ready(Program::start(command), directory)
    }

    /// Waits until a program that has been started says that it is ready.
    pub(crate) fn ready(mut program: Program, directory: &DataDirectory) -> Self {
        program.wait_for("a greeting", |program| {
            program.stdout().contains("Ctrl-C stops it.").then_some(())
        });
        Self {
            program,
            environment: Environment::read(&directory.join("dev.env")),
        }
    }

    /// The printed line that registers a credential.
    pub(crate) fn printed_line(&self) -> String {
        let greeting = self.program.stdout();
        let mut lines = greeting.lines().filter(|line| line.contains("curl "));
        let line = lines.next().expect("a line with curl");
        assert_eq!(lines.next(), None, "one line is enough to paste");
        line.to_owned()
    }

    /// Stops the vault as its user would, and insists that it ends well, takes its Postgres with it and has printed no
    /// secret.
    pub(crate) fn stop(mut self, signal: Signal, directory: &DataDirectory) {
        let status = self.program.end_by(signal);
        assert_eq!(status.code(), Some(0), "{signal:?}: {}", self.program.stderr());
        assert!(directory.is_down(), "{:?}", directory.postgres());
        let printed = self.program.stdout() + &self.program.stderr();
        for secret in [self.environment.auth_token.as_str(), SECRET] {
            assert!(!printed.contains(secret), "{secret} was printed: {printed}");
        }
    }
}
