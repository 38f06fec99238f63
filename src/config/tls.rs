//! `[tls]`: the certificate that the service shows, and where it may do without one.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::error::ConfigError;
use super::rules::invalid;

/// How the service is spoken to.
#[derive(Clone)]
pub struct TlsSettings {
    /// What TLS needs; none where the service speaks plain HTTP.
    pub files: Option<TlsFiles>,
    /// Whether a proxy ends TLS, so that plain HTTP may be spoken with others than this machine.
    pub terminated_by_proxy: bool,
}

/// The files that TLS needs, all of them PEM.
#[derive(Clone)]
pub struct TlsFiles {
    /// The service's certificate, and after it those of the CAs between it and a root.
    pub certificate: PathBuf,
    /// The private key of that certificate.
    pub private_key: PathBuf,
    /// The CAs of the clients: with it, nobody is let in without a certificate of theirs.
    pub client_ca: Option<PathBuf>,
}

impl TlsSettings {
    /// Whether the service may listen there: tokens and secrets leave the machine encrypted, or somebody has said who
    /// encrypts them.
    pub fn permit(&self, listen: SocketAddr) -> Result<(), ConfigError> {
        if self.files.is_some() || self.terminated_by_proxy || listen.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(invalid(
            "server.listen",
            "beyond loopback, plain HTTP would show tokens and secrets to the network: give tls.certificate_file and \
             tls.private_key_file, or listen on 127.0.0.1, or, if a proxy before the service ends TLS, set \
             tls.terminated_by_proxy = true",
        ))
    }
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    certificate_file: String,
    private_key_file: String,
    client_ca_file: String,
    terminated_by_proxy: bool,
}

impl RawTls {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("tls.certificate_file", self.certificate_file.clone()),
            ("tls.private_key_file", self.private_key_file.clone()),
            ("tls.client_ca_file", self.client_ca_file.clone()),
            ("tls.terminated_by_proxy", self.terminated_by_proxy.to_string()),
        ]
    }

    pub(super) fn check(&self) -> Result<TlsSettings, ConfigError> {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        let client_ca = path(&self.client_ca_file);
        let files = match (path(&self.certificate_file), path(&self.private_key_file)) {
            (Some(certificate), Some(private_key)) => Some(TlsFiles {
                certificate,
                private_key,
                client_ca,
            }),
            (Some(_), None) => {
                return Err(invalid(
                    "tls.private_key_file",
                    "give the private key of tls.certificate_file too, or neither",
                ));
            }
            (None, Some(_)) => {
                return Err(invalid(
                    "tls.certificate_file",
                    "give the certificate of tls.private_key_file too, or neither",
                ));
            }
            (None, None) if client_ca.is_some() => {
                return Err(invalid(
                    "tls.client_ca_file",
                    "clients show certificates within TLS only: give tls.certificate_file and tls.private_key_file too",
                ));
            }
            (None, None) => None,
        };
        Ok(TlsSettings {
            files,
            terminated_by_proxy: self.terminated_by_proxy,
        })
    }
}
