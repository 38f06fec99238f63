//! What every worker shares.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix_web::web::Bytes;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::runtime::Handle;
use utoipa::openapi::OpenApi;

use super::room::Room;
use crate::config::{LimitSettings, ServerSettings};
use crate::metrics::Metrics;
use crate::service::{Vault, VaultError};
use crate::telemetry::{Tracer, carried};

/// What every worker shares.
pub(super) struct AppState {
    pub(super) vault: Arc<Vault>,
    pub(super) server: ServerSettings,
    pub(super) limits: LimitSettings,
    /// `http` or `https`, as callers without a proxy between write it.
    pub(super) scheme: &'static str,
    /// The OpenAPI document, as JSON.
    pub(super) openapi: Bytes,
    /// Room for large bodies and answers.
    pub(super) room: Room,
    pub(super) metrics: Arc<Metrics>,
    /// Whether the service was asked to stop.
    pub(super) is_draining: AtomicBool,
    /// Begins the spans of requests; none while there are no traces.
    pub(super) tracer: Option<Tracer>,
    /// How often the operator is told of a proxy that the settings forgot.
    forgotten_proxy: DefaultDirectRateLimiter,
    runtime: Handle,
}

impl AppState {
    /// State for workers whose use cases run on the present runtime.
    pub(super) fn new(
        vault: Arc<Vault>,
        server: &ServerSettings,
        limits: &LimitSettings,
        scheme: &'static str,
        openapi: &OpenApi,
        tracer: Option<Tracer>,
    ) -> Self {
        Self {
            metrics: Arc::clone(vault.metrics()),
            vault,
            server: server.clone(),
            limits: limits.clone(),
            scheme,
            // Texts and numbers alone, which always serialise.
            openapi: serde_json::to_vec(openapi).unwrap_or_default().into(),
            room: Room::new(limits),
            is_draining: AtomicBool::new(false),
            tracer,
            forgotten_proxy: RateLimiter::direct(Quota::per_hour(NonZeroU32::MIN)),
            runtime: Handle::current(),
        }
    }

    /// Tells the operator, once an hour, that somebody sends forwarded headers who is not trusted to.
    pub(super) fn warn_of_forgotten_proxy(&self, source: Option<IpAddr>) {
        if self.forgotten_proxy.check().is_ok() {
            tracing::warn!(
                setting = "server.trusted_proxies",
                source_address = source.map(tracing::field::display),
                "forwarded headers came from an address that is not trusted, and were not believed: if it is a proxy \
                 of yours, name it, or URLs in answers and the limits on addresses will be wrong"
            );
        }
    }

    /// Runs a use case on the main runtime, where the connections to the database live: they outlast every worker, and a
    /// caller who hangs up in the middle does not end what was begun. It has the time of one request and no more.
    pub(super) async fn run<T, F>(&self, use_case: impl FnOnce(Arc<Vault>) -> F) -> Result<T, VaultError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, VaultError>> + Send + 'static,
    {
        let use_case = tokio::time::timeout(self.limits.request_time, use_case(Arc::clone(&self.vault)));
        self.runtime
            .spawn(carried(
                async move { use_case.await.unwrap_or(Err(VaultError::TimedOut)) },
            ))
            .await
            .map_err(|_| VaultError::Interrupted)?
    }
}
