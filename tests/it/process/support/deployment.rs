//! `pushvault serve` and the operator's commands, on a database of their own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use pushvault::dev::cluster::Cluster;
use serde_json::Value;
use tempfile::TempDir;

use super::api::{Caller, SECRET};
use super::database::Database;
use super::program::{Ended, PUSHVAULT, Program, Signal, clean, run};
use crate::harness::ReservedPort;

/// One throw-away server for all deployments. It ends with this process, however that ends.
static SERVER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start_temporary().unwrap());
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The password in every database address. The server asks for none, so that it is there only to be kept.
pub(crate) const PASSWORD: &str = "canary-database-password";

/// A database, a root key, and the settings that name them. Whatever the program prints is searched for every secret.
pub(crate) struct Deployment {
    directory: TempDir,
    program: RefCell<PathBuf>,
    settings: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    secrets: RefCell<Vec<String>>,
    ports: RefCell<Vec<ReservedPort>>,
}

/// A service that runs.
pub(crate) struct Service<'a> {
    deployment: &'a Deployment,
    pub(crate) program: Program,
    pub(crate) url: String,
    /// Where those who run it ask, if anywhere.
    pub(crate) admin: Option<String>,
}

/// An account or an API key, with the secret that was shown once.
pub(crate) struct Login {
    pub(crate) sid: String,
    pub(crate) secret: String,
}

impl Deployment {
    /// An empty database, and a root key in a file.
    pub(crate) fn empty() -> Self {
        let name = format!("process_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        SERVER.create_database_if_missing(&name).unwrap();
        Self::on(&SERVER.url(&name))
    }

    /// The same on the database with that address.
    pub(crate) fn on(url: &str) -> Self {
        let url = url.replacen('@', &format!(":{PASSWORD}@"), 1);
        let deployment = Self {
            directory: tempfile::tempdir().unwrap(),
            program: RefCell::new(PUSHVAULT.into()),
            settings: BTreeMap::new(),
            environment: BTreeMap::new(),
            secrets: RefCell::new(vec![PASSWORD.to_owned(), SECRET.to_owned()]),
            ports: RefCell::default(),
        };
        let root_key = deployment.write("root.key", [7; 32], 0o600);
        deployment
            .with("DATABASE__URL", &url)
            .with("SERVER__LISTEN", "127.0.0.1:0")
            .with("KEK__FILE", &root_key.to_string_lossy())
    }

    /// Where the programs of Postgres are.
    pub(crate) fn postgres_programs() -> &'static Path {
        SERVER.bin_directory()
    }

    /// The same with the schema in the database.
    pub(crate) fn migrated() -> Self {
        let deployment = Self::empty();
        deployment.run(&["migrate"]).succeeded();
        deployment
    }

    /// Sets a setting, by the name of its variable without the prefix.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(format!("PUSHVAULT__{name}"), value.to_owned());
        self
    }

    /// Sets a variable of the program's environment that is no setting.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.settings.remove(&format!("PUSHVAULT__{name}"));
        self
    }

    pub(crate) fn setting(&self, name: &str) -> &str {
        &self.settings[&format!("PUSHVAULT__{name}")]
    }

    /// The settings of a section, by the names of their keys.
    pub(crate) fn settings_of(&self, section: &str) -> Vec<(String, String)> {
        let prefix = format!("PUSHVAULT__{section}__");
        let settings = self.settings.iter();
        settings
            .filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), value.clone())))
            .collect()
    }

    /// Writes a file of that mode.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// From now on the program must never print this.
    pub(crate) fn keep(&self, secret: &str) {
        self.secrets.borrow_mut().push(secret.to_owned());
    }

    /// From now on, what is started here is this program; another version of it, for one.
    pub(crate) fn use_program(&self, program: &Path) {
        program.clone_into(&mut self.program.borrow_mut());
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = clean(Command::new(&*self.program.borrow()));
        command.args(arguments).envs(&self.settings).envs(&self.environment);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let ended = run(self.command(arguments));
        self.assert_kept(&(ended.stdout.clone() + &ended.stderr));
        ended
    }

    /// Runs a command that succeeds, and reads the JSON document that it prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--format", "json"]].concat();
        self.run(&arguments).succeeded().json()
    }

    pub(crate) fn create_account(&self) -> Login {
        self.login(&self.json(&["account", "create"]), "account_sid", "auth_token")
    }

    pub(crate) fn create_api_key(&self, account_sid: &str) -> Login {
        let document = self.json(&["api-key", "create", account_sid]);
        self.login(&document, "api_key_sid", "secret")
    }

    /// Moves an account's auth token along and returns the new one, where one is made.
    pub(crate) fn rotate_token(&self, arguments: &[&str]) -> Option<String> {
        let document = self.json(&[&["account", "rotate-token"], arguments].concat());
        let token = document["auth_token"].as_str()?;
        self.keep(token);
        Some(token.to_owned())
    }

    /// Starts the service and waits until it says where it listens.
    pub(crate) fn serve(&self) -> Service<'_> {
        self.start(self.command(&["serve"]))
    }

    /// The same at a port that stays its own when it has ended.
    pub(crate) fn serve_to_return(&self) -> Service<'_> {
        let port = ReservedPort::new();
        let address = port.address().to_string();
        self.ports.borrow_mut().push(port);
        self.serve_at(&address)
    }

    /// Starts the service where another one was before that was to return.
    pub(crate) fn serve_at(&self, url: &str) -> Service<'_> {
        let address = url.trim_start_matches("http://");
        self.start(self.command(&["serve", "--listen", address]))
    }

    pub(crate) fn start(&self, command: Command) -> Service<'_> {
        let mut program = Program::start(command);
        let started = program.wait_for("an address", |program| {
            let log = program.stdout();
            let line = log.lines().find(|line| line.contains("pushvault serves"))?;
            serde_json::from_str::<Value>(line).ok()
        });
        let address = |key: &str| started[key].as_str().map(str::to_owned);
        Service {
            deployment: self,
            program,
            url: format!("http://{}", address("address").expect("an address")),
            admin: address("admin_address"),
        }
    }

    pub(crate) async fn database(&self) -> Database {
        Database::connect(self.setting("DATABASE__URL")).await
    }

    /// Insists that none of the secrets stands in a text.
    #[track_caller]
    pub(crate) fn assert_kept(&self, printed: &str) {
        for secret in self.secrets.borrow().iter() {
            assert!(!printed.contains(secret.as_str()), "{secret} was printed: {printed}");
        }
    }

    fn login(&self, document: &Value, sid: &str, secret: &str) -> Login {
        let text = |key: &str| document[key].as_str().expect("a text").to_owned();
        self.keep(&text(secret));
        Login {
            sid: text(sid),
            secret: text(secret),
        }
    }
}

impl Service<'_> {
    pub(crate) fn caller(&self, login: &Login) -> Caller {
        self.caller_with(&login.sid, &login.secret)
    }

    pub(crate) fn caller_with(&self, sid: &str, secret: &str) -> Caller {
        Caller::new(&self.url, sid, secret)
    }

    /// A connection of the tests' own to its database.
    pub(crate) async fn database(&self) -> Database {
        self.deployment.database().await
    }

    /// Stops the service and insists that it ends well, having printed no secret. Returns what it printed.
    pub(crate) fn stop(mut self) -> String {
        let status = self.program.end_by(Signal::Terminate);
        assert_eq!(status.code(), Some(0), "{}", self.program.stderr());
        let printed = self.program.stdout() + &self.program.stderr();
        self.deployment.assert_kept(&printed);
        printed
    }
}
