//! The listener: bound first, so that the address is known; run until it is asked to stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use super::edge::edge;
use super::routes;
use super::state::AppState;
use crate::config::{LimitSettings, ServerSettings};
use crate::service::Vault;

/// How long a client may take to send the head of a request.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the service does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: choose another with PUSHVAULT__SERVER__LISTEN or --listen")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system failed the listener.
    #[error("the HTTP server failed")]
    Failed(#[from] std::io::Error),
}

/// A listener with the vault behind it.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    settings: ServerSettings,
    state: Data<AppState>,
}

impl Server {
    /// Binds the address; callers wait in the kernel's queue until [`Server::run`].
    pub fn bind(settings: &ServerSettings, limits: &LimitSettings, vault: Arc<Vault>) -> Result<Self, ServerError> {
        let bind = |source| ServerError::Bind {
            address: settings.listen,
            source,
        };
        let listener = TcpListener::bind(settings.listen).map_err(bind)?;
        Ok(Self {
            address: listener.local_addr().map_err(bind)?,
            listener,
            state: Data::new(AppState::new(vault, settings.public_url.clone(), limits)),
            settings: settings.clone(),
        })
    }

    /// Where it listens, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready; then lets the requests under way finish.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        let state = self.state;
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .wrap(from_fn(edge))
                .configure(routes::register)
        })
        .workers(self.settings.workers)
        .shutdown_timeout(self.settings.shutdown_timeout.as_secs())
        .client_request_timeout(REQUEST_HEAD_TIMEOUT)
        // Signals are the composition root's business: `dev` stops Postgres after the server.
        .disable_signals()
        .listen(self.listener)?
        .run();
        let handle: ServerHandle = server.handle();
        tokio::spawn(async move {
            stop.await;
            handle.stop(true).await;
        });
        Ok(server.await?)
    }
}
