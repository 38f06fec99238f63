//! Several replicas on one database: what one changes the others know, also when nobody tells them.

mod channel;
mod cut;
mod distribution;
mod lists;
mod pool;

use std::time::{Duration, Instant};

use pushvault::service::Vault;

use crate::harness::{Client, Replica, TestApp};

const LIST: &str = "/v2/Credentials";

/// What a replica is promised to forget a change within.
const SOON: Duration = Duration::from_secs(1);

/// What it is promised to forget everything within, once nothing is told any more.
const BOUND: Duration = Duration::from_secs(5);

/// How long a test waits for what is promised, but not within which time: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something, and says how long it took.
async fn until(what: &str, limit: Duration, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    begin.elapsed()
}

/// Whether a replica is told of changes.
fn listens(vault: &Vault) -> bool {
    vault.metrics().key_channel_up.get() == 1
}

/// How often it was told of some.
fn told(vault: &Vault) -> u64 {
    vault.metrics().key_channel_invalidations.get()
}

/// Another replica on the database of an app, which listens already.
async fn listening(app: &TestApp) -> Replica {
    let replica = app.another(|_| {});
    until("the replica listens", PATIENCE, async || listens(replica.vault())).await;
    replica
}

/// Makes a replica remember an account: its key, and that its caller's secret is right.
async fn remember(replica: &Replica, client: &Client) {
    let vault = replica.vault();
    let form = [("Type", "gcm"), ("ApiKey", "k")];
    // What made the account is told of first, and then nothing for a while.
    let mut last = u64::MAX;
    until("nothing more is told", PATIENCE, async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        std::mem::replace(&mut last, told(vault)) == last
    })
    .await;
    // On a busy machine it may be told late, and forget in the middle.
    until("it remembers", PATIENCE, async || {
        replica.client(client).post(LIST, &form).await.json(201);
        vault.account_keys_in_memory() > 0 && vault.remembered_tokens() > 0
    })
    .await;
}
