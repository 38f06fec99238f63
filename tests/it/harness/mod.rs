//! What the tests stand on: a Postgres, databases of their own in it, the service under test, callers as roles, and the
//! places where they look afterwards (log, audit trail, rows).

mod app;
mod audit;
mod client;
mod collector;
mod container;
mod database;
mod fixtures;
mod gate;
mod log;
mod port;
mod raw;
mod redact;
mod rows;
mod runtime;
mod selection;
mod server;
mod tls;

use std::fmt::Write as _;

pub(crate) use app::{Account, Replica, TestApp, operator, start_refusal, with_admin};
pub(crate) use client::{Answer, Client, at_once};
pub(crate) use collector::{CERTIFICATE, Collector, Manner, attributes, has_failed};
pub(crate) use database::{TestDatabase, fresh_database, migrated_database, newly_migrated_database};
pub(crate) use fixtures::{
    ENCRYPTED_KEY, OTHER_KEY, apns_certificate, apns_pair, apns_private_key, canonical_pem, service_account,
};
pub(crate) use gate::Gate;
pub(crate) use log::Log;
pub(crate) use port::ReservedPort;
pub(crate) use raw::{RawConnection, raw_request, raw_request_of};
pub(crate) use redact::{assert_matches_snapshot, is_iso_8601, redacted};
pub(crate) use rows::Position;
pub(crate) use runtime::block_on;
pub(crate) use server::dump;
pub(crate) use tls::{Authority, Pair, TlsClient, TlsDirectory, Wire};

/// A well-formed SID of a credential that nobody has.
pub(crate) fn unknown_credential_sid() -> String {
    format!("CR{:016x}{:016x}", fresh_number(), fresh_number())
}

/// Every byte as `%XX`, which no form or query needs more than.
pub(crate) fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02X}").unwrap();
        text
    })
}

/// A number that no other test process draws, for names.
pub(crate) fn fresh_number() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
