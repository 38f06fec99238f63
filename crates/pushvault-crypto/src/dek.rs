//! The data encryption key: drawn for one envelope, used for it alone, never cached.

use subtle::ConstantTimeEq;

use crate::{
    aead::{self, WRAPPED_KEY_LENGTH},
    context::Binding,
    error::CryptoError,
    header::{COMMITMENT_LENGTH, Header},
    kdf::hkdf_sha256,
    key::AccountKey,
    secret::Key256,
};

/// The domain tag under which the columns' key is derived.
const ENCRYPTION_KEY_TAG: &str = "pushvault/v1/encryption-key";

/// The domain tag under which the commitment is derived.
const COMMITMENT_TAG: &str = "pushvault/v1/commitment";

/// A DEK.
pub(crate) struct DataEncryptionKey(Key256);

impl DataEncryptionKey {
    /// Draws a DEK from the operating system.
    pub(crate) fn generate() -> Result<Self, CryptoError> {
        Key256::generate().map(Self)
    }

    /// Takes the DEK out of a header, and gives it only if the header commits to it.
    ///
    /// AES-GCM does not bind a ciphertext to one key: somebody who knows two account keys can make
    /// one wrapped DEK that both accept (Dodis, Grubbs, Ristenpart, Woodage 2018; Len, Grubbs,
    /// Ristenpart 2021). They would then see two different DEKs, and the commitment fits at most
    /// one of them. It is compared here, in constant time, so that no column can be reached past it.
    pub(crate) fn unwrap(
        account_key: &AccountKey,
        binding: &Binding,
        columns: u8,
        header: &Header,
    ) -> Result<Self, CryptoError> {
        let aad = binding.dek_aad(header.account_key_version);
        let dek = aead::unwrap_key(account_key.as_key(), aad.as_bytes(), &header.wrapped_dek)?;
        let dek = Self(dek);
        let commitment = dek.commitment(binding, columns)?;
        if bool::from(commitment.ct_eq(&header.commitment)) {
            Ok(dek)
        } else {
            Err(CryptoError::WrongCommitment)
        }
    }

    /// Wraps the DEK under an account key.
    ///
    /// Formula, standard and limits: AES-256-GCM as in [`aead::seal`], with the AAD of role `dek`.
    pub(crate) fn wrap(
        &self,
        account_key: &AccountKey,
        account_key_version: u32,
        binding: &Binding,
    ) -> Result<[u8; WRAPPED_KEY_LENGTH], CryptoError> {
        let aad = binding.dek_aad(account_key_version);
        aead::wrap_key(account_key.as_key(), aad.as_bytes(), &self.0)
    }

    /// Derives `K_enc`, the key of the columns.
    ///
    /// Formula: `HKDF-SHA-256(DEK, info = tag ‖ binding ‖ set of columns)`, 32 bytes. Standard:
    /// RFC 5869. Limits: at most one encryption per column, four in all.
    pub(crate) fn encryption_key(&self, binding: &Binding, columns: u8) -> Result<Key256, CryptoError> {
        let info = binding.info(ENCRYPTION_KEY_TAG, columns);
        Key256::fill_with(|key| hkdf_sha256(self.0.expose(), info.as_bytes(), key))
    }

    /// Derives the commitment to this DEK, to where the envelope belongs and to its columns.
    ///
    /// Formula: `HKDF-SHA-256(DEK, info = tag ‖ binding ‖ set of columns)`, 32 bytes. Standard:
    /// RFC 5869; two inputs with one output would be a collision of SHA-256. Limits: the value is
    /// public, and does not depend on the account key, so that re-wrapping keeps it.
    pub(crate) fn commitment(&self, binding: &Binding, columns: u8) -> Result<[u8; COMMITMENT_LENGTH], CryptoError> {
        let info = binding.info(COMMITMENT_TAG, columns);
        let mut commitment = [0; COMMITMENT_LENGTH];
        hkdf_sha256(self.0.expose(), info.as_bytes(), &mut commitment)?;
        Ok(commitment)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::context::{DeploymentId, EncryptionContext, Role};

    #[test]
    fn the_worked_example_of_the_specification_is_what_is_computed() {
        let context = EncryptionContext {
            deployment_id: &DeploymentId::from_bytes(*b"deployment-one--"),
            account_sid: "AC00000000000000000000000000000001",
            credential_sid: "CR00000000000000000000000000000001",
            push_service: "apn",
            sandbox: false,
            version: 1,
        };
        let binding = context.binding().unwrap();
        let counting: Vec<u8> = (0..32).collect();
        let dek = DataEncryptionKey(Key256::from_slice(&counting).unwrap());
        let columns = Role::ApiKey.column_bit();

        let specification: String = include_str!("../../../docs/crypto.md").split_whitespace().collect();
        let values = [
            ("column AAD", binding.column_aad(Role::ApiKey).as_bytes().to_vec()),
            ("DEK AAD", binding.dek_aad(3).as_bytes().to_vec()),
            ("commitment", dek.commitment(&binding, columns).unwrap().to_vec()),
            (
                "K_enc",
                dek.encryption_key(&binding, columns).unwrap().expose().to_vec(),
            ),
        ];
        for (name, value) in values {
            assert!(specification.contains(&HEXLOWER.encode(&value)), "{name}");
        }
    }
}
