//! What every worker shares.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::runtime::Handle;

use crate::service::{Vault, VaultError};

/// What every worker shares.
pub(super) struct AppState {
    pub(super) vault: Arc<Vault>,
    public_url: Option<String>,
    pub(super) body_bytes: usize,
    pub(super) concurrent_requests: AtomicUsize,
    runtime: Handle,
}

impl AppState {
    /// State for workers whose use cases run on the present runtime.
    pub(super) fn new(vault: Arc<Vault>, public_url: Option<String>, body_bytes: usize) -> Self {
        Self {
            vault,
            public_url,
            body_bytes,
            concurrent_requests: AtomicUsize::new(0),
            runtime: Handle::current(),
        }
    }

    /// The origin that callers use, when it is configured.
    pub(super) fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// Runs a use case on the main runtime, where the connections to the database live: they outlast every worker, and a
    /// caller who hangs up in the middle does not end what was begun.
    pub(super) async fn run<T, F>(&self, use_case: impl FnOnce(Arc<Vault>) -> F) -> Result<T, VaultError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, VaultError>> + Send + 'static,
    {
        self.runtime
            .spawn(use_case(Arc::clone(&self.vault)))
            .await
            .map_err(|_| VaultError::Interrupted)?
    }
}
