//! The replicas that live: each says so again and again, with the root keys that it can use.

use std::time::Duration;

use pushvault_crypto::KekId;
use uuid::Uuid;

use super::database::Store;
use super::error::{StoreError, within};

/// How long saying so may take. It is so short that a replica that said it to a silent connection says it on another one
/// before it is taken for gone.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// A replica that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveReplica {
    /// Which it is; made anew at each start.
    pub replica_id: Uuid,
    /// The release that it runs.
    pub version: String,
    /// The root keys that it can use.
    pub kek_ids: Vec<String>,
}

impl LiveReplica {
    /// Whether it can use a root key.
    pub fn has(&self, kek_id: &KekId) -> bool {
        self.kek_ids.iter().any(|id| id == kek_id.as_str())
    }
}

impl Store {
    /// Says that a replica lives, and forgets those that have not said so for long.
    pub async fn see_replica(&self, replica: &LiveReplica, gone_after_seconds: f64) -> Result<(), StoreError> {
        let pool = self.pool();
        let say = sqlx::query!(
            "with gone as (
                delete from replicas where seen_at < now() - make_interval(secs => $4) and replica_id <> $1
            )
            insert into replicas (replica_id, version, kek_ids) values ($1, $2, $3)
            on conflict (replica_id) do update set seen_at = now(), kek_ids = excluded.kek_ids",
            replica.replica_id,
            replica.version,
            &replica.kek_ids,
            gone_after_seconds,
        );
        within(ANSWER_LIMIT, async { Ok(say.execute(&pool).await.map(drop)?) }).await
    }

    /// Says that a replica ends.
    pub async fn forget_replica(&self, replica_id: Uuid) -> Result<(), StoreError> {
        let pool = self.pool();
        let say = sqlx::query!("delete from replicas where replica_id = $1", replica_id);
        within(ANSWER_LIMIT, async { Ok(say.execute(&pool).await.map(drop)?) }).await
    }

    /// The replicas that said lately that they live, the oldest first.
    pub async fn live_replicas(&self, gone_after_seconds: f64) -> Result<Vec<LiveReplica>, StoreError> {
        Ok(sqlx::query_as!(
            LiveReplica,
            "select replica_id, version, kek_ids from replicas
            where seen_at >= now() - make_interval(secs => $1) order by started_at, replica_id",
            gone_after_seconds,
        )
        .fetch_all(&self.pool())
        .await?)
    }
}
