//! Postgres: the only place that names sqlx. It moves ciphertexts and metadata; it never sees a plaintext or a key.
//!
//! Reads are methods of [`Store`]. Writes are methods of [`UnitOfWork`], whose one way to become durable is
//! [`UnitOfWork::commit`] with an audit event: an unaudited write does not type-check.

mod accounts;
mod audit;
mod audit_events;
mod audit_list;
mod audit_log;
mod audit_trail;
mod connect;
mod credentials;
mod database;
mod destruction;
mod error;
mod idempotency;
mod key_channel;
mod keys;
mod list_replica;
mod pruning;
mod recovery;
mod replicas;
mod rotation;
mod schema;
mod sealing;
mod signing_keys;
mod unit_of_work;
mod versions;

pub use accounts::{AuthenticationRecord, NewAccountRow, TokenHashes};
pub use audit_events::StoredEvent;
pub use audit_trail::{Backlog, StoredLeaf};
pub use credentials::NewCredentialRow;
pub use database::Store;
pub use error::StoreError;
pub use key_channel::{KeyChanges, KeyChannel};
pub use keys::{RecoveryCopy, WrappedAccountKey};
pub use recovery::StoredAccountKey;
pub use replicas::LiveReplica;
pub use rotation::{Rewrapped, Turn};
pub use schema::{SchemaError, SchemaState};
pub use sealing::{History, Sealing, Waiting};
pub use signing_keys::WrappedSigningKey;
pub use unit_of_work::UnitOfWork;
pub use versions::CredentialVersion;
