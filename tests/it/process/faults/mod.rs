//! What a fault costs: each is done to a vault under load, and what its callers saw, how long it took until all was well
//! again, and that nothing was lost is measured, and held against the table in `docs/operations.md`.

mod clock;
mod disk;
mod network;
mod postgres;
mod server;
mod table;
mod trial;
mod vault;

pub(super) use clock::Clock;
