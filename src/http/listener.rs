//! An address that is listened on: bound first, so that it is known; HTTP is served on it until it is asked to stop.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::ServerHandle;
use actix_service::{IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::web::Data;
use actix_web::{App, Error};
use tokio::net::TcpStream;

use super::connection::{Connection, Patience, Refusal};
use super::state::AppState;

/// How long a connection stays open after an answer that came before the whole request had: a client that still sends
/// would else never read it.
const LINGER: Duration = Duration::from_secs(2);

/// Why the service does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: choose another with {remedy}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The setting that says where to listen.
        remedy: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system failed the listener.
    #[error("the HTTP server failed")]
    Failed(#[from] std::io::Error),
}

/// An address that is listened on.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// How a listener serves.
pub(super) struct Service<A> {
    pub(super) name: &'static str,
    /// Makes the application, once for each worker.
    pub(super) app: A,
    /// Answers heads that could not be read.
    pub(super) refusal: fn(&AppState, &str) -> Vec<u8>,
    pub(super) workers: usize,
    /// How long requests under way may take at the end.
    pub(super) shutdown_timeout: Duration,
}

impl Listener {
    /// Binds an address; callers wait in the kernel's queue until [`Listener::serve`].
    pub(super) fn bind(address: SocketAddr, remedy: &'static str) -> Result<Self, ServerError> {
        let bind = |source| ServerError::Bind {
            address,
            remedy,
            source,
        };
        let socket = TcpListener::bind(address).map_err(bind)?;
        Ok(Self {
            address: socket.local_addr().map_err(bind)?,
            socket,
        })
    }

    /// The address, with the port that was chosen.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready; then lets the requests under way finish.
    pub(super) async fn serve<A, T>(
        self,
        state: Data<AppState>,
        service: Service<A>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError>
    where
        A: Fn(&Data<AppState>) -> App<T> + Clone + Send + 'static,
        T: ServiceFactory<
                ServiceRequest,
                Config = (),
                Response = ServiceResponse<BoxBody>,
                Error = Error,
                InitError = (),
            > + 'static,
    {
        let Self { socket, address } = self;
        let builder = actix_server::Server::build();
        let draining = builder.graceful_shutdown_signal();
        let server = builder
            .workers(service.workers)
            .shutdown_timeout(service.shutdown_timeout.as_secs())
            // Signals are the composition root's business: `dev` stops Postgres after the server.
            .disable_signals()
            .listen(service.name, socket, move || {
                let (patience, draining) = (patience(&state), draining.clone());
                let app = (service.app)(&state)
                    .into_factory()
                    .map_err(|error| error.error_response());
                let http = HttpService::build()
                    .graceful_shutdown_signal(move || {
                        let draining = draining.clone();
                        async move { draining.notified().await }
                    })
                    .keep_alive(state.server.keep_alive)
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
                let (state, refusal) = (state.clone(), service.refusal);
                let refusal: Refusal = Rc::new(move |bare_head| refusal(&state, bare_head));
                fn_service(move |io: TcpStream| {
                    let refusal = Rc::clone(&refusal);
                    async move {
                        let peer = io.peer_addr().ok();
                        Ok((Connection::new(io, patience, refusal), peer))
                    }
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

fn patience(state: &AppState) -> Patience {
    Patience {
        head: state.limits.head_time,
        rest: state.server.keep_alive + state.limits.head_time,
        stall: state.limits.stall_time,
        linger: LINGER,
    }
}
