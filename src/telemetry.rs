//! Logging: one subscriber for the process, and what a panic may say. Beside it, off by default, traces.

mod cause;
mod otlp;
mod span;
mod traces;

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, LogSettings};

pub use cause::chain;
pub use otlp::TracesError;
pub use span::{RequestSpan, RequestStart, Traced, Tracer, carried, note, step};
pub use traces::Traces;

/// Sends the log to `writer`, and panics to the log. A second call changes nothing.
pub fn init<W>(settings: &LogSettings, writer: W) -> Result<(), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = parse_filter(settings)?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    // Only a second call fails, and the first one's subscriber goes on.
    let _already_set = match settings.format {
        LogFormat::Json => registry
            .with(
                lines
                    .json()
                    .flatten_event(true)
                    .with_current_span(true)
                    .with_span_list(false),
            )
            .try_init(),
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
    };
    log_panics();
    Ok(())
}

/// Says whether [`init`] would take these settings.
pub fn check(settings: &LogSettings) -> Result<(), TelemetryError> {
    parse_filter(settings).map(drop)
}

fn parse_filter(settings: &LogSettings) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(&settings.filter).map_err(|_| TelemetryError::Filter)
}

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is malformed.
    #[error("setting log.filter: give a level such as info, or directives such as info,pushvault=debug")]
    Filter,
}

/// A panic's message may quote the value that it tripped over, so only its place is told.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(tracing::field::display);
        tracing::error!(target: "panic", place, "a task panicked; this is a defect, please report the place");
    }));
}

/// Where `serve` logs.
pub fn stdout() -> fn() -> io::Stdout {
    io::stdout
}

/// Where the operator's commands log: their data is on standard output.
pub fn stderr() -> fn() -> io::Stderr {
    io::stderr
}
