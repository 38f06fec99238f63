//! Values and rules: what the rest of the vault talks about. No I/O, no SQL, no HTTP.

pub mod account;
pub mod audit;
pub mod audit_list;
pub mod credential;
pub mod destruction;
pub mod finding;
pub mod form;
pub mod idempotency;
pub mod page;
pub mod pem;
pub mod precondition;
pub mod principal;
pub mod public_key;
pub mod push_service;
pub mod recovery;
pub mod right;
pub mod root_key;
pub mod sid;
pub mod text;
pub mod validation;
