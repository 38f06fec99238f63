//! Jobs that take long: one at a time, no faster than they may be, and told of while they go on.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::error::VaultError;
use super::vault::Vault;

/// Rows of one transaction.
const BATCH: u32 = 100;

/// What is told of a long job while it goes on: rows so far, and rows in all.
type Tell<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// How far a long job is, and how fast it may be.
pub struct Progress<'a> {
    tell: Tell<'a>,
    limiter: DefaultDirectRateLimiter,
    batch: u32,
    total: u64,
    done: u64,
}

impl<'a> Progress<'a> {
    /// A job that wraps at most so many rows in a second.
    pub fn new(rows_per_second: NonZeroU32, tell: Tell<'a>) -> Self {
        Self {
            tell,
            limiter: RateLimiter::direct(Quota::per_second(rows_per_second)),
            batch: BATCH.min(rows_per_second.get()),
            total: 0,
            done: 0,
        }
    }

    pub(super) fn expect(&mut self, total: i64) {
        self.total += u64::try_from(total).unwrap_or(0);
        (self.tell)(self.done, self.total);
    }

    pub(super) fn batch(&self) -> i64 {
        self.batch.into()
    }

    pub(super) async fn add(&mut self, rows: u64) {
        self.done += rows;
        (self.tell)(self.done, self.total);
        let rows = u32::try_from(rows).unwrap_or(u32::MAX).min(self.batch);
        if let Some(rows) = NonZeroU32::new(rows) {
            // A batch is never larger than what a second allows.
            let _ = self.limiter.until_n_ready(rows).await;
        }
    }

    pub(super) fn done(&self) -> u64 {
        self.done
    }
}

impl Vault {
    /// Refuses whoever came with a role of the database that has no right to what keys become.
    pub(super) async fn require_keeper(&self) -> Result<(), VaultError> {
        match self.store.role_without_keys().await? {
            None => Ok(()),
            Some(role) => Err(VaultError::NotNow(format!(
                "the database role {role} may not rotate keys: put a role that is a member of pushvault_keeper into \
                 database.url for this command, or run `grant pushvault_keeper to …` for one"
            ))),
        }
    }
}

/// Somebody else wraps keys anew.
pub(super) fn busy() -> VaultError {
    VaultError::NotNow(
        "another command is wrapping keys anew: wait until it has ended; it can be killed at any time".to_owned(),
    )
}
