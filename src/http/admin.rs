//! The listener for those who run the service: what it is doing, whether it lives, whether it is ready. It has a table of
//! its own, and nothing of the API is in it.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::App;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};

use super::admission::Admission;
use super::edge::edge;
use super::handlers::{health, other};
use super::listener::{Listener, ServerError, Service};
use super::operation::{Access, Matched, Operation, Place, Untraced};
use super::routes::{ALIVE_OPERATIONS, READY_OPERATIONS, resource};
use super::server::Server;
use super::state::AppState;
use super::transport::Entrance;
use super::unread::refuse_unread;

/// How long a scrape or a probe may take at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

static METRICS_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    access: Access::Anyone,
    route: || web::to(health::metrics),
    description: None,
}];

static RESOURCES: [(&str, Matched); 3] = [
    ("/metrics", Matched::new(Place::Probe, &METRICS_OPERATIONS)),
    ("/healthz", Matched::new(Place::Probe, &ALIVE_OPERATIONS)),
    ("/readyz", Matched::new(Place::Probe, &READY_OPERATIONS)),
];

/// A listener beside the API's, in plain HTTP, for anyone who reaches it.
pub struct Admin {
    listener: Listener,
    state: Data<AppState>,
}

impl Admin {
    /// Binds the address. What will be told there is how `server` fares.
    pub fn bind(listen: SocketAddr, server: &Server) -> Result<Self, ServerError> {
        Ok(Self {
            listener: Listener::bind(listen, "PUSHVAULT__ADMIN__LISTEN")?,
            state: server.state.clone(),
        })
    }

    /// Where it listens, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `stop` is ready.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        let service = Service {
            name: "pushvault admin",
            app: admin,
            entrance: Entrance::new(None, &self.state),
            admission: Admission::for_admin(&self.state.metrics),
            refusal: |_, unread| refuse_unread(unread).1,
            workers: 1,
            shutdown_timeout: SHUTDOWN_TIMEOUT,
        };
        self.listener.serve(self.state, service, stop).await
    }
}

fn admin(
    state: &Data<AppState>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    App::new()
        .app_data(state.clone())
        .app_data(Untraced)
        .wrap(from_fn(edge))
        .configure(|config: &mut ServiceConfig| {
            for (path, matched) in RESOURCES {
                config.service(resource(path, matched));
            }
            config.default_service(web::to(other::not_found));
        })
}
