//! The rules that settings are held against, and how a broken one is told: by its key, with a remedy, without its value.

use std::net::IpAddr;
use std::path::PathBuf;
use std::thread::available_parallelism;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::error::ConfigError;

/// Scheme, host and port, as a URL begins; none where the setting is empty.
pub(super) fn origin(key: &'static str, text: &str) -> Result<Option<String>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    Url::parse(text)
        .ok()
        .filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && !text.contains(['"', '\\', '<', '>', '{', '}', '|', '^', '`'])
        })
        .map(|url| Some(url.origin().ascii_serialization()))
        .ok_or_else(|| {
            invalid(
                key,
                "give scheme and host alone, such as https://vault.internal.example.com",
            )
        })
}

/// Addresses and networks with commas between.
pub(super) fn networks(key: &'static str, text: &str) -> Result<Vec<IpNet>, ConfigError> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse::<IpNet>()
                .or_else(|_| part.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| {
                    invalid(
                        key,
                        "give addresses or networks with commas between, such as 10.0.0.7, 10.1.0.0/16",
                    )
                })
        })
        .collect()
}

pub(super) fn invalid(key: &'static str, remedy: impl Into<String>) -> ConfigError {
    ConfigError::Invalid {
        key,
        remedy: remedy.into(),
    }
}

/// Nothing works with a timeout, a limit or a cost of zero.
pub(super) fn at_least_one(key: &'static str, value: impl Into<u64>) -> Result<(), ConfigError> {
    match value.into() {
        0 => Err(invalid(key, "give at least 1")),
        _ => Ok(()),
    }
}

pub(super) fn or_cores(count: usize) -> usize {
    match count {
        0 => available_parallelism().map_or(1, std::num::NonZero::get),
        count => count,
    }
}

/// The secret itself, from its file when one is named. Newlines at the end of the file are not part of it.
pub(super) fn secret(
    file_key: &'static str,
    value: SecretString,
    file: &str,
) -> Result<Option<SecretString>, ConfigError> {
    if file.is_empty() {
        return Ok(Some(value).filter(|value| !value.expose_secret().is_empty()));
    }
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(file).map_err(|source| ConfigError::SecretFile {
        key: file_key,
        path: PathBuf::from(file),
        source,
    })?);
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(invalid(file_key, "the file is empty")),
        text => Ok(Some(SecretString::from(text))),
    }
}

/// Whether a secret is set, and no more of it.
pub(super) fn redacted(secret: &SecretString) -> String {
    if secret.expose_secret().is_empty() {
        String::new()
    } else {
        "[redacted]".to_owned()
    }
}
