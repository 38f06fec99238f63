//! Whether the vault could serve a request now.

use super::readiness::Readiness;
use super::vault::Vault;
use crate::store::SchemaState;
use crate::telemetry::chain;

impl Vault {
    /// Looks at everything that a request would need. Whoever asks while somebody else's look is under way gets the answer
    /// of that one: however many ask, one connection to the database is kept busy.
    pub async fn readiness(&self) -> Readiness {
        let readiness = self.looks.get_with((), self.look()).await;
        self.looks.invalidate(&()).await;
        readiness
    }

    async fn look(&self) -> Readiness {
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
