//! From the bytes of a request to the values that the vault takes.

mod authorization;
mod body;
mod form;
mod headers;
mod json;
mod parameters;

pub(super) use authorization::authenticate;
pub(super) use body::credential_input;
pub(super) use form::{PAGE_PARAMETERS, page_input};
pub(super) use headers::{idempotency_key, not_too_large, precondition};
pub(super) use parameters::{PARAMETERS, Parameter, ParameterKind};
