//! The API's listener.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::App;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::Data;

use tokio::time::sleep;

use super::admission::Admission;
use super::descriptors;
use super::edge::edge;
use super::listener::{Listener, ServerError, Service};
use super::measure::{measure, measure_unread};
use super::openapi;
use super::routes;
use super::state::AppState;
use super::transport::Entrance;
use super::unread::refuse_unread;
use crate::config::{DatabaseSettings, LimitSettings, ServerSettings};
use crate::service::Vault;
use crate::telemetry::Tracer;
use crate::tls::Certificates;

/// A listener with the vault behind it.
pub struct Server {
    listener: Listener,
    certificates: Option<Arc<Certificates>>,
    pub(super) state: Data<AppState>,
}

impl Server {
    /// Binds the address; callers wait in the kernel's queue until [`Server::run`]. With certificates it speaks TLS.
    pub fn bind(
        settings: &ServerSettings,
        limits: &LimitSettings,
        database: &DatabaseSettings,
        certificates: Option<Certificates>,
        vault: Arc<Vault>,
        tracer: Option<Tracer>,
    ) -> Result<Self, ServerError> {
        descriptors::ensure(settings.max_connections, database.max_connections)?;
        if let Some(warning) = settings.public_url_warning() {
            tracing::warn!(setting = "server.public_url", "{warning}");
        }
        let scheme = if certificates.is_some() { "https" } else { "http" };
        Ok(Self {
            listener: Listener::bind(settings.listen, "PUSHVAULT__SERVER__LISTEN or --listen")?,
            certificates: certificates.map(Arc::new),
            state: Data::new(AppState::new(
                vault,
                settings,
                limits,
                scheme,
                &openapi::document(),
                tracer,
            )),
        })
    }

    /// Where it listens, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// How a caller on this machine begins a URL.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.state.scheme, self.address())
    }

    /// Serves until `stop` is ready; then lets the requests under way finish.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        let Self {
            listener,
            certificates,
            state,
        } = self;
        let service = Service {
            name: "pushvault",
            app: api,
            entrance: Entrance::new(certificates.clone(), &state),
            admission: Admission::new(&state.server, &state.metrics),
            refusal: |state, unread| {
                let (status, answer) = refuse_unread(unread);
                measure_unread(&state.metrics, status);
                answer
            },
            workers: state.server.workers,
            shutdown_timeout: state.server.shutdown_timeout,
        };
        let draining = state.clone();
        let stop = async move {
            stop.await;
            draining.is_draining.store(true, Ordering::Relaxed);
            sleep(draining.server.drain_time).await;
        };
        let metrics = Arc::clone(&state.metrics);
        let fresh = async move {
            match certificates {
                Some(certificates) => certificates.keep_fresh(&metrics).await,
                None => pending().await,
            }
        };
        tokio::select! {
            result = listener.serve(state, service, stop) => result,
            never = fresh => match never {},
        }
    }
}

fn api(
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
        .wrap(from_fn(edge))
        .wrap(from_fn(measure))
        .configure(routes::register)
}
