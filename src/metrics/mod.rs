//! What is counted and measured, for Prometheus: one list of metrics, and the values of each service.
//!
//! A label's value is a text of this program or a number, never a caller's text: no other can be made a [`Label`]. So no
//! metric can hold a secret, and the number of series is bounded by the program.

mod lost;
mod measure;
mod process;
mod table;

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

pub use lost::Sink;
pub use measure::{Raised, Stopwatch};
pub use table::{Fraction, FractionCounter, Label, Labelled, Row};

use table::Table;

/// The media type of [`Metrics::text`].
pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

/// From an answer out of memory to the longest that a request may take: two steps of `limits.request_seconds`, or a body
/// that comes in `limits.body_seconds`.
const REQUEST_BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// From the cheapest costs of Argon2id to those of a machine that is out of breath.
const ARGON2_BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Makes the struct out of the list: a field for each metric, and where it is registered. The comment is the help text.
macro_rules! metrics {
    ($(#[doc = $help:literal] $field:ident: $type:ty = $kind:ident($($argument:expr),+);)+) => {
        /// The metrics of one service.
        pub struct Metrics {
            $(#[doc = $help] pub $field: $type,)+
            table: Table,
        }

        impl Metrics {
            /// Metrics at their beginning.
            pub fn new() -> Self {
                let mut table = Table::default();
                let metrics = Self {
                    $($field: table.$kind($help, $($argument),+),)+
                    table,
                };
                metrics.process_start_time.set(process::now());
                metrics.build_info.of([env!("CARGO_PKG_VERSION").into()]).set(1);
                metrics
            }
        }
    };
}

metrics! {
    /// Answers of the API, to heads that could not be read too (with method `other` and route `none`)
    http_requests: Labelled<Counter, 3> = counters("pushvault_http_requests_total", ["method", "route", "status"]);
    /// Seconds from the head of a request to its answer
    http_request_duration: Labelled<Histogram, 2> = histograms("pushvault_http_request_duration_seconds", ["method", "route"], || Histogram::new(REQUEST_BUCKETS));
    /// Requests of the API under way
    http_requests_in_flight: Gauge = gauge("pushvault_http_requests_in_flight");
    /// Connections that were closed as they came, by the bound that was reached
    connections_refused: Labelled<Counter, 1> = counters_from_zero("pushvault_connections_refused_total", "bound", &["address", "total", "admin"]);
    /// Connections that are open, by the listener that they came to
    connections: Labelled<Gauge, 1> = gauges("pushvault_connections", ["listener"]);
    /// Requests that a limit on how often kept out
    rate_limited: Labelled<Counter, 1> = counters_from_zero("pushvault_rate_limited_total", "limit", &["account", "address", "failed_authentications"]);
    /// Connections to the database that are open
    db_connections: Labelled<Gauge, 1> = gauges("pushvault_db_connections", ["state"]);
    /// Connections to the database, at most
    db_connections_max: Gauge = gauge("pushvault_db_connections_max");
    /// Times that no connection to the database was to be had in time
    db_pool_timeouts: Counter = counter("pushvault_db_pool_timeouts_total");
    /// Verifications and hashes of tokens that wait for their turn
    argon2_waiting: Gauge = gauge("pushvault_argon2_waiting");
    /// Verifications and hashes of tokens under way
    argon2_running: Gauge = gauge("pushvault_argon2_running");
    /// Seconds that one took, without the wait
    argon2_seconds: Histogram = histogram("pushvault_argon2_seconds", Histogram::new(ARGON2_BUCKETS));
    /// Tokens looked for among those remembered as right
    token_memo: Labelled<Counter, 1> = counters_from_zero("pushvault_token_memo_total", "result", &["hit", "miss"]);
    /// Account keys looked for among those in memory
    account_key_cache: Labelled<Counter, 1> = counters_from_zero("pushvault_account_key_cache_total", "result", &["hit", "miss"]);
    /// Account keys in memory
    account_key_cache_entries: Gauge = gauge("pushvault_account_key_cache_entries");
    /// Questions to a key provider beyond this machine, all tries of one counted as one
    kms_requests: Labelled<Counter, 3> = counters("pushvault_kms_requests_total", ["provider", "operation", "result"]);
    /// Seconds that one took, with all tries
    kms_request_duration: Labelled<Histogram, 2> = histograms("pushvault_kms_request_duration_seconds", ["provider", "operation"], || Histogram::new(REQUEST_BUCKETS));
    /// Whether the service hears of changed keys and hashes: 1 or 0
    key_channel_up: Gauge = gauge("pushvault_key_channel_up");
    /// Times that it heard of some, and forgot what it had of them
    key_channel_invalidations: Counter = counter("pushvault_key_channel_invalidations_total");
    /// Lists that the read replica should have answered and the database did
    list_replica_fallbacks: Counter = counter("pushvault_list_replica_fallbacks_total");
    /// Credentials of all accounts, deleted ones not
    credentials: Labelled<Gauge, 1> = gauges("pushvault_credentials", ["type"]);
    /// Whether a check of readiness was passed when it was last made: 1 or 0
    ready: Labelled<Gauge, 1> = gauges("pushvault_ready", ["check"]);
    /// Seconds by which the clock of this process is ahead of the database's, less what the way there may explain
    clock_skew: Fraction = fraction("pushvault_clock_skew_seconds");
    /// Audit events written
    audit_events: Labelled<Counter, 2> = counters("pushvault_audit_events_total", ["action", "outcome"]);
    /// Lines that could not be brought to where the log goes
    log_lines_lost: Labelled<Counter, 1> = counters_from_zero("pushvault_log_lines_lost_total", "sink", &Sink::ALL.map(Sink::name));
    /// Audit events that wait to be sealed
    audit_unsealed: Gauge = gauge("pushvault_audit_unsealed_events");
    /// Seconds for which the oldest of them has waited
    audit_seal_lag: Fraction = fraction("pushvault_audit_seal_lag_seconds");
    /// Leaves that the newest checkpoint of the audit trail covers
    audit_tree_size: Gauge = gauge("pushvault_audit_tree_size");
    /// Seconds since it was made; it grows while nothing is recorded
    audit_checkpoint_age: Fraction = fraction("pushvault_audit_checkpoint_age_seconds");
    /// Audit events that this process sealed, by how they were found
    audit_sealed: Labelled<Counter, 1> = counters_from_zero("pushvault_audit_sealed_total", "authenticity", &["authentic", "unsigned", "forged", "missing"]);
    /// Whether the audit trail is what it was, as far as this process can see: its tree fits its newest checkpoint, and that the one published before; 1 or 0
    audit_intact: Labelled<Gauge, 1> = gauges("pushvault_audit_trail_intact", ["check"]);
    /// Times that a checkpoint could not be published
    audit_publish_failures: Labelled<Counter, 1> = counters_from_zero("pushvault_audit_publish_failures_total", "sink", &["file", "url"]);
    /// Times that this process could not seal
    audit_seal_failures: Counter = counter("pushvault_audit_seal_failures_total");
    /// When the TLS certificate expires, in seconds since 1970
    tls_certificate_not_after: Labelled<Gauge, 0> = gauges("pushvault_tls_certificate_not_after_seconds", []);
    /// Times that changed files of TLS were taken over, or could not be
    tls_reloads: Labelled<Counter, 1> = counters_from_zero("pushvault_tls_reloads_total", "result", &["ok", "failed"]);
    /// TLS handshakes that failed
    tls_handshakes_failed: Labelled<Counter, 1> = counters("pushvault_tls_handshakes_failed_total", ["reason"]);
    /// The version of the program; always 1
    build_info: Labelled<Gauge, 1> = gauges("pushvault_build_info", ["version"]);
    /// When the process began, in seconds since 1970
    process_start_time: Fraction = fraction("process_start_time_seconds");
    /// Processor time of the process
    process_cpu: FractionCounter = fraction_counter("process_cpu_seconds_total");
    /// Memory of the process that is in RAM
    process_resident_memory: Gauge = gauge("process_resident_memory_bytes");
    /// Address space of the process
    process_virtual_memory: Gauge = gauge("process_virtual_memory_bytes");
    /// File descriptors that are open
    process_open_fds: Gauge = gauge("process_open_fds");
    /// File descriptors that may be open
    process_max_fds: Gauge = gauge("process_max_fds");
    /// Threads of the process
    process_threads: Gauge = gauge("process_threads");
}

impl Metrics {
    /// Everything in Prometheus's text format, version 0.0.4. Nobody is waited for: what is not in memory was put there
    /// before.
    pub fn text(&self) -> String {
        self.measure_process();
        for sink in Sink::ALL {
            let lost = self.log_lines_lost.of([sink.name().into()]);
            lost.inner().store(sink.lost(), Ordering::Relaxed);
        }
        self.table.text()
    }

    fn measure_process(&self) {
        let Some(figures) = process::figures() else {
            return;
        };
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        // The system counts here, and its count is taken as it is.
        let cpu = figures.cpu_seconds.to_bits();
        self.process_cpu.inner().store(cpu, Ordering::Relaxed);
        self.process_resident_memory.set(whole(figures.resident_bytes));
        self.process_virtual_memory.set(whole(figures.virtual_bytes));
        self.process_threads.set(figures.threads);
        let (open, most) = figures.files;
        self.process_open_fds.set(whole(open));
        self.process_max_fds.set(whole(most));
    }

    /// Every metric, whether it has a value yet or not.
    pub fn rows(&self) -> &[Row] {
        self.table.rows()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
