//! The use cases. [`Vault`] is the facade that they hang on: the HTTP layer and the operator's commands call it alone.

mod account_cache;
mod account_keys;
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
mod presence;
mod progress;
mod rate_limit;
mod readiness;
mod root_keys;
mod validation;
mod vault;
mod verify;
mod watch;

pub use account_keys::AccountKeyRotation;
pub use accounts::{NewAccount, NewApiKey, TokenRotation};
pub use credentials::Created;
pub use error::{Limit, OpenError, VaultError};
pub use listing::CredentialPage;
pub use presence::Presence;
pub use progress::Progress;
pub use readiness::{Check, Readiness};
pub use root_keys::RootKeyReport;
pub use vault::Vault;
pub use verify::{Finding, KeyFinding, VerifyReport};
