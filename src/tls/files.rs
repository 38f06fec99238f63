//! The files of TLS: read, held against each other, and made into what a handshake needs. No error repeats what stands in
//! one.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use time::OffsetDateTime;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use x509_parser::parse_x509_certificate;
use zeroize::Zeroizing;

use crate::config::TlsFiles;

const CERTIFICATE: &str = "tls.certificate_file";
const PRIVATE_KEY: &str = "tls.private_key_file";
const CLIENT_CA: &str = "tls.client_ca_file";

/// What TLS agrees on to be spoken within it.
const HTTP: &[u8] = b"http/1.1";

/// How an encrypted private key says that it is one: PKCS#8's label, and the older way of OpenSSL.
const ENCRYPTED: [&str; 2] = ["ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];

/// What is wrong with the files of TLS, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("setting {key}: cannot read {}", path.display())]
    Unreadable {
        /// The key as in `config/default.toml`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds no certificate, or one of those in it is broken.
    #[error("setting {key}: {} holds no certificate in PEM, or a broken one", path.display())]
    NoCertificate {
        /// The key as in `config/default.toml`.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Every user of the machine could read the private key.
    #[error(
        "setting tls.private_key_file: {} may be read by every user: run `chmod o-rwx` on it, and think about a new key \
         and certificate",
        .0.display()
    )]
    WorldReadable(PathBuf),
    /// The private key needs a passphrase.
    #[error(
        "setting tls.private_key_file: {} is encrypted, and there is nobody to give its passphrase: decrypt it with \
         `openssl pkey -in FILE -out NEW`, and keep the new file with mode 0600",
        .0.display()
    )]
    Encrypted(PathBuf),
    /// The file holds no private key.
    #[error(
        "setting tls.private_key_file: {} holds no private key in PEM, or a broken one: give one in PKCS#8, PKCS#1 or SEC 1",
        .0.display()
    )]
    NoPrivateKey(PathBuf),
    /// The private key is of a kind that is not spoken.
    #[error(
        "setting tls.private_key_file: the key in {} is of a kind that is not supported: use ECDSA on P-256 or P-384, \
         Ed25519, or RSA of 2048 to 8192 bits",
        .0.display()
    )]
    Unsupported(PathBuf),
    /// Certificate and key are not a pair.
    #[error(
        "settings tls.certificate_file and tls.private_key_file: the private key does not belong to the first \
         certificate: the service's own comes first, those of CAs after it"
    )]
    NotAPair,
    /// The TLS library refuses what it was given.
    #[error("TLS cannot be set up")]
    Library(#[from] rustls::Error),
}

/// What the files hold that is no secret. As long as it is the same, so is everything else: another certificate is what
/// makes another private key.
#[derive(PartialEq, Eq)]
pub(super) struct Public {
    certificate: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// What a handshake needs.
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// When the service's certificate expires.
    pub(super) not_after: OffsetDateTime,
    /// What it was made of.
    pub(super) public: Public,
}

impl Public {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |key, path: &Path| std::fs::read(path).map_err(unreadable(key, path));
        Ok(Self {
            certificate: read(CERTIFICATE, &files.certificate)?,
            client_ca: files
                .client_ca
                .as_deref()
                .map(|path| read(CLIENT_CA, path))
                .transpose()?,
        })
    }
}

impl Loaded {
    /// Reads the private key, and makes sure that all of it fits together.
    pub(super) fn new(files: &TlsFiles, public: Public) -> Result<Self, TlsError> {
        let broken = |key, path: &Path| TlsError::NoCertificate {
            key,
            path: path.to_owned(),
        };
        let chain = certificates(&public.certificate).ok_or_else(|| broken(CERTIFICATE, &files.certificate))?;
        let not_after = chain
            .first()
            .and_then(|first| parse_x509_certificate(first).ok())
            .map(|(_, first)| first.validity().not_after.to_datetime())
            .ok_or_else(|| broken(CERTIFICATE, &files.certificate))?;
        let key = private_key(&files.private_key)?;
        // Said here, and not left to the process: a second library beside ring must not change it.
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match (&public.client_ca, &files.client_ca) {
            (Some(bytes), Some(path)) => {
                let verifier = client_verifier(bytes, provider).ok_or_else(|| broken(CLIENT_CA, path))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::NotAPair,
            rustls::Error::InvalidCertificate(_) => broken(CERTIFICATE, &files.certificate),
            rustls::Error::General(_) => TlsError::Unsupported(files.private_key.clone()),
            other => TlsError::Library(other),
        })?;
        config.alpn_protocols = vec![HTTP.to_vec()];
        if public.client_ca.is_some() {
            // A session that is taken up again is not asked for its certificate, which may have expired meanwhile.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self {
            config: Arc::new(config),
            not_after,
            public,
        })
    }
}

fn unreadable(key: &'static str, path: &Path) -> impl Fn(std::io::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Unreadable {
        key,
        path: path.clone(),
        source,
    }
}

/// All certificates of a file; none where there is none, or a broken one.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!certificates.is_empty()).then_some(certificates)
}

/// Lets in whom one of these CAs has certified.
fn client_verifier(
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Option<Arc<dyn rustls::server::danger::ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).ok()?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .ok()
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let unreadable = unreadable(PRIVATE_KEY, path);
    let mut file = std::fs::File::open(path).map_err(&unreadable)?;
    if file.metadata().map_err(&unreadable)?.permissions().mode() & 0o007 != 0 {
        return Err(TlsError::WorldReadable(path.to_owned()));
    }
    let mut pem = Zeroizing::new(Vec::new());
    file.read_to_end(&mut pem).map_err(&unreadable)?;
    let is_encrypted = |mark: &str| pem.windows(mark.len()).any(|window| window == mark.as_bytes());
    if ENCRYPTED.into_iter().any(is_encrypted) {
        return Err(TlsError::Encrypted(path.to_owned()));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::NoPrivateKey(path.to_owned()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
    }

    /// Loads a pair of the fixtures, from files as private as they must be.
    fn load(certificate: &str, key: &str) -> Result<Loaded, TlsError> {
        let directory = tempfile::tempdir().unwrap();
        let private_key = directory.path().join("tls.key");
        std::fs::copy(fixture(key), &private_key).unwrap();
        std::fs::set_permissions(&private_key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let files = TlsFiles {
            certificate: fixture(certificate),
            private_key,
            client_ca: None,
        };
        Loaded::new(&files, Public::read(&files)?)
    }

    #[test]
    fn every_way_to_write_a_key_is_read_and_both_may_stand_in_one_file() {
        for (certificate, key) in [
            ("apns-universal.pem", "apns-universal-pkcs1-key.pem"),
            ("apns-ec.pem", "apns-ec-sec1-key.pem"),
            ("apns-pair.pem", "apns-pair.pem"),
        ] {
            let refused = load(certificate, key).err().map(|error| error.to_string());
            assert_eq!(refused, None, "{certificate}, {key}");
        }
    }

    #[test]
    fn an_encrypted_key_is_told_from_a_broken_one_and_a_pair_from_two_halves() {
        assert!(matches!(
            load("apns-ec.pem", "encrypted-key.pem"),
            Err(TlsError::Encrypted(_))
        ));
        assert!(matches!(
            load("apns-ec.pem", "twilio-openapi/README.md"),
            Err(TlsError::NoPrivateKey(_))
        ));
        assert!(matches!(
            load("apns-ec.pem", "rsa-pkcs1-key.pem"),
            Err(TlsError::NotAPair)
        ));
    }
}
