//! The listener: bound first, so that the address is known; run until it is asked to stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::ServerHandle;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use tokio::net::TcpStream;

use super::connection::{Connection, Patience};
use super::edge::edge;
use super::openapi;
use super::routes;
use super::state::AppState;
use super::unread::refuse_unread;
use crate::config::{LimitSettings, ServerSettings};
use crate::service::Vault;
use crate::telemetry::Tracer;

/// How long a connection stays open after an answer that came before the whole request had: a client that still sends
/// would else never read it.
const LINGER: Duration = Duration::from_secs(2);

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
    state: Data<AppState>,
}

impl Server {
    /// Binds the address; callers wait in the kernel's queue until [`Server::run`].
    pub fn bind(
        settings: &ServerSettings,
        limits: &LimitSettings,
        vault: Arc<Vault>,
        tracer: Option<Tracer>,
    ) -> Result<Self, ServerError> {
        let bind = |source| ServerError::Bind {
            address: settings.listen,
            source,
        };
        if let Some(warning) = settings.public_url_warning() {
            tracing::warn!(setting = "server.public_url", "{warning}");
        }
        let listener = TcpListener::bind(settings.listen).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Self {
            state: Data::new(AppState::new(vault, settings, limits, openapi::document(), tracer)),
            address,
            listener,
        })
    }

    /// Where it listens, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready; then lets the requests under way finish.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        let Self {
            listener,
            address,
            state,
        } = self;
        let (workers, shutdown_timeout) = (state.server.workers, state.server.shutdown_timeout);
        let builder = actix_server::Server::build();
        let draining = builder.graceful_shutdown_signal();
        let server = builder
            .workers(workers)
            .shutdown_timeout(shutdown_timeout.as_secs())
            // Signals are the composition root's business: `dev` stops Postgres after the server.
            .disable_signals()
            .listen("pushvault", listener, move || {
                let keep_alive = state.server.keep_alive;
                let patience = Patience {
                    head: state.limits.head_time,
                    rest: keep_alive + state.limits.head_time,
                    stall: state.limits.stall_time,
                    linger: LINGER,
                };
                let draining = draining.clone();
                let app = App::new()
                    .app_data(state.clone())
                    .wrap(from_fn(edge))
                    .configure(routes::register)
                    .into_factory()
                    .map_err(|error| error.error_response());
                let http = HttpService::build()
                    .graceful_shutdown_signal(move || {
                        let draining = draining.clone();
                        async move { draining.notified().await }
                    })
                    .keep_alive(keep_alive)
                    .client_request_timeout(patience.head)
                    .client_disconnect_timeout(LINGER)
                    .local_addr(address)
                    .on_connect_ext(|io: &Connection<TcpStream>, data| {
                        data.insert(io.activity());
                        if let Some(address) = io.local_address() {
                            data.insert(address);
                        }
                    })
                    .h1(map_config(app, |()| AppConfig::default()));
                fn_service(move |io: TcpStream| async move {
                    let peer = io.peer_addr().ok();
                    Ok((Connection::new(io, patience, refuse_unread), peer))
                })
                .and_then(http)
            })?
            .run();
        let handle: ServerHandle = server.handle();
        tokio::spawn(async move {
            stop.await;
            handle.stop(true).await;
        });
        Ok(server.await?)
    }
}
