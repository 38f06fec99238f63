//! HTTP: the only place that names actix. It turns requests into calls of the [`Vault`](crate::service::Vault) and
//! results into answers, exactly as the wire contract says.

mod activity;
mod admin;
mod connection;
mod description;
mod edge;
mod error;
mod extract;
mod forwarded;
mod given;
mod handlers;
mod head;
mod listener;
mod measure;
mod openapi;
mod operation;
mod request_meta;
mod routes;
mod server;
mod socket;
mod state;
mod surface;
mod trace;
mod transport;
mod turn;
mod unread;
mod view;
mod workers;

pub use admin::Admin;
pub use error::{ErrorCode, audit_outcome};
pub use listener::ServerError;
pub use routes::{Endpoint, endpoints};
pub use server::Server;
