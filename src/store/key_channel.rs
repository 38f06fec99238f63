//! The channel by which Postgres tells of changed keys and hashes: a connection of its own, outside of the pool.

use std::collections::HashSet;
use std::io;
use std::pin::pin;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use tokio::time::{sleep, timeout};

use super::database::Store;
use super::error::{StoreError, within};
use crate::domain::sid::AccountSid;

const CHANNEL: &str = "pushvault_keys";

/// A channel that was silent for so long is asked whether it still lives.
const PROBE_AFTER: Duration = Duration::from_secs(2);

/// How long it may take to answer, and how long a new one may take to be made.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What comes within so long of a first notification is taken with it, so that a flood costs no more than a trickle.
const GATHER: Duration = Duration::from_millis(50);

/// An open channel.
pub struct KeyChannel {
    listener: PgListener,
}

/// Whose keys or hashes have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChanges {
    /// Those of these accounts; of none, when the channel had nothing to tell and lives.
    Of(HashSet<AccountSid>),
    /// Those of any account.
    OfAnyone,
}

impl Store {
    /// Listens. What changes after this returns is told.
    pub async fn key_channel(&self) -> Result<KeyChannel, StoreError> {
        // Whoever waits for a connection of the pool must not wait for one that listens. The pool that sqlx asks for here
        // has one connection and lives as long as it does.
        let own = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(ANSWER_LIMIT)
            // By this name an operator tells it from the others.
            .connect_lazy_with(
                (*self.pool().connect_options())
                    .clone()
                    .application_name("pushvault_keys"),
            );
        let listen = async {
            let mut listener = PgListener::connect_with(&own).await?;
            listener.eager_reconnect(false);
            listener.ignore_pool_close_event(true);
            listener.listen(CHANNEL).await?;
            let mut channel = KeyChannel { listener };
            channel.probe().await?;
            Ok(channel)
        };
        within(ANSWER_LIMIT, listen).await
    }
}

impl KeyChannel {
    /// What has changed, or, when that is nothing for a while, that the channel lives. An error means that it does not, and
    /// that something may have been missed.
    pub async fn next(&mut self) -> Result<KeyChanges, StoreError> {
        let Ok(first) = timeout(PROBE_AFTER, self.receive()).await else {
            within(ANSWER_LIMIT, self.probe()).await?;
            return Ok(KeyChanges::Of(HashSet::new()));
        };
        let mut changes = KeyChanges::Of(HashSet::new());
        changes.add(&first?);
        let mut gathered = pin!(sleep(GATHER));
        loop {
            tokio::select! {
                () = &mut gathered => return Ok(changes),
                next = self.receive() => changes.add(&next?),
            }
        }
    }

    /// Asks for a sign of life, and whether changes are made here. Where none may be made, they may be made elsewhere: a
    /// server that was relieved of its duty answers on, and has nothing to tell.
    async fn probe(&mut self) -> Result<(), StoreError> {
        let may_only_read = sqlx::query_scalar!(
            r#"select pg_is_in_recovery() or current_setting('transaction_read_only') <> 'off' as "may_only_read!""#
        )
        .fetch_one(&mut self.listener)
        .await?;
        if may_only_read {
            return Err(StoreError::Unavailable(sqlx::Error::Configuration(
                "the database takes no changes".into(),
            )));
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<PgNotification, StoreError> {
        let received = self.listener.try_recv().await?;
        received.ok_or_else(|| StoreError::Unavailable(sqlx::Error::Io(io::ErrorKind::UnexpectedEof.into())))
    }
}

impl KeyChanges {
    /// Whether an account's keys or hashes are among them.
    pub fn concern(&self, account_sid: &AccountSid) -> bool {
        match self {
            Self::Of(accounts) => accounts.contains(account_sid),
            Self::OfAnyone => true,
        }
    }

    /// Every role may notify. What is no account's SID is taken for all of them, which costs time and no more.
    fn add(&mut self, notification: &PgNotification) {
        match (AccountSid::parse(notification.payload()), &mut *self) {
            (Ok(account_sid), Self::Of(accounts)) => {
                accounts.insert(account_sid);
            }
            (Ok(_), Self::OfAnyone) => {}
            (Err(_), _) => *self = Self::OfAnyone,
        }
    }
}
