//! The way to a collector: OTLP over HTTP, in protobuf.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::runtime::Runtime;

/// How long the collector may take over one message.
const DELIVERY_TIME: Duration = Duration::from_secs(5);

/// A collector that is brought messages. All the work is done on the thread that calls, by a runtime of its own: a collector
/// that hangs keeps neither a request nor the end of the process.
pub(super) struct Collector {
    runtime: Runtime,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
}

/// Why nothing can be sent to a collector.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The endpoint is no address that can be asked.
    #[error("setting {0}: give scheme, host and port alone, such as http://collector:4318")]
    Endpoint(&'static str),
    /// The machine has no certificates to hold the collector's against.
    #[error("setting {0}: for https, install CA certificates or name them with SSL_CERT_FILE")]
    Roots(&'static str, #[source] std::io::Error),
    /// The operating system refused.
    #[error("cannot make ready to send to a collector")]
    Runtime(#[source] std::io::Error),
}

/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    #[error("the collector cannot be reached")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the collector did not answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("the collector answered with status {0}")]
    Refused(StatusCode),
}

impl Undelivered {
    /// Whether the same message may be taken the next time.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Late(_) => true,
            Self::Refused(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }
}

impl Collector {
    pub(super) fn new(setting: &'static str, endpoint: &str, path: &str) -> Result<Self, OtlpError> {
        let uri = format!("{endpoint}{path}")
            .parse()
            .map_err(|_| OtlpError::Endpoint(setting))?;
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| OtlpError::Endpoint(setting))?;
        let tls = if endpoint.starts_with("https:") {
            tls.with_native_roots()
                .map_err(|error| OtlpError::Roots(setting, error))?
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
            uri,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(OtlpError::Runtime)?,
        })
    }

    pub(super) fn deliver(&self, message: &impl Message) -> Result<(), Undelivered> {
        let mut request = Request::new(Full::new(Bytes::from(message.encode_to_vec())));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            hyper::header::HeaderValue::from_static("application/x-protobuf"),
        );
        headers.insert(
            USER_AGENT,
            hyper::header::HeaderValue::from_static(concat!("pushvault/", env!("CARGO_PKG_VERSION"))),
        );
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(DELIVERY_TIME, self.client.request(request)).await })??;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Undelivered::Refused(status)),
        }
    }
}
