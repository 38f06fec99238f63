//! What only the database can tell is asked for in the background, so that a scrape of the metrics waits for nobody.

use std::convert::Infallible;
use std::time::Duration;

use super::error::VaultError;
use super::vault::Vault;
use crate::telemetry::chain;

/// How often readiness and the clock are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How often credentials are counted.
const COUNT_EVERY: Duration = Duration::from_mins(1);

/// How long that may take.
const COUNT_TIME: Duration = Duration::from_secs(10);

/// How much of the table is read for it: all of a table that is no larger, and of a larger one a sample of this size. So
/// it costs the same however many credentials there are.
const COUNTED_BYTES: u32 = 128 * 1024 * 1024;

impl Vault {
    /// Keeps those gauges up to date for as long as it is polled. Without end.
    pub async fn watch(&self) -> Infallible {
        tokio::join!(self.keep_looking(), self.keep_counting()).0
    }

    async fn keep_looking(&self) -> Infallible {
        loop {
            self.readiness().await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn keep_counting(&self) -> Infallible {
        loop {
            let count = tokio::time::timeout(COUNT_TIME, self.count_credentials(COUNTED_BYTES)).await;
            if let Err(error) = count.unwrap_or(Err(VaultError::TimedOut)) {
                tracing::warn!(
                    cause = chain(&error),
                    "the credentials could not be counted for the metrics"
                );
            }
            tokio::time::sleep(COUNT_EVERY).await;
        }
    }

    /// Counts the credentials of each type, by a sample where the table has more bytes than this.
    pub async fn count_credentials(&self, counted_bytes: u32) -> Result<(), VaultError> {
        for (push_service, count) in self.store.count_credentials(counted_bytes).await? {
            self.metrics.credentials.of([push_service.as_str().into()]).set(count);
        }
        Ok(())
    }
}
