//! What the services under test log: everything down to `trace`, kept in memory so that tests can search it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, Once};
use std::time::Duration;

use pushvault::config::{AuditFile, AuditSettings, FileRotation, LogFormat, LogSettings};
use pushvault::telemetry;
use tempfile::TempDir;

use super::collector::{Collector, Manner};

/// The other places that audit events go to.
static PLACES: LazyLock<Places> = LazyLock::new(|| Places {
    directory: tempfile::tempdir().unwrap(),
    collector: Collector::start(Manner::Takes),
});

struct Places {
    directory: TempDir,
    collector: Collector,
}

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The log from some moment on. It is the log of the whole process: tests that run at the same time write to it too.
pub(crate) struct Log {
    begin: usize,
}

impl Log {
    /// Begins to listen.
    pub(crate) fn from_now() -> Self {
        install();
        Self {
            begin: LINES.lock().unwrap().len(),
        }
    }

    /// What was logged since.
    pub(crate) fn text(&self) -> String {
        let lines = LINES.lock().unwrap();
        String::from_utf8(lines[self.begin..].to_vec()).expect("the log is UTF-8")
    }

    /// What the file of audit events and their collector have of the whole process, once they have this event.
    pub(crate) async fn of_audit_places(event_sid: &str) -> [(&'static str, String); 2] {
        let texts = || {
            let file = fs::read_to_string(audit_file()).unwrap_or_default();
            [file, String::from_utf8_lossy(&PLACES.collector.bytes()).into_owned()]
        };
        let has_both = async {
            loop {
                let [file, collector] = texts();
                if file.contains(event_sid) && collector.contains(event_sid) {
                    return [("the audit file", file), ("the collector of audit events", collector)];
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let both = tokio::time::timeout(Duration::from_secs(30), has_both).await;
        both.expect("both have the event in time")
    }

    /// What was logged since, of one target: JSON objects.
    pub(crate) fn events(&self, target: &str) -> Vec<serde_json::Value> {
        self.text()
            .lines()
            .filter(|line| line.contains(target))
            .map(|line| serde_json::from_str(line).expect("every line of the log is one JSON object"))
            .filter(|event: &serde_json::Value| event["target"] == target)
            .collect()
    }
}

/// Sends the log to memory. The first call counts.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let tell_test = std::panic::take_hook();
        let settings = LogSettings {
            filter: "trace".to_owned(),
            format: LogFormat::Json,
        };
        let audit = AuditSettings {
            log: true,
            file: Some(AuditFile {
                directory: PLACES.directory.path().to_owned(),
                name: "audit.jsonl".to_owned(),
                rotation: FileRotation::Never,
                keep: 0,
            }),
            otlp_endpoint: Some(PLACES.collector.endpoint.clone()),
        };
        telemetry::init(&settings, &audit, || Buffer).unwrap();
        let tell_log = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A test that fails panics too, which is no defect of the service, and its message is meant to be read.
            if on_a_test_thread() {
                tell_test(panic);
            } else {
                tell_log(panic);
            }
        }));
    });
}

fn audit_file() -> PathBuf {
    PLACES.directory.path().join("audit.jsonl")
}

/// The test runner names the threads of its tests by the tests' paths.
fn on_a_test_thread() -> bool {
    std::thread::current()
        .name()
        .is_some_and(|name| name == "main" || name.contains("::"))
}

struct Buffer;

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
