//! Audit events for a collector of OpenTelemetry's: a log record each, with the fields of the line as attributes.

use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::otlp::{Collector, OtlpError};
use super::queue::{Queue, Trouble};
use super::resource;
use crate::metrics::Sink;

/// How often a batch is brought to a collector that may take it the next time, before it is lost.
const TRIES: usize = 10;
/// How long it rests between.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes a record of each event that it is shown.
pub(super) struct Records(Queue<LogRecord>);

impl Records {
    /// Begins to bring records to the collector.
    pub(super) fn begin(endpoint: &str) -> Result<Self, OtlpError> {
        let collector = Collector::new("audit.otlp_endpoint", endpoint, "/v1/logs")?;
        let queue = Queue::begin(Sink::AuditOtlp, move |batch, tell| deliver(&collector, batch, tell));
        queue.map(Self).map_err(OtlpError::Runtime)
    }
}

/// Brings records to the collector, and tries again for a while where that may help.
fn deliver(collector: &Collector, records: Vec<LogRecord>, tell: &mut dyn FnMut(&Trouble)) {
    let count = records.len();
    let message = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes: ResourceAttributesWithSchema::from(&resource()).attributes.0,
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                scope: Some(InstrumentationScope {
                    name: "pushvault".to_owned(),
                    ..InstrumentationScope::default()
                }),
                log_records: records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    for left in (0..TRIES).rev() {
        match collector.deliver(&message) {
            Ok(()) => return,
            Err(error) if left > 0 && error.may_pass() => {
                tell(&Trouble::new(0, &error));
                thread::sleep(PAUSE);
            }
            Err(error) => return tell(&Trouble::new(count, &error)),
        }
    }
}

impl<S: Subscriber> Layer<S> for Records {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut record = LogRecord {
            severity_number: SeverityNumber::Info.into(),
            severity_text: event.metadata().level().as_str().to_owned(),
            event_name: "pushvault.audit".to_owned(),
            ..LogRecord::default()
        };
        event.record(&mut Fields(&mut record));
        self.0.give(record);
    }
}

/// The fields of an event on their way into its record.
struct Fields<'a>(&'a mut LogRecord);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.attributes.push(KeyValue {
            key: field.name().to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let id = || data_encoding::HEXLOWER.decode(value.as_bytes()).unwrap_or_default();
        match field.name() {
            "trace.id" => self.0.trace_id = id(),
            "span.id" => self.0.span_id = id(),
            "pushvault.trace_flags" => self.0.flags = u32::from_str_radix(value, 16).unwrap_or_default(),
            "@timestamp" => {
                let time = OffsetDateTime::parse(value, &Rfc3339).map(OffsetDateTime::unix_timestamp_nanos);
                let time = time.ok().and_then(|time| u64::try_from(time).ok());
                self.0.time_unix_nano = time.unwrap_or_default();
                self.0.observed_time_unix_nano = self.0.time_unix_nano;
            }
            _ => self.put(field, Value::StringValue(value.to_owned())),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::IntValue(value));
    }

    /// Only what is text or a number is told; the one field that is neither is the message, which is the same for all.
    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}
