//! Traces: which are sent, and how finished spans get from the requests to the collector.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, IdGenerator as _, RandomIdGenerator, Sampler, SdkTracerProvider, SpanLimits,
};
use tokio::sync::oneshot;

use super::otlp::{OtlpExporter, TracesError};
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
    pub fn begin(settings: &TraceSettings) -> Result<Self, TracesError> {
        let exporter = OtlpExporter::new(&settings.otlp_endpoint)?;
        let queue = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let instance = uuid::Builder::from_random_bytes(RandomIdGenerator::default().new_trace_id().to_bytes());
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", "pushvault"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", instance.into_uuid().to_string()),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::new(exporter, queue))
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                settings.sample_ratio,
            ))))
            .with_span_limits(SpanLimits::default())
            .with_resource(resource)
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
