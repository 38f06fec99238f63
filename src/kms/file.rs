//! A root key in a file of exactly 32 bytes.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use pushvault_crypto::KeyEncryptionKey;
use zeroize::Zeroizing;

use super::error::KmsError;

pub(super) fn read(path: &Path) -> Result<KeyEncryptionKey, KmsError> {
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
