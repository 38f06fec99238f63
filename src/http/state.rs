//! What every worker shares.

use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Once};

use tokio::runtime::Handle;
use utoipa::openapi::OpenApi;

use crate::config::{LimitSettings, ServerSettings};
use crate::service::{Vault, VaultError};

/// What every worker shares.
pub(super) struct AppState {
    pub(super) vault: Arc<Vault>,
    pub(super) server: ServerSettings,
    pub(super) limits: LimitSettings,
    /// Where it listens, for answers to requests that name no host.
    pub(super) address: SocketAddr,
    /// The OpenAPI document.
    pub(super) openapi: OpenApi,
    pub(super) concurrent_requests: AtomicUsize,
    /// Runs once: what it says of a proxy is said of every request.
    forgotten_proxy: Once,
    runtime: Handle,
}

impl AppState {
    /// State for workers whose use cases run on the present runtime.
    pub(super) fn new(
        vault: Arc<Vault>,
        server: &ServerSettings,
        limits: &LimitSettings,
        address: SocketAddr,
        openapi: OpenApi,
    ) -> Self {
        Self {
            vault,
            server: server.clone(),
            limits: limits.clone(),
            address,
            openapi,
            concurrent_requests: AtomicUsize::new(0),
            forgotten_proxy: Once::new(),
            runtime: Handle::current(),
        }
    }

    /// Tells the operator, once, that somebody sends forwarded headers who is not trusted to.
    pub(super) fn warn_of_forgotten_proxy(&self) {
        self.forgotten_proxy.call_once(|| {
            tracing::warn!(
                setting = "server.trusted_proxies",
                "forwarded headers came from an address that is not trusted, and were not believed: if it is a proxy \
                 of yours, name it, or URLs in answers and the limits on addresses will be wrong"
            );
        });
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
            .spawn(async move { use_case.await.unwrap_or(Err(VaultError::TimedOut)) })
            .await
            .map_err(|_| VaultError::Interrupted)?
    }
}
