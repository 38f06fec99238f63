//! Where root keys (KEKs) live, and what is asked of them: to wrap account keys, and to unwrap them.

mod aws;
mod error;
mod external;
mod failure;
mod file;
mod question;
mod transit;

use std::sync::Arc;

use pushvault_crypto::{
    AccountKey, AccountKeyContext, Argon2Cost, CryptoError, KekId, KeyEncryptionKey, MacKey, SigningKey,
    SigningKeyContext, WrappedKey, random,
};
use secrecy::{ExposeSecret as _, SecretString};

pub use error::KmsError;
pub use failure::{ProviderError, ProviderFailure};

use crate::config::KekSettings;
use crate::domain::root_key::{RootKeyOrigin, RootKeyRecord, RootKeyState};
use crate::metrics::Metrics;
use external::External;

/// NIST SP 800-132 asks for 16 bytes at least.
const SALT_LENGTH: usize = 16;

/// A root key that can be used.
pub struct RootKey {
    id: KekId,
    origin: RootKeyOrigin,
    page_token_key: MacKey,
    keeper: Keeper,
}

/// Who has the key itself.
enum Keeper {
    /// This process, in its memory.
    Memory(KeyEncryptionKey),
    /// A provider beyond this machine, which lets nobody see it.
    External(Box<External>),
}

impl RootKey {
    /// Gets a configured root key that the database knows, or the first one of a database that knows none.
    pub async fn unlock(settings: &KekSettings, known: &[RootKeyRecord]) -> Result<Self, KmsError> {
        match settings {
            KekSettings::Unset => Err(KmsError::NotConfigured),
            KekSettings::File(path) => Self::in_memory(file::read(path)?, RootKeyOrigin::File),
            KekSettings::Passphrase { passphrase, .. } if !known.is_empty() => from_known_salt(passphrase, known),
            KekSettings::Passphrase { .. } => Self::new(settings).await,
            KekSettings::Transit(_) | KekSettings::AwsKms(_) if known.is_empty() => Self::new(settings).await,
            KekSettings::Transit(settings) => Self::known_to(External::transit(settings)?, known).await,
            KekSettings::AwsKms(settings) => Self::known_to(External::aws_kms(settings).await?, known).await,
        }
    }

    /// Gets a configured root key that the database does not know yet.
    pub async fn new(settings: &KekSettings) -> Result<Self, KmsError> {
        match settings {
            KekSettings::Unset => Err(KmsError::NotConfigured),
            KekSettings::File(path) => Self::in_memory(file::read(path)?, RootKeyOrigin::File),
            KekSettings::Passphrase { passphrase, cost } => derive(passphrase, new_salt()?, *cost),
            KekSettings::Transit(settings) => Self::first_of(External::transit(settings)?).await,
            KekSettings::AwsKms(settings) => Self::first_of(External::aws_kms(settings).await?).await,
        }
    }

    /// A provider's key that the database does not know yet.
    async fn first_of(external: External) -> Result<Self, KmsError> {
        let (page_token_key, wrapped_seed) = external.new_seed().await?;
        Ok(Self::external(external, page_token_key, wrapped_seed))
    }

    /// A provider's key that the database knows by its name, if it is the one that it was.
    async fn known_to(external: External, known: &[RootKeyRecord]) -> Result<Self, KmsError> {
        let record = known.iter().find(|record| record.kek_id == *external.id());
        let Some(RootKeyOrigin::External { wrapped_seed, .. }) = record.map(|record| &record.origin) else {
            return Err(external.unknown_among(known));
        };
        let page_token_key = external.open_seed(wrapped_seed).await?;
        Ok(Self::external(external, page_token_key, wrapped_seed.clone()))
    }

    fn external(external: External, page_token_key: MacKey, wrapped_seed: Vec<u8>) -> Self {
        Self {
            id: external.id().clone(),
            origin: RootKeyOrigin::External {
                provider: external.provider(),
                name: external.name().to_owned(),
                wrapped_seed,
            },
            page_token_key,
            keeper: Keeper::External(Box::new(external)),
        }
    }

    /// The same, and what its provider is asked from now on is measured.
    #[must_use]
    pub fn measured_by(mut self, metrics: &Arc<Metrics>) -> Self {
        if let Keeper::External(external) = &mut self.keeper {
            external.measure_with(metrics);
        }
        self
    }

    /// Whether it can be used at the moment: asks its provider, where that is beyond this machine.
    pub async fn probe(&self) -> Result<(), KmsError> {
        match (&self.keeper, &self.origin) {
            (Keeper::External(external), RootKeyOrigin::External { wrapped_seed, .. }) => {
                external.open_seed(wrapped_seed).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    fn in_memory(key: KeyEncryptionKey, origin: RootKeyOrigin) -> Result<Self, KmsError> {
        Ok(Self {
            id: key.id(),
            origin,
            page_token_key: key.page_token_key()?,
            keeper: Keeper::Memory(key),
        })
    }

    /// Its fingerprint.
    pub fn id(&self) -> &KekId {
        &self.id
    }

    /// What the database may know of it.
    pub fn record(&self, state: RootKeyState) -> RootKeyRecord {
        RootKeyRecord {
            kek_id: self.id.clone(),
            origin: self.origin.clone(),
            state,
        }
    }

    /// The key that authenticates page tokens, the same wherever this root key is.
    pub fn page_token_key(&self) -> &MacKey {
        &self.page_token_key
    }

    /// Wraps an account key for the place that `context` names.
    pub async fn wrap(&self, key: &AccountKey, context: &AccountKeyContext<'_>) -> Result<Vec<u8>, KmsError> {
        match &self.keeper {
            Keeper::Memory(kek) => Ok(kek.wrap_account_key(key, context)?.as_bytes().to_vec()),
            Keeper::External(external) => external.wrap(key, context).await,
        }
    }

    /// Unwraps an account key that [`Self::wrap`] wrapped for the same place.
    pub async fn unwrap(&self, wrapped: &[u8], context: &AccountKeyContext<'_>) -> Result<AccountKey, KmsError> {
        match &self.keeper {
            Keeper::Memory(kek) => Ok(kek.unwrap_account_key(&WrappedKey::parse(wrapped)?, context)?),
            Keeper::External(external) => external.unwrap(wrapped, context).await,
        }
    }

    /// Wraps a signing key for the place that `context` names.
    pub async fn wrap_signing_key(
        &self,
        key: &SigningKey,
        context: &SigningKeyContext<'_>,
    ) -> Result<Vec<u8>, KmsError> {
        match &self.keeper {
            Keeper::Memory(kek) => Ok(kek.wrap_signing_key(key, context)?.as_bytes().to_vec()),
            Keeper::External(external) => external.wrap_signing_key(key, context).await,
        }
    }

    /// Unwraps a signing key that [`Self::wrap_signing_key`] wrapped for the same place.
    pub async fn unwrap_signing_key(
        &self,
        wrapped: &[u8],
        context: &SigningKeyContext<'_>,
    ) -> Result<SigningKey, KmsError> {
        match &self.keeper {
            Keeper::Memory(kek) => Ok(kek.unwrap_signing_key(&WrappedKey::parse(wrapped)?, context)?),
            Keeper::External(external) => external.unwrap_signing_key(wrapped, context).await,
        }
    }
}

/// The key that the passphrase gives with one of the salts that the database knows.
fn from_known_salt(passphrase: &SecretString, known: &[RootKeyRecord]) -> Result<RootKey, KmsError> {
    for record in known {
        if let RootKeyOrigin::Passphrase { salt, cost } = &record.origin {
            let key = derive(passphrase, salt.clone(), *cost)?;
            if key.id == record.kek_id {
                return Ok(key);
            }
        }
    }
    let ids: Vec<_> = known.iter().map(|record| record.kek_id.as_str()).collect();
    Err(KmsError::WrongPassphrase(ids.join(", ")))
}

fn derive(passphrase: &SecretString, salt: Vec<u8>, cost: Argon2Cost) -> Result<RootKey, KmsError> {
    let key = KeyEncryptionKey::from_passphrase(passphrase.expose_secret().as_bytes(), &salt, cost)?;
    RootKey::in_memory(key, RootKeyOrigin::Passphrase { salt, cost })
}

fn new_salt() -> Result<Vec<u8>, CryptoError> {
    let mut salt = vec![0; SALT_LENGTH];
    random::fill(&mut salt)?;
    Ok(salt)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn key_file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, KekSettings) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (directory, KekSettings::File(path))
    }

    async fn refusal(settings: &KekSettings) -> String {
        RootKey::unlock(settings, &[]).await.err().unwrap().to_string()
    }

    #[tokio::test]
    async fn the_same_file_gives_the_same_key_and_another_file_another() {
        let (_one, settings) = key_file(&[7; 32], 0o600);
        let (_other, others) = key_file(&[8; 32], 0o600);
        let key = RootKey::unlock(&settings, &[]).await.unwrap();
        assert_eq!(RootKey::unlock(&settings, &[]).await.unwrap().id(), key.id());
        assert_ne!(RootKey::unlock(&others, &[]).await.unwrap().id(), key.id());
    }

    #[tokio::test]
    async fn a_short_a_long_and_a_world_readable_file_are_refused_with_the_remedy() {
        for length in [0, 31, 33, 64] {
            let (_directory, settings) = key_file(&vec![7; length], 0o600);
            assert!(refusal(&settings).await.contains("openssl rand"), "{length} bytes");
        }
        let (_directory, settings) = key_file(&[7; 32], 0o644);
        assert!(refusal(&settings).await.contains("chmod"));
    }

    #[tokio::test]
    async fn nothing_configured_and_no_such_file_say_what_to_do() {
        assert!(refusal(&KekSettings::Unset).await.contains("PUSHVAULT__KEK__FILE"));
        let nowhere = KekSettings::File("/nowhere/root.key".into());
        assert!(refusal(&nowhere).await.contains("/nowhere/root.key"));
    }

    #[tokio::test]
    async fn a_passphrase_gives_its_key_again_with_a_known_salt_only() {
        let cost = Argon2Cost {
            memory_kib: 64,
            iterations: 1,
            parallelism: 1,
        };
        let settings = |passphrase: &str| KekSettings::Passphrase {
            passphrase: SecretString::from(passphrase),
            cost,
        };
        let one = RootKey::new(&settings("one")).await.unwrap();
        let two = RootKey::new(&settings("two")).await.unwrap();
        let known = [one.record(RootKeyState::Previous), two.record(RootKeyState::Primary)];

        assert_eq!(RootKey::unlock(&settings("one"), &known).await.unwrap().id(), one.id());
        assert_eq!(RootKey::unlock(&settings("two"), &known).await.unwrap().id(), two.id());
        let refused = RootKey::unlock(&settings("three"), &known)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(
            refused.contains(one.id().as_str()) && refused.contains("kek add"),
            "{refused}"
        );
    }
}
