//! Sends a message to an address, and wants nothing back but that it was taken.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// How long one sending may take.
const POST_TIME: Duration = Duration::from_secs(5);

/// An address that takes messages.
pub struct Poster {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
}

/// Why a message was not taken. The address is not told: it may be what only its owner should know.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// It is no address that can be asked.
    #[error("the address cannot be asked: give one that begins with http:// or https://")]
    Address,
    /// The machine has no certificates to hold the other side's against.
    #[error("for https, install CA certificates or name them with SSL_CERT_FILE")]
    Roots(#[source] std::io::Error),
    /// Nobody is there.
    #[error("nobody can be reached there")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    /// It takes too long.
    #[error("there was no answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
    /// It does not want it.
    #[error("the answer has status {0}")]
    Refused(StatusCode),
}

impl PostError {
    /// Whether the same message may be taken the next time.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Late(_) => true,
            Self::Refused(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Address | Self::Roots(_) => false,
        }
    }
}

impl Poster {
    /// Makes ready to send to an address.
    pub fn new(url: &str) -> Result<Self, PostError> {
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| PostError::Address)?;
        let tls = if url.starts_with("https:") {
            tls.with_native_roots().map_err(PostError::Roots)?
        } else {
            tls.with_root_certificates(RootCertStore::empty())
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            // Between two messages nobody looks after a connection.
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(connector),
            uri: url.parse().map_err(|_| PostError::Address)?,
        })
    }

    /// Sends a message; it was taken if the answer is a success.
    pub async fn post(&self, content_type: &'static str, message: impl Into<Bytes>) -> Result<(), PostError> {
        let mut request = Request::new(Full::new(message.into()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let user_agent = concat!("pushvault/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(user_agent));
        let answer = tokio::time::timeout(POST_TIME, self.client.request(request)).await??;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(PostError::Refused(status)),
        }
    }
}
