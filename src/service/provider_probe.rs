//! Whether the providers of the root keys are there: asked now and then, whoever wants to know.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use moka::future::Cache;

use crate::kms::RootKey;
use crate::telemetry::chain;

/// How long an answer counts.
const PROBE_EVERY: Duration = Duration::from_secs(10);

/// How long that may take: longer than a provider is waited for, so that it is named, and less than a look at readiness.
const PROBE_TIME: Duration = Duration::from_secs(4);

/// The last answer: what is the matter, or none where nothing is.
pub(super) type Probes = Cache<(), Option<Arc<str>>>;

pub(super) fn probes() -> Probes {
    Cache::builder().max_capacity(1).time_to_live(PROBE_EVERY).build()
}

/// Asks all of them at once.
pub(super) async fn probe(roots: &[RootKey]) -> Option<Arc<str>> {
    let asked = join_all(roots.iter().map(RootKey::probe));
    match tokio::time::timeout(PROBE_TIME, asked).await {
        Err(_) => Some("the key provider does not answer in time".into()),
        Ok(answers) => {
            let problems = answers.iter().filter_map(|answer| answer.as_ref().err());
            let told: Vec<_> = problems.map(|error| chain(error)).collect();
            (!told.is_empty()).then(|| told.join("; ").into())
        }
    }
}
