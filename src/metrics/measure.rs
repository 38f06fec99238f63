//! What is measured by living: how many there are, and how long it took.

use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;

/// Raises a gauge by one, for as long as this lives.
pub struct Raised(Gauge);

impl Raised {
    /// From now on.
    pub fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Tells how long ago it was started, by a clock that nobody sets.
#[derive(Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// From now on.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Until now.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// The same in seconds, as histograms take it.
    pub fn seconds(self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}
