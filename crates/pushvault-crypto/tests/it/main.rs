//! The behaviour of the kernel, seen from outside.
//!
//! `reference` is a second implementation of `docs/crypto.md` that shares no code with the crate,
//! so that the tests do not only compare the crate with itself.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

mod commitment;
mod external;
mod freeze;
mod ghash;
mod integrity;
mod keys;
mod misplacement;
mod recovery;
mod reference;
mod round_trip;
mod signing;
mod support;
mod tampering;
mod tokens;
mod vector_file;
