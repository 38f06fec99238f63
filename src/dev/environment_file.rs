//! `dev.env`: where the vault listens and who may call, for shells and SDKs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::data_directory::{DataDirectory, DataDirectoryError, write_private};
use crate::domain::sid::AccountSid;

const ACCOUNT_SID: &str = "TWILIO_ACCOUNT_SID=";
const AUTH_TOKEN: &str = "TWILIO_AUTH_TOKEN=";
const URL: &str = "PUSHVAULT_URL=";

/// An account and its auth token.
pub(super) struct AccountCredentials {
    pub(super) account_sid: AccountSid,
    pub(super) auth_token: SecretString,
}

/// The file. It exists while the vault is ready; before that the account of the last run waits beside it.
pub(super) struct EnvironmentFile {
    path: PathBuf,
    aside: PathBuf,
}

impl EnvironmentFile {
    pub(super) fn of(directory: &DataDirectory) -> Self {
        Self {
            path: directory.path().join("dev.env"),
            aside: directory.path().join("dev.env.last"),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the file of the last run out of sight and tells whose it was.
    pub(super) fn set_aside(&self) -> Result<Option<AccountCredentials>, DataDirectoryError> {
        match fs::rename(&self.path, &self.aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(DataDirectoryError::file(&self.path)(error));
            }
            _ => {}
        }
        match fs::read_to_string(&self.aside).map(Zeroizing::new) {
            Ok(text) => Ok(parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DataDirectoryError::file(&self.aside)(error)),
        }
    }

    /// Writes the file: the vault is ready.
    pub(super) fn write(&self, account: &AccountCredentials, origin: &str) -> Result<(), DataDirectoryError> {
        let text = Zeroizing::new(format!(
            "{ACCOUNT_SID}{}\n{AUTH_TOKEN}{}\n{URL}{origin}\n",
            account.account_sid,
            account.auth_token.expose_secret(),
        ));
        write_private(&self.path, text.as_bytes())?;
        match fs::remove_file(&self.aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DataDirectoryError::file(&self.aside)(error)),
            _ => Ok(()),
        }
    }
}

fn parse(text: &str) -> Option<AccountCredentials> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    Some(AccountCredentials {
        account_sid: AccountSid::parse(value(ACCOUNT_SID)?).ok()?,
        auth_token: SecretString::from(value(AUTH_TOKEN)?),
    })
}
