//! One function for each operation of the route table.

pub(super) mod audit_events;
pub(super) mod credentials;
pub(super) mod documentation;
pub(super) mod health;
pub(super) mod monitor_events;
pub(super) mod other;
