//! The API's listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::App;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::Data;

use super::edge::edge;
use super::listener::{Listener, ServerError, Service};
use super::measure::{measure, measure_unread};
use super::openapi;
use super::routes;
use super::state::AppState;
use super::unread::refuse_unread;
use crate::config::{LimitSettings, ServerSettings};
use crate::service::Vault;
use crate::telemetry::Tracer;

/// A listener with the vault behind it.
pub struct Server {
    listener: Listener,
    pub(super) state: Data<AppState>,
}

impl Server {
    /// Binds the address; callers wait in the kernel's queue until [`Server::run`].
    pub fn bind(
        settings: &ServerSettings,
        limits: &LimitSettings,
        vault: Arc<Vault>,
        tracer: Option<Tracer>,
    ) -> Result<Self, ServerError> {
        if let Some(warning) = settings.public_url_warning() {
            tracing::warn!(setting = "server.public_url", "{warning}");
        }
        Ok(Self {
            listener: Listener::bind(settings.listen, "PUSHVAULT__SERVER__LISTEN or --listen")?,
            state: Data::new(AppState::new(vault, settings, limits, openapi::document(), tracer)),
        })
    }

    /// Where it listens, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `stop` is ready; then lets the requests under way finish.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        let Self { listener, state } = self;
        let service = Service {
            name: "pushvault",
            app: api,
            refusal: |state, bare_head| {
                let (status, answer) = refuse_unread(bare_head);
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
        };
        listener.serve(state, service, stop).await
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
