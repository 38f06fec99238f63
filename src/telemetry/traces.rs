//! Traces: which are sent, and how finished spans get from the requests to the collector. A collector that is slow, away or
//! talks nonsense costs its spans and nothing else; the log is told of it now and then.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter, SpanLimits,
};
use tokio::sync::oneshot;

use super::cause::chain;
use super::otlp::{Collector, OtlpError};
use super::post::PostError;
use super::resource;
use super::span::Tracer;
use crate::config::TraceSettings;

/// Finished spans that wait for the collector, at most; what comes on top is lost.
const QUEUE: usize = 2048;
/// Spans that are sent together, at most.
const BATCH: usize = 512;
/// How long a finished span waits for others before they are sent.
const DELAY: Duration = Duration::from_secs(2);
/// How long the end of the process waits for the last spans to be delivered.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// Traces on their way, with a thread of their own that brings them.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Begins to send traces. The settings alone count: no variable of OpenTelemetry's is asked.
    pub fn begin(settings: &TraceSettings) -> Result<Self, OtlpError> {
        let exporter = SpanSender::new(&settings.otlp_endpoint)?;
        let queue = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::new(exporter, queue))
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                settings.sample_ratio,
            ))))
            .with_span_limits(SpanLimits::default())
            .with_resource(resource())
            .build();
        tracing::info!(
            endpoint = settings.otlp_endpoint,
            sample_ratio = settings.sample_ratio,
            "requests are traced"
        );
        Ok(Self { provider })
    }

    /// Begins the spans of requests.
    pub fn tracer(&self) -> Tracer {
        Tracer(self.provider.tracer("pushvault"))
    }

    /// Delivers the spans that still wait, and waits for that no longer than two seconds.
    pub async fn end(self) {
        let (done, ended) = oneshot::channel();
        // A thread that nobody waits for longer, whatever the collector does.
        std::thread::spawn(move || done.send(self.provider.shutdown_with_timeout(FLUSH_TIME).is_ok()));
        if !matches!(tokio::time::timeout(FLUSH_TIME, ended).await, Ok(Ok(true))) {
            tracing::warn!(
                setting = "trace.otlp_endpoint",
                "the last spans were lost: the collector does not take them"
            );
        }
    }
}

/// Brings spans to the collector.
struct SpanSender {
    collector: Collector,
    resource: ResourceAttributesWithSchema,
    /// Spans that were not delivered, since the log was last told.
    undelivered: AtomicUsize,
    /// How often the log is told.
    telling: DefaultDirectRateLimiter,
}

impl SpanSender {
    fn new(endpoint: &str) -> Result<Self, OtlpError> {
        Ok(Self {
            collector: Collector::new("trace.otlp_endpoint", endpoint, "/v1/traces")?,
            resource: ResourceAttributesWithSchema::default(),
            undelivered: AtomicUsize::new(0),
            telling: RateLimiter::direct(Quota::per_hour(NonZeroU32::MIN)),
        })
    }

    fn tell(&self, cause: &PostError, count: usize) {
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

impl SpanExporter for SpanSender {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let message = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        self.collector.deliver(&message).map_err(|cause| {
            self.tell(&cause, count);
            OTelSdkError::InternalFailure(String::new())
        })
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl fmt::Debug for SpanSender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SpanSender")
    }
}
