//! Saying that this replica lives, and which root keys it can use: a key becomes the primary one when all replicas can.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::vault::Vault;
use crate::store::LiveReplica;
use crate::telemetry::chain;

/// How often a replica says that it lives.
const BEAT: Duration = Duration::from_secs(3);

/// How long after it last said so a replica is taken for gone.
pub(super) const GONE_AFTER_SECONDS: f64 = 15.0;

/// This process among the replicas.
pub struct Presence {
    replica: LiveReplica,
}

impl Vault {
    /// Enters this process among the replicas, before it serves anybody.
    pub async fn enter(&self) -> Presence {
        let presence = Presence {
            replica: LiveReplica {
                replica_id: Uuid::new_v4(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                kek_ids: self.keyring.roots().iter().map(|root| root.id().to_string()).collect(),
            },
        };
        self.beat(&presence, false).await;
        presence
    }

    /// Says again and again that this replica lives, until the end; then takes it out of the replicas. Where that fails,
    /// nobody is served worse.
    pub async fn stay(&self, presence: &Presence, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        let mut is_told = false;
        while timeout(BEAT, &mut end).await.is_err() {
            // Not given up because the end comes: the server could come to it after this replica was taken out.
            is_told = !self.beat(presence, is_told).await;
        }
        if let Err(error) = self.store.forget_replica(presence.replica.replica_id).await {
            tracing::debug!(cause = chain(&error), "cannot say that this replica ends");
        }
    }

    /// Whether it could be said that this replica lives; where it could not, the log has why, once.
    async fn beat(&self, presence: &Presence, is_told: bool) -> bool {
        let seen = self.store.see_replica(&presence.replica, GONE_AFTER_SECONDS).await;
        if let Err(error) = &seen
            && !is_told
        {
            tracing::warn!(
                cause = chain(error),
                "cannot say that this replica lives: to those who rotate keys it seems gone"
            );
        }
        seen.is_ok()
    }
}
