//! What the tests of the program share: running it, waiting for it, calling it, and looking at what it leaves.

mod api;
mod database;
mod deployment;
mod dev;
mod pair;
mod postgres;
mod processes;
mod program;
mod runbook;
mod users;

pub(super) use api::{Answer, Caller};
pub(crate) use database::Database;
pub(super) use database::Event;
pub(crate) use deployment::Deployment;
pub(super) use deployment::{Login, PASSWORD, Service};
pub(super) use dev::{DataDirectory, DevVault};
pub(super) use pair::Pair;
pub(super) use postgres::Postgres;
pub(super) use processes::{Process, listening_ports};
pub(crate) use program::wait_until;
pub(super) use program::{
    Ended, PUSHVAULT, Program, Signal, clean, copy_program, look_until, pushvault, run, wait_for,
};
pub(super) use runbook::{Runbook, Shell, Step};
pub(super) use users::{nobody, readable, we_are_root, wrapped};
