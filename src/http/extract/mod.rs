//! From the bytes of a request to the values that the vault takes.

mod authorization;
mod body;
mod form;

pub(super) use authorization::authenticate;
pub(super) use body::credential_input;
pub(super) use form::page_input;
