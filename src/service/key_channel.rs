//! What other replicas, commands and hands changed is forgotten here: Postgres tells of it. Without the channel no account
//! key is kept.

use std::convert::Infallible;
use std::time::Duration;

use pushvault_crypto::random;

use super::vault::Vault;
use crate::store::{KeyChanges, KeyChannel, StoreError};
use crate::telemetry::chain;

/// How long the first new attempt at the channel waits, and how long one waits at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

impl Vault {
    /// Keeps what is cached fresh for as long as it is polled. A vault that nobody keeps fresh, such as a command's, keeps
    /// what it cached until it is too old.
    pub async fn keep_fresh(&self) -> Infallible {
        let mut pause = FIRST_PAUSE;
        let mut told = String::new();
        let mut is_new = true;
        loop {
            self.keyring.account_keys().set_open(false);
            match self.store.key_channel().await {
                Ok(channel) => {
                    // Connections that were made meanwhile may be stuck where this one was.
                    if !is_new {
                        self.store.renew();
                    }
                    (pause, told) = (FIRST_PAUSE, String::new());
                    let error = self.follow(channel).await;
                    tracing::warn!(
                        cause = chain(&error),
                        "the channel that tells of changed keys is lost: no account key is kept until it is back"
                    );
                }
                Err(error) => {
                    let cause = chain(&error);
                    if cause != told {
                        tracing::warn!(
                            cause,
                            "there is no channel that tells of changed keys: no account key is kept"
                        );
                    }
                    told = cause;
                }
            }
            is_new = false;
            tokio::time::sleep(spread(pause)).await;
            pause = LAST_PAUSE.min(2 * pause);
        }
    }

    /// Account keys in memory.
    pub fn account_keys_in_memory(&self) -> u64 {
        self.keyring.account_keys().len()
    }

    /// Answers of Argon2 in memory.
    pub fn remembered_tokens(&self) -> u64 {
        self.authenticator.matched().len()
    }

    /// Forgets what the channel says has changed, until it is lost.
    async fn follow(&self, mut channel: KeyChannel) -> StoreError {
        self.keyring.account_keys().set_open(true);
        self.metrics.key_channel_up.set(1);
        tracing::info!("listening for changed keys");
        let error = loop {
            match channel.next().await {
                Ok(changes) => self.forget(&changes),
                Err(error) => break error,
            }
        };
        self.metrics.key_channel_up.set(0);
        // What made the channel fall silent may have made every other connection fall silent.
        self.store.renew();
        error
    }

    fn forget(&self, changes: &KeyChanges) {
        if matches!(changes, KeyChanges::Of(accounts) if accounts.is_empty()) {
            self.keyring.account_keys().tidy();
            self.authenticator.matched().tidy();
            return;
        }
        self.keyring.account_keys().forget(changes);
        self.authenticator.matched().forget(changes);
        self.metrics.key_channel_invalidations.inc();
    }
}

/// Something between half a pause and the whole: replicas that lost the same database do not come back in one step.
fn spread(pause: Duration) -> Duration {
    let mut byte = [0];
    match random::fill(&mut byte) {
        Ok(()) => pause.mul_f64(0.5 + f64::from(byte[0]) / 512.0),
        Err(_) => pause,
    }
}
