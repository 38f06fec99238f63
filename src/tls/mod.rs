//! TLS: the certificate that the service shows, and the CAs of its clients, from files that may change while it runs.

mod files;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::rustls::ServerConfig;

use crate::config::TlsFiles;
use crate::metrics::Metrics;
use crate::telemetry::chain;
pub use files::TlsError;
use files::{Loaded, Public};

/// How often the files are looked at: there is no signal that every way to replace a file would give.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often a certificate that expires is warned of, and how long before.
const WARN_EVERY: Duration = Duration::from_hours(24);
const WARN_BEFORE: time::Duration = time::Duration::days(14);

/// What the service shows of itself and asks of its clients, as its files have it.
pub struct Certificates {
    files: TlsFiles,
    loaded: watch::Sender<Loaded>,
}

impl Certificates {
    /// Reads the files.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let loaded = Loaded::new(files, Public::read(files)?)?;
        Ok(Self {
            files: files.clone(),
            loaded: watch::Sender::new(loaded),
        })
    }

    /// What the next handshake needs. Connections that are there already go on with what they began with.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded.borrow().config)
    }

    /// Takes over what changes in the files, for as long as this is awaited, and tells the operator of it. Files that do
    /// not fit together, because they are half written or wrong, change nothing and are looked at again.
    pub async fn keep_fresh(self: Arc<Self>, metrics: &Metrics) -> Infallible {
        self.tell("TLS certificate loaded", metrics);
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut warnings = interval(WARN_EVERY);
        let mut told = None;
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                _ = warnings.tick() => {
                    self.warn_of_expiry();
                    continue;
                }
            }
            let this = Arc::clone(&self);
            // The files may be far away.
            let failure = match tokio::task::spawn_blocking(move || this.refresh()).await {
                Ok(Ok(false)) | Err(_) => None,
                Ok(Ok(true)) => {
                    metrics.tls_reloads.of(["ok".into()]).inc();
                    self.tell("TLS certificate loaded again", metrics);
                    self.warn_of_expiry();
                    None
                }
                Ok(Err(error)) => {
                    metrics.tls_reloads.of(["failed".into()]).inc();
                    Some(chain(&error))
                }
            };
            if failure != told {
                if let Some(cause) = &failure {
                    tracing::warn!(
                        cause,
                        "the files of TLS have changed and cannot be used: the old certificate stays, and they are tried again"
                    );
                }
                told = failure;
            }
        }
    }

    /// Whether something had changed, and was taken over.
    fn refresh(&self) -> Result<bool, TlsError> {
        let public = Public::read(&self.files)?;
        if self.loaded.borrow().public == public {
            return Ok(false);
        }
        self.loaded.send_replace(Loaded::new(&self.files, public)?);
        Ok(true)
    }

    fn not_after(&self) -> OffsetDateTime {
        self.loaded.borrow().not_after
    }

    fn tell(&self, message: &'static str, metrics: &Metrics) {
        let not_after = self.not_after();
        metrics.tls_certificate_not_after.of([]).set(not_after.unix_timestamp());
        tracing::info!(
            certificate_not_after = not_after.format(&Rfc3339).ok(),
            client_certificates = self.files.client_ca.is_some(),
            "{message}"
        );
    }

    fn warn_of_expiry(&self) {
        let not_after = self.not_after();
        let left = not_after - OffsetDateTime::now_utc();
        if left > WARN_BEFORE {
            return;
        }
        let message = if left.is_negative() {
            "the TLS certificate has expired: callers refuse it; put a new one in its place"
        } else {
            "the TLS certificate expires soon: put a new one in its place"
        };
        tracing::warn!(
            setting = "tls.certificate_file",
            certificate_not_after = not_after.format(&Rfc3339).ok(),
            days_left = left.whole_days(),
            "{message}"
        );
    }
}
