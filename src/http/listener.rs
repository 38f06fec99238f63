//! An address that is listened on: bound first, so that it is known; HTTP is served on it until it is asked to stop.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_service::{
    IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, fn_factory, fn_service, map_config,
};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::web::Data;
use actix_web::{App, Error};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;

use super::admission::{Admission, Admitted};
use super::connection::{Bounds, Connection, Refusal};
use super::descriptors::TooFewFiles;
use super::state::AppState;
use super::transport::{Arrival, Entrance, Transport};
use super::turn::{Turn, take_turns};
use super::unread::Unread;
use super::workers::Workers;

/// How long a connection stays open after an answer that came before the whole request had: a client that still sends
/// would else never read it.
const LINGER: Duration = Duration::from_secs(2);

/// How long a connection stays open for one more request after the listener was closed: a client may be sending it. Its
/// answer says that it is the last.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a request line and the ends of 96 header lines add to what `limits.head_bytes` counts.
const HEAD_FRAME: usize = 1024;

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
    /// Connections could take every file that the process may have open.
    #[error(transparent)]
    TooFewFiles(#[from] TooFewFiles),
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
    /// How connections begin.
    pub(super) entrance: Entrance,
    /// How many there may be.
    pub(super) admission: Admission,
    /// Answers those requests that no service sees.
    pub(super) refusal: fn(&AppState, Unread<'_>) -> Vec<u8>,
    pub(super) workers: usize,
    /// How long requests under way may take at the end.
    pub(super) shutdown_timeout: Duration,
}

/// Answers requests that no service sees.
type Refusals = Rc<dyn Fn(Unread<'_>) -> Vec<u8>>;

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
        let entrance = Arc::new(service.entrance);
        // Ends the connections on which nothing goes on.
        let (farewell, farewells) = watch::channel(false);
        let make = move || {
            let bounds = bounds(&state);
            let app = (service.app)(&state)
                .into_factory()
                .map_err(|error| error.error_response());
            let http = HttpService::build()
                .keep_alive(state.server.keep_alive)
                .client_request_timeout(state.limits.head_time)
                .client_disconnect_timeout(LINGER)
                .local_addr(address)
                .on_connect_ext(|turn: &Turn, data| {
                    data.insert(turn.activity());
                    if let Some(address) = turn.local_address() {
                        data.insert(address);
                    }
                })
                .h1(map_config(app, |()| AppConfig::default()));
            let keep_alive = state.server.keep_alive;
            let (state, refusal) = (state.clone(), service.refusal);
            let refusal: Refusals = Rc::new(move |unread| refusal(&state, unread));
            let entrance = Arc::clone(&entrance);
            let farewells = farewells.clone();
            let http = Rc::new(http);
            fn_factory(move || {
                let (http, entrance, refusal) = (Rc::clone(&http), Arc::clone(&entrance), Rc::clone(&refusal));
                let farewells = farewells.clone();
                async move {
                    let http = Rc::new(http.new_service(()).await?);
                    Ok::<_, ()>(fn_service(move |(io, admitted): (TcpStream, Admitted)| {
                        let connected = connect(Arc::clone(&entrance), io, bounds, Rc::clone(&refusal));
                        let (http, mut farewells) = (Rc::clone(&http), farewells.clone());
                        async move {
                            let (connection, peer) = connected.await?;
                            // An error is the end of the listener, and an end all the same.
                            let farewell = async move { drop(farewells.wait_for(|is_said| *is_said).await) };
                            take_turns(http, connection.until(farewell), peer, keep_alive, &admitted).await
                        }
                    }))
                }
            })
        };
        let mut workers = Workers::start(service.name, service.workers, make)?;
        workers.accept(socket, Arc::new(service.admission), stop).await?;
        tokio::select! {
            () = workers.end(service.shutdown_timeout) => {}
            never = say(&farewell) => match never {},
        }
        Ok(())
    }
}

/// Ends connections on which nothing goes on, after the time for one more request on each.
async fn say(farewell: &watch::Sender<bool>) -> Infallible {
    sleep(FAREWELL).await;
    farewell.send_replace(true);
    pending().await
}

/// Makes a connection of what comes in, or ends it. The error is read by nobody.
async fn connect(
    entrance: Arc<Entrance>,
    io: TcpStream,
    bounds: Bounds,
    refusal: Refusals,
) -> Result<(Connection<Transport>, Option<SocketAddr>), DispatchError> {
    let peer = io.peer_addr().ok();
    match entrance.admit(io).await {
        Arrival::Ready(transport) => {
            let refusal: Refusal = Rc::new(move |bare_head| refusal(Unread::Refused(bare_head)));
            Ok((Connection::new(transport, bounds, refusal), peer))
        }
        Arrival::Astray(transport) => {
            let mut connection = Connection::new(transport, bounds, Rc::new(move |_| refusal(Unread::Plain)));
            poll_fn(|context| connection.tell(context, "")).await?;
            Err(DispatchError::DisconnectTimeout)
        }
        Arrival::Nobody => Err(DispatchError::DisconnectTimeout),
    }
}

fn bounds(state: &AppState) -> Bounds {
    Bounds {
        head_bytes: state.limits.head_bytes + HEAD_FRAME,
        linger: LINGER,
    }
}
