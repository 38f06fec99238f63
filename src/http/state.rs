//! What every worker shares.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::config::LimitSettings;
use crate::service::{Vault, VaultError};

/// What every worker shares.
pub(super) struct AppState {
    pub(super) vault: Arc<Vault>,
    public_url: Option<String>,
    pub(super) body_bytes: usize,
    pub(super) concurrent_requests: AtomicUsize,
    request_time: Duration,
    runtime: Handle,
}

impl AppState {
    /// State for workers whose use cases run on the present runtime.
    pub(super) fn new(vault: Arc<Vault>, public_url: Option<String>, limits: &LimitSettings) -> Self {
        Self {
            vault,
            public_url,
            body_bytes: limits.body_bytes,
            request_time: limits.request_time,
            concurrent_requests: AtomicUsize::new(0),
            runtime: Handle::current(),
        }
    }

    /// The origin that callers use, when it is configured.
    pub(super) fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// Runs a use case on the main runtime, where the connections to the database live: they outlast every worker, and a
    /// caller who hangs up in the middle does not end what was begun. It has the time of one request and no more.
    pub(super) async fn run<T, F>(&self, use_case: impl FnOnce(Arc<Vault>) -> F) -> Result<T, VaultError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, VaultError>> + Send + 'static,
    {
        let use_case = tokio::time::timeout(self.request_time, use_case(Arc::clone(&self.vault)));
        self.runtime
            .spawn(async move { use_case.await.unwrap_or(Err(VaultError::TimedOut)) })
            .await
            .map_err(|_| VaultError::Interrupted)?
    }
}
