//! From the bytes of a request to the values that the vault takes.

mod authorization;
mod body;
mod headers;
mod json;
mod parameters;
mod query;

pub(super) use authorization::authenticate;
pub(super) use body::credential_input;
pub(super) use headers::{idempotency_key, not_too_large, precondition, usable_host};
pub(super) use parameters::{PARAMETERS, Parameter, ParameterKind};
pub(super) use query::{AuditQuery, PAGE_PARAMETERS, audit_query, page_input};
