//! Lines that never got to where the log goes. The log is the process's, and so is the count: services that share one tell
//! the same.

use std::sync::atomic::{AtomicU64, Ordering};

static LOG: AtomicU64 = AtomicU64::new(0);
static AUDIT_FILE: AtomicU64 = AtomicU64::new(0);
static AUDIT_OTLP: AtomicU64 = AtomicU64::new(0);

/// Where lines of the log go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Standard output, or of `pushvault dev` standard error.
    Log,
    /// The file of audit events.
    AuditFile,
    /// The collector of audit events.
    AuditOtlp,
}

impl Sink {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Log, Self::AuditFile, Self::AuditOtlp];

    /// The name, as label and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::AuditFile => "audit_file",
            Self::AuditOtlp => "audit_otlp",
        }
    }

    /// Counts lines that are lost.
    pub fn lose(self, lines: u64) {
        self.count().fetch_add(lines, Ordering::Relaxed);
    }

    /// How many are.
    pub fn lost(self) -> u64 {
        self.count().load(Ordering::Relaxed)
    }

    fn count(self) -> &'static AtomicU64 {
        match self {
            Self::Log => &LOG,
            Self::AuditFile => &AUDIT_FILE,
            Self::AuditOtlp => &AUDIT_OTLP,
        }
    }
}
