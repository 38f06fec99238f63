//! The way to a collector: OTLP over HTTP, in protobuf.

use prost::Message;
use tokio::runtime::Runtime;

use super::post::{PostError, Poster};

/// A collector that is brought messages. All the work is done on the thread that calls, by a runtime of its own: a collector
/// that hangs keeps neither a request nor the end of the process.
pub(super) struct Collector {
    runtime: Runtime,
    poster: Poster,
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

impl Collector {
    pub(super) fn new(setting: &'static str, endpoint: &str, path: &str) -> Result<Self, OtlpError> {
        let poster = Poster::new(&format!("{endpoint}{path}")).map_err(|error| match error {
            PostError::Roots(error) => OtlpError::Roots(setting, error),
            _ => OtlpError::Endpoint(setting),
        })?;
        Ok(Self {
            poster,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(OtlpError::Runtime)?,
        })
    }

    pub(super) fn deliver(&self, message: &impl Message) -> Result<(), PostError> {
        let posted = self.poster.post("application/x-protobuf", message.encode_to_vec());
        self.runtime.block_on(posted)
    }
}
