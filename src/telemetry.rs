//! Logging: one subscriber for the process, where its lines go, and what a panic may say. Beside it, off by default, traces.

mod cause;
mod lines;
mod otlp;
mod post;
mod queue;
mod records;
mod resource;
mod span;
mod traces;

use std::io;
use std::path::PathBuf;

use tracing_appender::rolling::InitError;
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt};

use crate::config::{AuditSettings, LogFormat, LogSettings};

pub use cause::chain;
pub use lines::Stream;
pub use otlp::OtlpError;
pub use post::{PostError, Poster};
pub use queue::end;
pub use span::{RequestSpan, RequestStart, Traced, Tracer, carried, note, step};
pub use traces::Traces;

use records::Records;
use resource::resource;

/// The target of audit events.
const AUDIT: &str = "audit";

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// Begins the log of a service, which nobody waits for: [`init`] with a queue before the stream. A file of audit events that
/// cannot be opened is refused here.
pub fn begin(log: &LogSettings, audit: &AuditSettings, stream: Stream) -> Result<(), TelemetryError> {
    check(log)?;
    if let Some(file) = &audit.file {
        lines::open(file).map_err(|source| TelemetryError::File {
            path: file.directory.join(&file.name),
            source,
        })?;
    }
    let stream = lines::stream(stream).map_err(TelemetryError::Queue)?;
    init(log, audit, move || stream.clone())
}

/// Sends the log to `writer`, audit events to wherever else they go, and panics to the log. A second call changes nothing.
pub fn init<W>(log: &LogSettings, audit: &AuditSettings, writer: W) -> Result<(), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = parse_filter(log)?;
    let filter = if audit.log { filter } else { without_audit(filter)? };
    let mut layers: Vec<Lines> = vec![match log.format {
        LogFormat::Json => json(writer).with_filter(filter).boxed(),
        LogFormat::Text => {
            let lines = fmt::layer().with_writer(writer).with_ansi(false);
            lines.with_filter(filter).boxed()
        }
    }];
    // What is told of changes does not depend on what else is logged.
    let audit_alone = || Targets::new().with_target(AUDIT, tracing::Level::INFO);
    if let Some(file) = &audit.file {
        let lines = lines::file(file).map_err(TelemetryError::Queue)?;
        layers.push(json(move || lines.clone()).with_filter(audit_alone()).boxed());
    }
    if let Some(endpoint) = &audit.otlp_endpoint {
        layers.push(Records::begin(endpoint)?.with_filter(audit_alone()).boxed());
    }
    // Only a second call fails, and the first one's subscriber goes on.
    let _already_set = tracing_subscriber::registry().with(layers).try_init();
    log_panics();
    Ok(())
}

/// Says whether [`init`] would take these settings.
pub fn check(settings: &LogSettings) -> Result<(), TelemetryError> {
    parse_filter(settings).map(drop)
}

/// One JSON object a line.
fn json<W>(writer: W) -> impl Layer<Registry> + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fmt::layer()
        .with_writer(writer)
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
}

/// A level is about what the service has to say; what is told of changes, and of the trail, is told all the same unless the
/// filter names it.
fn parse_filter(settings: &LogSettings) -> Result<EnvFilter, TelemetryError> {
    let directives = format!("{AUDIT}=info,checkpoint=info,{}", settings.filter);
    EnvFilter::try_new(directives).map_err(|_| TelemetryError::Filter)
}

fn without_audit(filter: EnvFilter) -> Result<EnvFilter, TelemetryError> {
    let directive = format!("{AUDIT}=off").parse().map_err(|_| TelemetryError::Filter)?;
    Ok(filter.add_directive(directive))
}

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is malformed.
    #[error("setting log.filter: give a level such as info, or directives such as info,pushvault=debug")]
    Filter,
    /// The file of audit events cannot be written.
    #[error("setting audit.file: cannot open {}: give a directory in which pushvault may make files", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: InitError,
    },
    /// The collector of audit events cannot be asked.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// The operating system refused.
    #[error("cannot make ready to log")]
    Queue(#[source] io::Error),
}

/// A panic's message may quote the value that it tripped over, so only its place is told.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(tracing::field::display);
        tracing::error!(target: "panic", place, "a task panicked; this is a defect, please report the place");
    }));
}

/// Where the operator's commands log: their data is on standard output.
pub fn stderr() -> fn() -> io::Stderr {
    io::stderr
}
