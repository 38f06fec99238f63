//! Whether the vault could serve a request now.

use super::vault::Vault;
use crate::store::SchemaState;
use crate::telemetry::chain;

/// What a request would need, each by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// Postgres answers.
    pub database: bool,
    /// The schema has what this binary needs.
    pub schema: bool,
    /// The root key in memory is the one that the database expects.
    pub keyring: bool,
}

impl Readiness {
    /// Whether all of it is there.
    pub fn is_ready(self) -> bool {
        self.database && self.schema && self.keyring
    }
}

impl Vault {
    /// Looks at everything that a request would need.
    pub async fn readiness(&self) -> Readiness {
        if let Err(error) = self.store.ping().await {
            tracing::warn!(cause = chain(&error), "not ready: the database does not answer");
            return Readiness {
                database: false,
                schema: false,
                keyring: false,
            };
        }
        let schema_state = self.store.schema_state().await;
        let schema = matches!(schema_state, Ok(SchemaState::Current));
        if !schema {
            let cause = schema_state.err().map(|error| chain(&error));
            tracing::warn!(
                cause,
                "not ready: the schema is not the one that this binary needs; run `pushvault migrate`"
            );
        }
        let expected = self.store.primary_root_key().await;
        let keyring = matches!(&expected, Ok(Some(record)) if record.kek_id == *self.keyring.kek_id());
        if !keyring {
            let cause = expected.err().map(|error| chain(&error));
            tracing::warn!(cause, found = %self.keyring.kek_id(), "not ready: the database expects another root key");
        }
        Readiness {
            database: true,
            schema,
            keyring,
        }
    }
}
