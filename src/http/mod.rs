//! HTTP: the only place that names actix. It turns requests into calls of the [`Vault`](crate::service::Vault) and
//! results into answers, exactly as the wire contract says.

mod activity;
mod admin;
mod audit_view;
mod connection;
mod description;
mod edge;
mod error;
mod extract;
mod filters;
mod forwarded;
mod given;
mod handlers;
mod head;
mod listener;
mod measure;
mod monitor_view;
mod openapi;
mod openapi_parameters;
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
mod whereabouts;
mod workers;

pub use admin::Admin;
pub use error::{ErrorCode, audit_outcome};
pub use listener::ServerError;
pub use routes::{Endpoint, endpoints};
pub use server::Server;
