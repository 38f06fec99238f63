//! `pushvault dev`: the vault with a Postgres of its own, in one data directory, with an account ready to use.

pub mod cluster;
mod data_directory;
mod environment_file;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::{Application, MigrateError, StartError, migrate};
use crate::config::{ConfigError, Settings};
use crate::domain::audit::RequestContext;
use crate::domain::principal::{AccountScope, Login};
use crate::domain::text::FriendlyName;
use crate::http::ServerError;
use crate::service::{TokenRotation, Vault, VaultError};

use cluster::{Cluster, ClusterError, Durability};
use data_directory::DataDirectory;
pub use data_directory::DataDirectoryError;
use environment_file::{AccountCredentials, EnvironmentFile};

/// The name of the one account, and of the database.
const ACCOUNT_NAME: &str = "dev";
const DATABASE_NAME: &str = "pushvault";

/// Why the vault of a data directory does not start.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDirectory(#[from] DataDirectoryError),
    /// Postgres does not start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The schema was not brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The service does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The service failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The account could not be made ready.
    #[error("cannot make the account ready")]
    Account(#[source] VaultError),
    /// A task ended before its work was done.
    #[error("a background task ended early")]
    Interrupted,
}

/// A vault with a Postgres of its own, ready to run.
pub struct Dev {
    // The order is the order in which they end: the service before its database, the lock last.
    application: Application,
    cluster: Cluster,
    data_directory: DataDirectory,
    account: AccountCredentials,
}

impl Dev {
    /// Starts everything that `directory` holds; what is missing is made. The settings are the service's own, but for
    /// the database and the root key, which are the directory's.
    pub async fn start(
        directory: &Path,
        settings_file: Option<&Path>,
        mut overrides: Vec<(&'static str, String)>,
        context: &RequestContext,
    ) -> Result<Self, DevError> {
        let data_directory = DataDirectory::open(directory)?;
        let environment_file = EnvironmentFile::of(&data_directory);
        // Whoever waits for the file shall not find the one of the last run.
        let remembered = environment_file.set_aside()?;

        let cluster_directory = data_directory.path().to_owned();
        let cluster = tokio::task::spawn_blocking(move || {
            let cluster = Cluster::start(&cluster_directory, Durability::Full)?;
            cluster.create_database_if_missing(DATABASE_NAME)?;
            Ok::<_, ClusterError>(cluster)
        })
        .await
        .map_err(|_| DevError::Interrupted)??;
        let url = cluster.url(DATABASE_NAME);

        // The operator's commands work on the same vault with `--config`.
        data_directory.write_settings(&url)?;
        overrides.extend([
            ("database.url", url),
            ("database.url_file", String::new()),
            ("kek.provider", "file".to_owned()),
            ("kek.file", data_directory.root_key().to_string_lossy().into_owned()),
        ]);
        let settings = Settings::load_with(settings_file, &overrides)?;
        migrate(&settings).await?;
        let application = Application::build(&settings, context).await?;
        let account = ready_account(&application.vault(), context, remembered)
            .await
            .map_err(DevError::Account)?;
        environment_file.write(&account, &application.origin())?;
        Ok(Self {
            application,
            cluster,
            data_directory,
            account,
        })
    }

    /// How a caller on this machine begins a URL.
    pub fn origin(&self) -> String {
        self.application.origin()
    }

    /// The major version of its Postgres.
    pub fn postgres_version(&self) -> u32 {
        self.cluster.version()
    }

    /// The account that is ready to use.
    pub fn account_sid(&self) -> &str {
        self.account.account_sid.as_str()
    }

    /// The file that names address and account.
    pub fn environment_file(&self) -> PathBuf {
        EnvironmentFile::of(&self.data_directory).path().to_owned()
    }

    /// The settings file for the operator's commands.
    pub fn settings_file(&self) -> PathBuf {
        self.data_directory.settings_file()
    }

    /// Serves until `stop` is ready; then stops the service, and after it Postgres.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), DevError> {
        let served = self.application.run(stop).await;
        // A file that stayed here would tell whoever waits for the next run of a vault that is gone.
        let set_aside = EnvironmentFile::of(&self.data_directory).set_aside();
        let cluster = self.cluster;
        tokio::task::spawn_blocking(move || cluster.stop())
            .await
            .map_err(|_| DevError::Interrupted)??;
        drop(self.data_directory);
        set_aside?;
        Ok(served?)
    }
}

/// The account of the last run with its token, if it still lets in; else a new token for it; else a new account.
async fn ready_account(
    vault: &Arc<Vault>,
    context: &RequestContext,
    remembered: Option<AccountCredentials>,
) -> Result<AccountCredentials, VaultError> {
    if let Some(account) = remembered {
        let login = Login {
            user_name: account.account_sid.to_string(),
            secret: account.auth_token.clone(),
        };
        match vault.authenticate(None, Some(&login)).await {
            Ok(_) | Err(VaultError::Suspended(_)) => return Ok(account),
            Err(VaultError::Unauthenticated { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    let name = FriendlyName::parse(ACCOUNT_NAME)?;
    if let Some(account) = vault
        .accounts()
        .await?
        .into_iter()
        .find(|account| account.friendly_name == name)
    {
        let scope = AccountScope::for_operator(account.account_sid.clone());
        if let Some(auth_token) = vault.rotate_token(context, &scope, TokenRotation::Replace).await? {
            return Ok(AccountCredentials {
                account_sid: account.account_sid,
                auth_token,
            });
        }
    }
    let new = vault.create_account(context, Some(ACCOUNT_NAME)).await?;
    Ok(AccountCredentials {
        account_sid: new.account_sid,
        auth_token: new.auth_token,
    })
}
