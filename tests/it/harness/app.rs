//! The service under test: built by the same function as `serve`, on a port of its own, stopped when dropped.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushvault::app::Application;
use pushvault::config::Settings;
use pushvault::domain::account::AccountStatus;
use pushvault::domain::audit::RequestContext;
use pushvault::domain::principal::AccountScope;
use pushvault::domain::right::Right;
use pushvault::domain::sid::AccountSid;
use pushvault::service::Vault;
use pushvault_crypto::{KeyEncryptionKey, random};
use secrecy::ExposeSecret as _;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::client::Client;
use super::{TestDatabase, TlsClient, TlsDirectory, block_on, log, migrated_database, runtime};

/// Settings that make tests quick: the cheapest Argon2 that the standard allows, one worker, few connections. The waits
/// are long, because a busy machine is no reason for a test to fail; tests of a wait set their own.
const SETTINGS: &str = r#"
[server]
listen = "127.0.0.1:0"
workers = 1
shutdown_timeout_seconds = 1

[database]
max_connections = 3
acquire_timeout_seconds = 30
statement_timeout_seconds = 30

[authentication]
argon2_memory_kib = 64
argon2_iterations = 1
argon2_parallelism = 1
argon2_concurrency = 2

[rate_limit]
enabled = false

[kek]
provider = "file"
"#;

/// How long a connection of its own may stay silent.
const RAW_LIMIT: Duration = Duration::from_secs(10);

/// A running service with a database of its own.
pub(crate) struct TestApp {
    pub(crate) root_key: [u8; KeyEncryptionKey::LENGTH],
    pub(crate) database: TestDatabase,
    /// The tests' own way into the database.
    pub(crate) pool: PgPool,
    settings: Settings,
    running: Running,
    http: reqwest::Client,
    transcript: Arc<Mutex<String>>,
    accounts: Mutex<HashMap<String, Account>>,
    tls: Option<TlsDirectory>,
    _directory: TempDir,
}

/// The service itself, until this value is dropped.
struct Running {
    origin: String,
    admin_origin: Option<String>,
    vault: Arc<Vault>,
    _stop: oneshot::Sender<()>,
}

/// The service a second time, on the database of a [`TestApp`].
pub(crate) struct Replica(Running);

/// An account with its first auth token.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) sid: AccountSid,
    pub(crate) token: String,
}

impl Account {
    pub(crate) fn scope(&self) -> AccountScope {
        AccountScope::for_operator(self.sid.clone())
    }
}

impl TestApp {
    /// A service on a fresh, migrated database.
    pub(crate) async fn spawn() -> Self {
        Self::spawn_with(migrated_database(), |_| {}).await
    }

    /// A service on the given database, with some settings changed.
    pub(crate) async fn spawn_with(database: TestDatabase, tune: impl FnOnce(&mut Settings)) -> Self {
        log::install();
        let directory = tempfile::tempdir().unwrap();
        let mut root_key = [0; KeyEncryptionKey::LENGTH];
        random::fill(&mut root_key).unwrap();
        let mut settings = load_settings(&directory, database.url(), &root_key);
        tune(&mut settings);

        Self {
            pool: PgPoolOptions::new()
                .max_connections(2)
                .connect(database.url())
                .await
                .unwrap(),
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                // Well before the service ends a connection that rests, so that no request meets its end.
                .pool_idle_timeout(Duration::from_secs(1))
                .build()
                .unwrap(),
            running: Running::start(&settings),
            transcript: Arc::default(),
            root_key,
            database,
            settings,
            accounts: Mutex::default(),
            tls: None,
            _directory: directory,
        }
    }

    /// A service on a fresh, migrated database that speaks TLS with these files, with some settings changed. Only
    /// [`Self::connect`] and what is made of it reach it.
    pub(crate) async fn spawn_over_tls(files: TlsDirectory, tune: impl FnOnce(&mut Settings)) -> Self {
        let app = Self::spawn_with(migrated_database(), |settings| {
            files.apply(settings);
            tune(settings);
        })
        .await;
        Self {
            tls: Some(files),
            ..app
        }
    }

    /// The same service twice: one that speaks plain HTTP, one that speaks TLS.
    pub(crate) async fn over_both(tune: impl Fn(&mut Settings)) -> [Self; 2] {
        [
            Self::spawn_with(migrated_database(), &tune).await,
            Self::spawn_over_tls(TlsDirectory::new(), &tune).await,
        ]
    }

    /// The files with which it speaks TLS.
    pub(crate) fn tls(&self) -> &TlsDirectory {
        self.tls.as_ref().expect("a service that speaks TLS")
    }

    /// A client that trusts its certificate, if it has one.
    pub(crate) fn tls_client(&self) -> Option<TlsClient> {
        self.tls.as_ref().map(|files| files.authority.trusting())
    }

    /// Stops the service and starts it again on the same database. Clients made before know its old address.
    pub(crate) fn restart(&mut self) {
        self.running = Running::start(&self.settings);
    }

    /// The same, with some settings changed.
    pub(crate) fn restart_with(&mut self, tune: impl FnOnce(&mut Settings)) {
        tune(&mut self.settings);
        self.restart();
    }

    /// A caller without credentials.
    pub(crate) fn anonymous(&self) -> Client {
        Client {
            http: self.http.clone(),
            origin: self.running.origin.clone(),
            credentials: None,
            transcript: Arc::clone(&self.transcript),
        }
    }

    /// The same with a listener for those who run it.
    pub(crate) async fn spawn_with_admin() -> Self {
        Self::spawn_with(migrated_database(), with_admin).await
    }

    /// Whoever asks at that listener.
    pub(crate) fn admin(&self) -> Client {
        Client {
            origin: self
                .running
                .admin_origin
                .clone()
                .expect("a service with an admin listener"),
            ..self.anonymous()
        }
    }

    /// A caller with the Account SID and auth token of the account that the tests call `name`.
    pub(crate) fn account(&self, name: &str) -> Client {
        let account = self.account_named(name);
        self.with_credentials(account.sid.as_str(), &account.token)
    }

    /// A caller with a new API key of that account, with the rights that a key has where nobody says which.
    pub(crate) fn api_key(&self, name: &str) -> Client {
        self.api_key_with(name, &[Right::CredentialsRead, Right::CredentialsWrite])
    }

    /// The same with these rights.
    pub(crate) fn api_key_with(&self, name: &str, rights: &[Right]) -> Client {
        let scope = self.account_named(name).scope();
        let rights = rights.iter().copied().collect();
        let key = self
            .vault(|vault| async move { vault.create_api_key(&operator(), &scope, None, rights).await })
            .unwrap();
        self.with_credentials(key.api_key_sid.as_str(), key.secret.expose_secret())
    }

    /// A caller with these credentials.
    pub(crate) fn with_credentials(&self, user_name: &str, secret: &str) -> Client {
        Client {
            credentials: Some((user_name.to_owned(), secret.to_owned())),
            ..self.anonymous()
        }
    }

    /// The account that the tests call `name`, created at its first use.
    pub(crate) fn account_named(&self, name: &str) -> Account {
        let mut accounts = self.accounts.lock().unwrap();
        let account = accounts.entry(name.to_owned()).or_insert_with(|| {
            let new = self
                .vault(|vault| async move { vault.create_account(&operator(), None).await })
                .unwrap();
            Account {
                sid: new.account_sid,
                token: new.auth_token.expose_secret().to_owned(),
            }
        });
        account.clone()
    }

    /// Lets that account's callers in, or keeps them out, as `pushvault account activate` and `suspend` do.
    pub(crate) fn set_status(&self, name: &str, status: AccountStatus) {
        let scope = self.account_named(name).scope();
        self.vault(|vault| async move { vault.set_account_status(&operator(), &scope, status).await })
            .unwrap();
    }

    /// Calls the vault as the operator's commands do. It runs where the service runs, because a connection to the
    /// database belongs to the runtime that opened it.
    pub(crate) fn vault<T, F>(&self, call: impl FnOnce(Arc<Vault>) -> F + Send) -> T
    where
        T: Send,
        F: Future<Output = T>,
    {
        block_on(|| call(Arc::clone(&self.running.vault)))
    }

    /// Starts the service once more on the same database, with some settings changed: another replica.
    pub(crate) fn another(&self, tune: impl FnOnce(&mut Settings)) -> Replica {
        let mut settings = self.settings.clone();
        tune(&mut settings);
        Replica(Running::start(&settings))
    }

    /// What another replica says instead of starting, with some settings changed.
    pub(crate) fn refusal(&self, tune: impl FnOnce(&mut Settings)) -> String {
        let mut settings = self.settings.clone();
        tune(&mut settings);
        let result = block_on(|| async { Application::build(&settings, &operator()).await });
        pushvault::telemetry::chain(&result.err().expect("it does not start"))
    }

    /// Opens the vault a second time, as another replica would: nothing of it is in memory yet.
    pub(crate) fn replica<T, F>(&self, call: impl FnOnce(Arc<Vault>) -> F + Send) -> T
    where
        T: Send,
        F: Future<Output = T>,
    {
        block_on(|| async {
            let vault = Arc::new(Vault::open(&self.settings, &operator()).await.unwrap());
            let result = call(Arc::clone(&vault)).await;
            vault.close().await;
            result
        })
    }

    /// Every answer that this service gave to the clients above.
    pub(crate) fn transcript(&self) -> String {
        self.transcript.lock().unwrap().clone()
    }

    /// Where the service listens, without a scheme.
    pub(crate) fn host(&self) -> &str {
        self.origin().split_once("://").unwrap().1
    }

    pub(crate) fn origin(&self) -> &str {
        &self.running.origin
    }

    /// Sends bytes as they are and answers what comes back until the service hangs up.
    pub(crate) fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.host()).unwrap();
        stream.set_read_timeout(Some(RAW_LIMIT)).unwrap();
        // The service may refuse and hang up before it has read everything; what it said by then counts.
        let _ = stream
            .write_all(request)
            .and_then(|()| stream.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The same, and the answer counts among those of [`Self::transcript`].
    pub(crate) fn raw_recorded(&self, request: &[u8]) {
        let answer = self.raw(request);
        self.transcript.lock().unwrap().push_str(&answer);
    }
}

impl Replica {
    /// The same caller, of this replica.
    pub(crate) fn client(&self, client: &Client) -> Client {
        Client {
            origin: self.0.origin.clone(),
            ..client.clone()
        }
    }

    /// The vault behind it, to look at what it remembers.
    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }
}

impl Running {
    fn start(settings: &Settings) -> Self {
        let application = block_on(|| async { Application::build(settings, &operator()).await }).unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = Self {
            origin: application.origin(),
            admin_origin: application.admin_address().map(|address| format!("http://{address}")),
            vault: application.vault(),
            _stop: stop,
        };
        runtime::handle().spawn(async move {
            // Dropping the sender is the sign to stop.
            let stopped = async move { drop(stopped.await) };
            application.run(stopped).await.expect("the server ends well");
        });
        running
    }
}

/// What the service says instead of starting on this database, with a root key that is not the database's.
pub(crate) fn start_refusal(database: &TestDatabase) -> String {
    let directory = tempfile::tempdir().unwrap();
    let settings = load_settings(&directory, database.url(), &[7; KeyEncryptionKey::LENGTH]);
    let result = block_on(|| async { Application::build(&settings, &operator()).await });
    pushvault::telemetry::chain(&result.err().expect("it does not start"))
}

/// The setting that gives a service a listener for those who run it.
pub(crate) fn with_admin(settings: &mut Settings) {
    settings.admin.listen = Some(([127, 0, 0, 1], 0).into());
}

/// What the operator's commands act as.
pub(crate) fn operator() -> RequestContext {
    RequestContext::operator("tests".to_owned())
}

fn load_settings(directory: &TempDir, url: &str, root_key: &[u8]) -> Settings {
    let key_file = directory.path().join("root.key");
    std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&key_file)
        .unwrap()
        .write_all(root_key)
        .unwrap();
    let file = directory.path().join("settings.toml");
    let with_key = format!("{SETTINGS}file = {:?}\n", key_file.to_str().unwrap());
    let settings = with_key.replace("[database]\n", &format!("[database]\nurl = {url:?}\n"));
    std::fs::write(&file, settings).unwrap();
    Settings::load(Some(&file)).unwrap()
}
