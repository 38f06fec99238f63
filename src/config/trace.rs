//! `[trace]`: where the spans of requests go.

use serde::Deserialize;

use super::error::ConfigError;
use super::rules::{invalid, origin};

/// Where the spans of requests go.
#[derive(Clone)]
pub struct TraceSettings {
    /// The collector's origin, without a slash at its end.
    pub otlp_endpoint: String,
    /// How many of the traces that begin here are sent.
    pub sample_ratio: f64,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrace {
    otlp_endpoint: String,
    sample_ratio: f64,
}

impl RawTrace {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("trace.otlp_endpoint", self.otlp_endpoint.clone()),
            ("trace.sample_ratio", self.sample_ratio.to_string()),
        ]
    }

    pub(super) fn check(&self) -> Result<Option<TraceSettings>, ConfigError> {
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err(invalid("trace.sample_ratio", "give a number from 0 to 1"));
        }
        let endpoint = origin("trace.otlp_endpoint", &self.otlp_endpoint).map_err(|_| {
            invalid(
                "trace.otlp_endpoint",
                "give scheme, host and port alone, such as http://collector:4318",
            )
        })?;
        Ok(endpoint.map(|otlp_endpoint| TraceSettings {
            otlp_endpoint,
            sample_ratio: self.sample_ratio,
        }))
    }
}
