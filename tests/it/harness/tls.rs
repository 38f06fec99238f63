//! Certificates that are made when a test runs, clients that trust them, and connections over TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pushvault::config::{Settings, TlsFiles, TlsSettings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

/// The name in every certificate of a service.
pub(crate) const SERVER_NAME: &str = "vault.internal.example.com";

/// A CA that certifies for a test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) private_key: String,
}

/// The files that a service reads: all in one directory, which may be written again while it runs.
pub(crate) struct TlsDirectory {
    directory: TempDir,
    pub(crate) authority: Authority,
}

/// A client that trusts a CA.
#[derive(Clone)]
pub(crate) struct TlsClient(Arc<ClientConfig>);

/// A connection's bytes: as they are, or within TLS.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for the service that is good for another month.
    pub(crate) fn server(&self) -> Pair {
        self.server_until(OffsetDateTime::now_utc() + Duration::days(30))
    }

    pub(crate) fn server_until(&self, not_after: OffsetDateTime) -> Pair {
        self.issue(ExtendedKeyUsagePurpose::ServerAuth, not_after)
    }

    /// A certificate for a client.
    pub(crate) fn client(&self) -> Pair {
        self.client_until(OffsetDateTime::now_utc() + Duration::days(30))
    }

    pub(crate) fn client_until(&self, not_after: OffsetDateTime) -> Pair {
        self.issue(ExtendedKeyUsagePurpose::ClientAuth, not_after)
    }

    fn issue(&self, purpose: ExtendedKeyUsagePurpose, not_after: OffsetDateTime) -> Pair {
        let mut parameters = CertificateParams::new([SERVER_NAME.to_owned()]).unwrap();
        parameters.extended_key_usages = vec![purpose];
        parameters.not_before = not_after - Duration::days(365);
        parameters.not_after = not_after;
        let key = KeyPair::generate().unwrap();
        Pair {
            certificate: parameters.signed_by(&key, &self.0).unwrap().pem(),
            private_key: key.serialize_pem(),
        }
    }

    /// A client that trusts this CA and shows no certificate.
    pub(crate) fn trusting(&self) -> TlsClient {
        self.client_of(None, ALL_VERSIONS, &[b"http/1.1"])
    }

    /// One that shows this certificate.
    pub(crate) fn trusting_with(&self, pair: &Pair) -> TlsClient {
        self.client_of(Some(pair), ALL_VERSIONS, &[])
    }

    pub(crate) fn client_of(
        &self,
        pair: Option<&Pair>,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> TlsClient {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.pem().as_bytes()).unwrap())
            .unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(pair.private_key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsClient(Arc::new(config))
    }
}

impl TlsDirectory {
    /// A certificate for the service, and no CA of clients.
    pub(crate) fn new() -> Self {
        let files = Self {
            directory: tempfile::tempdir().unwrap(),
            authority: Authority::new(),
        };
        files.put(&files.authority.server());
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts another pair in the place of the one that is there, the key first.
    pub(crate) fn put(&self, pair: &Pair) {
        self.write("tls.key", &pair.private_key);
        self.write("tls.crt", &pair.certificate);
    }

    /// Puts a whole file in the place of another.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let unfinished = self.path("unfinished");
        std::fs::write(&unfinished, text).unwrap();
        std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(unfinished, self.path(name)).unwrap();
    }

    /// Makes a service speak TLS with these files.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        settings.tls = TlsSettings {
            files: Some(TlsFiles {
                certificate: self.path("tls.crt"),
                private_key: self.path("tls.key"),
                client_ca: Some(self.path("client-ca.crt")).filter(|path| Path::exists(path)),
            }),
            terminated_by_proxy: false,
        };
    }
}

impl TlsClient {
    /// Shakes hands on a socket.
    pub(crate) fn connect(&self, mut socket: TcpStream) -> io::Result<Wire> {
        let name = ServerName::try_from(SERVER_NAME).unwrap();
        let mut session = ClientConnection::new(Arc::clone(&self.0), name).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(Wire::Tls(Box::new(StreamOwned::new(session, socket))))
    }
}

impl Wire {
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.get_ref(),
        }
    }

    /// The TLS session on it.
    pub(crate) fn session(&self) -> &ClientConnection {
        match self {
            Self::Plain(_) => panic!("no TLS is spoken here"),
            Self::Tls(tls) => &tls.conn,
        }
    }

    /// The certificate that the service showed.
    pub(crate) fn shown(&self) -> Vec<u8> {
        self.session().peer_certificates().expect("a certificate")[0].to_vec()
    }
}

impl Pair {
    /// The certificate as it is shown.
    pub(crate) fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .unwrap()
            .to_vec()
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
