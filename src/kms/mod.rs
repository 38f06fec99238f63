//! Where the root key (KEK) lives: a file or a passphrase. The key exists in memory only, as a [`KeyEncryptionKey`].

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pushvault_crypto::{CryptoError, KeyEncryptionKey, random};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::config::KekSettings;
use crate::domain::root_key::{RootKeyOrigin, RootKeyRecord};

/// NIST SP 800-132 asks for 16 bytes at least.
const SALT_LENGTH: usize = 16;

/// Why there is no root key. The texts name the thing and the remedy, never the key.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// No provider is configured.
    #[error(
        "no root key is configured: make one with `openssl rand -out root.key 32`, keep it with mode 0600 and a copy \
         in a safe place, and set PUSHVAULT__KEK__FILE to its path"
    )]
    NotConfigured,
    /// The file could not be read.
    #[error("cannot read the root key file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Every user of the machine could read the file.
    #[error("the root key file {} may be read by every user: run `chmod o-rwx` on it, and think about making a new key", .0.display())]
    WorldReadable(PathBuf),
    /// The file does not hold 32 bytes.
    #[error(
        "the root key file {} does not hold exactly {} bytes; a new one is made with `openssl rand -out FILE {}`",
        .0.display(), KeyEncryptionKey::LENGTH, KeyEncryptionKey::LENGTH
    )]
    WrongLength(PathBuf),
    /// The configured key is not the one that this database's account keys are wrapped under.
    #[error(
        "wrong root key: this database expects {expected} (provider {provider}), and the configured key is {found}; \
         configure the key that was in use before"
    )]
    WrongKey {
        /// The fingerprint of the key in use.
        expected: String,
        /// Its provider.
        provider: &'static str,
        /// The fingerprint of the configured key.
        found: String,
    },
    /// The key could not be derived.
    #[error("cannot derive the root key from the passphrase")]
    Crypto(#[from] CryptoError),
}

/// A root key in memory, with what the database may know of it.
pub struct UnlockedRootKey {
    /// The key.
    pub key: KeyEncryptionKey,
    /// What the database may know of it.
    pub record: RootKeyRecord,
}

/// Gets the configured root key and holds it against the one that is `registered`, if any.
pub fn unlock(settings: &KekSettings, registered: Option<&RootKeyRecord>) -> Result<UnlockedRootKey, KmsError> {
    let (key, origin) = match settings {
        KekSettings::Unset => return Err(KmsError::NotConfigured),
        KekSettings::File(path) => (read_key_file(path)?, RootKeyOrigin::File),
        KekSettings::Passphrase { passphrase, cost } => {
            let (salt, cost) = match registered.map(|record| &record.origin) {
                Some(RootKeyOrigin::Passphrase { salt, cost }) => (salt.clone(), *cost),
                _ => (new_salt()?, *cost),
            };
            let key = KeyEncryptionKey::from_passphrase(passphrase.expose_secret().as_bytes(), &salt, cost)?;
            (key, RootKeyOrigin::Passphrase { salt, cost })
        }
    };
    let kek_id = key.id();
    match registered {
        Some(expected) if expected.kek_id != kek_id => Err(KmsError::WrongKey {
            expected: expected.kek_id.to_string(),
            provider: expected.origin.as_str(),
            found: kek_id.to_string(),
        }),
        _ => Ok(UnlockedRootKey {
            key,
            record: RootKeyRecord { kek_id, origin },
        }),
    }
}

fn new_salt() -> Result<Vec<u8>, CryptoError> {
    let mut salt = vec![0; SALT_LENGTH];
    random::fill(&mut salt)?;
    Ok(salt)
}

fn read_key_file(path: &Path) -> Result<KeyEncryptionKey, KmsError> {
    let unreadable = |source| KmsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.permissions().mode() & 0o007 != 0 {
        return Err(KmsError::WorldReadable(path.to_owned()));
    }
    // One byte more than a key has room: a longer file shows, and no buffer is ever reallocated.
    let mut bytes = Zeroizing::new([0_u8; KeyEncryptionKey::LENGTH + 1]);
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).map_err(unreadable)? {
            0 => break,
            count => length += count,
        }
    }
    bytes
        .get(..length)
        .and_then(|key| KeyEncryptionKey::from_slice(key).ok())
        .ok_or_else(|| KmsError::WrongLength(path.to_owned()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use pushvault_crypto::Argon2Cost;
    use secrecy::SecretString;

    fn key_file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, KekSettings) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (directory, KekSettings::File(path))
    }

    fn refusal(settings: &KekSettings) -> String {
        unlock(settings, None).err().unwrap().to_string()
    }

    #[test]
    fn the_same_file_gives_the_same_key_and_another_is_refused_by_both_names() {
        let (_one, settings) = key_file(&[7; 32], 0o600);
        let record = unlock(&settings, None).unwrap().record;
        assert!(unlock(&settings, Some(&record)).is_ok());

        let (_other, settings) = key_file(&[8; 32], 0o600);
        let found = unlock(&settings, None).unwrap().record.kek_id.to_string();
        let refused = unlock(&settings, Some(&record)).err().unwrap().to_string();
        assert!(
            refused.contains(&record.kek_id.to_string()) && refused.contains(&found),
            "{refused}"
        );
    }

    #[test]
    fn a_short_a_long_and_a_world_readable_file_are_refused_with_the_remedy() {
        for length in [0, 31, 33, 64] {
            let (_directory, settings) = key_file(&vec![7; length], 0o600);
            assert!(refusal(&settings).contains("openssl rand"), "{length} bytes");
        }
        let (_directory, settings) = key_file(&[7; 32], 0o644);
        assert!(refusal(&settings).contains("chmod"));
    }

    #[test]
    fn nothing_configured_and_no_such_file_say_what_to_do() {
        assert!(refusal(&KekSettings::Unset).contains("PUSHVAULT__KEK__FILE"));
        assert!(refusal(&KekSettings::File("/nowhere/root.key".into())).contains("/nowhere/root.key"));
    }

    #[test]
    fn a_passphrase_gives_its_key_again_with_the_registered_salt_only() {
        let cost = Argon2Cost {
            memory_kib: 64,
            iterations: 1,
            parallelism: 1,
        };
        let settings = |passphrase: &str| KekSettings::Passphrase {
            passphrase: SecretString::from(passphrase),
            cost,
        };
        let record = unlock(&settings("correct horse"), None).unwrap().record;
        assert!(unlock(&settings("correct horse"), Some(&record)).is_ok());
        assert!(unlock(&settings("battery staple"), Some(&record)).is_err());
    }
}
