//! Brings finished spans to the collector: OTLP over HTTP, in protobuf. A collector that is slow, away or talks nonsense
//! costs its spans and nothing else; the log is told of it now and then.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message as _;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::runtime::Runtime;

use super::cause::chain;

/// How long the collector may take over one batch.
const EXPORT_TIME: Duration = Duration::from_secs(5);

/// Brings spans to the collector. All its work is done on the thread that calls it, by a runtime of its own: one that
/// hangs keeps neither a request nor the end of the process.
pub(super) struct OtlpExporter {
    runtime: Runtime,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    resource: ResourceAttributesWithSchema,
    /// Spans that were not delivered, since the log was last told.
    undelivered: AtomicUsize,
    /// How often the log is told.
    telling: DefaultDirectRateLimiter,
}

/// Why there can be no traces.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The endpoint is no address that can be asked.
    #[error("setting trace.otlp_endpoint: give scheme, host and port alone, such as http://collector:4318")]
    Endpoint,
    /// The machine has no certificates to hold the collector's against.
    #[error("setting trace.otlp_endpoint: for https, install CA certificates or name them with SSL_CERT_FILE")]
    Roots(#[source] std::io::Error),
    /// The operating system refused.
    #[error("cannot make ready to send traces")]
    Runtime(#[source] std::io::Error),
}

/// Why a batch was not delivered.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    #[error("the collector cannot be reached")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the collector did not answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("the collector answered with status {0}")]
    Refused(StatusCode),
}

impl OtlpExporter {
    pub(super) fn new(endpoint: &str) -> Result<Self, TracesError> {
        let uri = format!("{endpoint}/v1/traces")
            .parse()
            .map_err(|_| TracesError::Endpoint)?;
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| TracesError::Endpoint)?;
        let tls = if endpoint.starts_with("https:") {
            tls.with_native_roots().map_err(TracesError::Roots)?
        } else {
            tls.with_root_certificates(RootCertStore::empty())
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            // Between two batches nobody looks after a connection.
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(connector),
            uri,
            resource: ResourceAttributesWithSchema::default(),
            undelivered: AtomicUsize::new(0),
            telling: RateLimiter::direct(Quota::per_hour(NonZeroU32::MIN)),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(TracesError::Runtime)?,
        })
    }

    fn deliver(&self, spans: Vec<SpanData>) -> Result<(), Undelivered> {
        let message = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(spans, &self.resource),
        };
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
            .block_on(async { tokio::time::timeout(EXPORT_TIME, self.client.request(request)).await })??;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Undelivered::Refused(status)),
        }
    }

    fn tell(&self, cause: &Undelivered, count: usize) {
        let spans = self.undelivered.fetch_add(count, Ordering::Relaxed) + count;
        if self.telling.check().is_ok() {
            self.undelivered.store(0, Ordering::Relaxed);
            tracing::warn!(
                setting = "trace.otlp_endpoint",
                cause = chain(cause),
                spans,
                "spans were lost, requests were not: look after the collector; the next line like this comes in an hour at the earliest"
            );
        }
    }
}

impl SpanExporter for OtlpExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        self.deliver(batch).map_err(|cause| {
            self.tell(&cause, count);
            OTelSdkError::InternalFailure(String::new())
        })
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl fmt::Debug for OtlpExporter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OtlpExporter")
    }
}
