//! The use cases. [`Vault`] is the facade that they hang on: the HTTP layer and the operator's commands call it alone.

mod account_cache;
mod accounts;
mod audit;
mod authn;
mod clock;
mod credentials;
mod error;
mod health;
mod idempotency;
mod key_channel;
mod keyring;
mod listing;
mod rate_limit;
mod readiness;
mod validation;
mod vault;
mod verify;
mod watch;

pub use accounts::{NewAccount, NewApiKey, TokenRotation};
pub use credentials::Created;
pub use error::{Limit, OpenError, VaultError};
pub use listing::CredentialPage;
pub use readiness::{Check, Readiness};
pub use vault::Vault;
pub use verify::{Finding, VerifyReport};
