//! The program from the outside: what it prints, which files and processes it makes and leaves, and what is still there
//! after it was killed. Nothing here calls the library for what the program can be asked for.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod load;
mod support;

mod admin_listener;
mod bench;
mod cli_accounts;
mod cli_api_keys;
mod cli_audit;
mod cli_fail_closed;
mod cli_refusals;
mod config_check;
mod crash;
mod destroy;
mod dev_first_start;
mod dev_places;
mod dev_restart;
mod dev_root_key;
mod drill;
mod failover;
mod faults;
mod floods;
mod memory;
mod migrate;
mod recovery;
mod recovery_refusals;
mod recovery_trail;
mod replicas;
mod rotation;
mod rotation_proof;
mod rotation_refusals;
mod serve_life;
mod serve_refusals;
mod serve_tls;
mod sinks;
mod soak;
mod standby;
mod traces;
mod turn;
mod upgrade;

pub(crate) use support::{Database, Deployment, wait_until};
