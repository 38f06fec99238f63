//! The composition root: settings in, a service that listens out. `serve`, `dev` and the tests all call it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::config::{ConfigError, Settings};
use crate::domain::audit::RequestContext;
use crate::http::{Admin, Server, ServerError};
use crate::service::{OpenError, Presence, Publisher, Vault};
use crate::store::{SchemaError, Store};
use crate::telemetry::{OtlpError, PostError, Traces};
use crate::tls::{Certificates, TlsError};

/// A service that listens.
pub struct Application {
    vault: Arc<Vault>,
    server: Server,
    admin: Option<Admin>,
    traces: Option<Traces>,
    publisher: Publisher,
    presence: Presence,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The files of TLS do not do.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The vault does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The address cannot be had.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// There can be no traces.
    #[error(transparent)]
    Traces(#[from] OtlpError),
    /// Checkpoints cannot be sent.
    #[error("setting checkpoint.url")]
    Checkpoint(#[from] PostError),
}

/// Why the schema was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database refused.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl Application {
    /// Opens the vault and binds the listeners.
    pub async fn build(settings: &Settings, context: &RequestContext) -> Result<Self, StartError> {
        let certificates = certificates(settings)?;
        let vault = Arc::new(Vault::open(settings, context).await?);
        let traces = settings.trace.as_ref().map(Traces::begin).transpose()?;
        let server = Server::bind(
            &settings.server,
            &settings.limits,
            &settings.database,
            certificates,
            Arc::clone(&vault),
            traces.as_ref().map(Traces::tracer),
        )?;
        let listen = settings.admin.listen;
        Ok(Self {
            admin: listen.map(|listen| Admin::bind(listen, &server)).transpose()?,
            publisher: Publisher::new(&settings.checkpoint)?,
            presence: vault.enter().await,
            server,
            vault,
            traces,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where those who run it ask how it fares, if anywhere.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::address)
    }

    /// How a caller on this machine begins a URL.
    pub fn origin(&self) -> String {
        self.server.origin()
    }

    /// The vault behind it.
    pub fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault)
    }

    /// Serves until `stop` is ready; then lets the requests under way finish, closes the database's connections and
    /// delivers the last spans. How that goes can be asked to the end.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        let Self {
            vault,
            server,
            admin,
            traces,
            publisher,
            presence,
        } = self;
        let (at_the_end, end) = oneshot::channel::<()>();
        let is_watched = admin.is_some();
        let api = async move {
            let (served, is_served) = oneshot::channel::<()>();
            let serve = Box::pin(async {
                let result = tokio::select! {
                    result = server.run(stop) => result,
                    never = vault.keep_fresh() => match never {},
                    never = vault.keep_sealing() => match never {},
                    never = vault.keep_publishing(publisher) => match never {},
                    never = vault.watch(), if is_watched => match never {},
                };
                drop(served);
                result
            });
            let stay = vault.stay(&presence, async move { drop(is_served.await) });
            let (result, ()) = tokio::join!(serve, stay);
            vault.close().await;
            if let Some(traces) = traces {
                traces.end().await;
            }
            drop(at_the_end);
            result
        };
        let admin = async move {
            match admin {
                Some(admin) => admin.run(async move { drop(end.await) }).await,
                None => Ok(()),
            }
        };
        let (api, admin) = tokio::join!(api, admin);
        api.and(admin)
    }
}

/// Checks what only the layers that use a setting can check; touches nothing.
pub fn check(settings: &Settings) -> Result<(), StartError> {
    Store::new(&settings.database, Arc::default())?;
    certificates(settings).map(drop)
}

/// What TLS needs, if it is spoken; if it is not, the service must listen where it may do without.
fn certificates(settings: &Settings) -> Result<Option<Certificates>, StartError> {
    settings.tls.permit(settings.server.listen)?;
    Ok(settings.tls.files.as_ref().map(Certificates::load).transpose()?)
}

/// Applies the migrations that are missing and says how many they were.
pub async fn migrate(settings: &Settings) -> Result<usize, MigrateError> {
    let store = Store::new(&settings.database, Arc::default())?;
    let result = store.migrate().await;
    store.close().await;
    Ok(result?)
}
