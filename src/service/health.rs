//! Whether the vault could serve a request now.

use std::time::Duration;

use super::clock::Comparison;
use super::readiness::{Check, Readiness};
use super::vault::Vault;
use crate::store::SchemaState;
use crate::telemetry::chain;

/// How long a look may take: a database that keeps the connection and says nothing is one that does not answer.
const LOOK_TIME: Duration = Duration::from_secs(5);

impl Vault {
    /// Looks at everything that a request would need. Whoever asks while somebody else's look is under way gets the answer
    /// of that one: however many ask, one connection to the database is kept busy.
    pub async fn readiness(&self) -> Readiness {
        let readiness = self.looks.get_with((), Box::pin(self.look_in_time())).await;
        self.looks.invalidate(&()).await;
        for check in Check::ALL {
            let has = i64::from(readiness.has(check));
            self.metrics.ready.of([check.as_str().into()]).set(has);
        }
        readiness
    }

    async fn look_in_time(&self) -> Readiness {
        tokio::time::timeout(LOOK_TIME, self.look()).await.unwrap_or_else(|_| {
            tracing::warn!("not ready: the database keeps the connection and says nothing");
            Readiness::without(Check::ALL)
        })
    }

    async fn look(&self) -> Readiness {
        let clocks = match Comparison::with(self.store.now()).await {
            Ok(clocks) => clocks,
            Err(error) => {
                let error = self.store.explain(error).await;
                tracing::warn!(cause = chain(&error), "not ready: the database does not answer");
                return Readiness::without(Check::ALL);
            }
        };
        let mut impaired = Vec::new();
        let has_its_root_key = self.has_its_root_key().await;
        if has_its_root_key && !self.has_its_key_provider().await {
            impaired.push(Check::Keyring);
        }
        let looks = [
            (Check::Schema, self.has_schema().await),
            (Check::Keyring, has_its_root_key),
            (Check::Audit, self.can_record().await),
            (Check::Clock, self.has_the_time(&clocks)),
        ];
        let failed = looks.into_iter().filter(|(_, has)| !has).map(|(check, _)| check);
        Readiness::without(failed).impaired_by(impaired)
    }

    async fn has_schema(&self) -> bool {
        let state = self.store.schema_state().await;
        let has = matches!(state, Ok(SchemaState::Current));
        if !has {
            let cause = state.err().map(|error| chain(&error));
            tracing::warn!(
                cause,
                "not ready: the schema is not the one that this binary needs; run `pushvault migrate`"
            );
        }
        has
    }

    async fn has_its_root_key(&self) -> bool {
        let expected = self.store.primary_root_key().await;
        let has = matches!(&expected, Ok(Some(kek_id)) if self.keyring.has(kek_id));
        if !has {
            let cause = expected.err().map(|error| chain(&error));
            tracing::warn!(
                cause,
                found = self.keyring.kek_ids(),
                "not ready: the database expects another root key"
            );
        }
        has
    }

    async fn has_its_key_provider(&self) -> bool {
        let problem = self.keyring.provider_problem().await;
        if let Some(cause) = &problem {
            tracing::warn!(
                cause = &**cause,
                "the key provider does not serve: account keys in memory do until their time is up, others are not to be had"
            );
        }
        problem.is_none()
    }

    async fn can_record(&self) -> bool {
        match self.store.obstacle_to_recording().await {
            Ok(None) => true,
            Ok(Some(cause)) => {
                tracing::warn!(
                    cause,
                    "not ready: no audit event can be written, and so no change be made"
                );
                false
            }
            Err(error) => {
                tracing::warn!(
                    cause = chain(&error),
                    "not ready: no audit event can be written, and so no change be made"
                );
                false
            }
        }
    }

    fn has_the_time(&self, clocks: &Comparison) -> bool {
        let skew_seconds = clocks.skew().as_seconds_f64();
        self.metrics.clock_skew.set(skew_seconds);
        let has = clocks.agrees();
        if !has {
            tracing::warn!(
                skew_seconds,
                "the clocks of this machine and of the database differ; set them by NTP"
            );
        }
        has
    }
}
