//! A collector of spans and log records as OpenTelemetry describes it (OTLP over HTTP), and ones that do not behave.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};

use super::ReservedPort;

/// The certificate of the collector with TLS, and its key.
pub(crate) const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/collector.pem");

/// How a collector behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// It takes what it gets.
    Takes,
    /// It takes nothing.
    Refuses,
    /// It reads and never answers.
    Hangs,
    /// It answers with what is no HTTP.
    Babbles,
}

/// Something that listens, and what it was sent.
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    manner: Arc<Mutex<Manner>>,
    received: Arc<Mutex<Vec<Received>>>,
    /// Where nobody listens.
    _port: Option<ReservedPort>,
}

/// One request.
struct Received {
    head: String,
    body: Vec<u8>,
}

/// A log record.
pub(crate) struct Record {
    pub(crate) of_log: LogRecord,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) resource: Vec<(String, String)>,
}

/// The spans of a program, and what it says of itself.
pub(crate) struct Spans {
    pub(crate) spans: Vec<Span>,
    pub(crate) resource: Vec<(String, String)>,
}

impl Collector {
    pub(crate) fn start(manner: Manner) -> Self {
        let manner = Arc::new(Mutex::new(manner));
        let present = Arc::clone(&manner);
        let serve = move |stream, received: &_| serve(stream, *present.lock().unwrap(), received);
        Self {
            manner,
            ..Self::start_with("http", serve)
        }
    }

    /// From now on it behaves like that.
    pub(crate) fn behaves(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// One with a certificate, which is in [`CERTIFICATE`] and in no machine's store.
    pub(crate) fn start_with_tls() -> Self {
        let certificate = CertificateDer::from_pem_file(CERTIFICATE).unwrap();
        let key = PrivateKeyDer::from_pem_file(CERTIFICATE).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let tls = Arc::new(tls);
        Self::start_with("https", move |stream, received| {
            let connection = ServerConnection::new(Arc::clone(&tls)).unwrap();
            serve(StreamOwned::new(connection, stream), Manner::Takes, received);
        })
    }

    fn start_with(scheme: &str, serve: impl Fn(TcpStream, &Mutex<Vec<Received>>) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (collected, serve) = (Arc::clone(&collected), serve.clone());
                thread::spawn(move || serve(stream.unwrap(), &collected));
            }
        });
        Self {
            endpoint,
            manner: Arc::new(Mutex::new(Manner::Takes)),
            received,
            _port: None,
        }
    }

    /// One that nobody listens for.
    pub(crate) fn absent() -> Self {
        let port = ReservedPort::new();
        Self {
            endpoint: format!("http://{}", port.address()),
            manner: Arc::new(Mutex::new(Manner::Takes)),
            received: Arc::default(),
            _port: Some(port),
        }
    }

    /// Every span that was sent.
    pub(crate) fn spans(&self) -> Spans {
        let (mut spans, mut resource) = (Vec::new(), Vec::new());
        for message in self.messages::<ExportTraceServiceRequest>("/v1/traces") {
            for resource_spans in message.resource_spans {
                resource = texts(&resource_spans.resource.unwrap().attributes);
                for scope in resource_spans.scope_spans {
                    assert_eq!(scope.scope.unwrap().name, "pushvault");
                    spans.extend(scope.spans);
                }
            }
        }
        spans.sort_by_key(|span| span.start_time_unix_nano);
        Spans { spans, resource }
    }

    /// Every log record that was sent, in the order in which they came, each with what the sender said of itself.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for message in self.messages::<ExportLogsServiceRequest>("/v1/logs") {
            for resource_logs in message.resource_logs {
                let resource = texts(&resource_logs.resource.unwrap().attributes);
                for scope in resource_logs.scope_logs {
                    assert_eq!(scope.scope.unwrap().name, "pushvault");
                    records.extend(scope.log_records.into_iter().map(|record| Record {
                        attributes: texts(&record.attributes).into_iter().collect(),
                        resource: resource.clone(),
                        of_log: record,
                    }));
                }
            }
        }
        records
    }

    fn messages<M: Message + Default>(&self, path: &str) -> Vec<M> {
        let received = self.received.lock().unwrap();
        let all = received.iter().map(|Received { head, body }| {
            assert!(head.starts_with(&format!("POST {path} HTTP/1.1")), "{head}");
            assert!(head.contains("content-type: application/x-protobuf"), "{head}");
            M::decode(body.as_slice()).unwrap()
        });
        all.collect()
    }

    /// Everything that was sent, as it came.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let received = self.received.lock().unwrap();
        let all = received
            .iter()
            .flat_map(|received| [received.head.as_bytes(), &received.body]);
        all.collect::<Vec<_>>().concat()
    }
}

impl Spans {
    /// The names, with those of the steps indented below what they are a part of.
    pub(crate) fn tree(&self) -> String {
        let mut lines = Vec::new();
        for root in self.spans.iter().filter(|span| self.parent_of(span).is_none()) {
            self.branch(root, 0, &mut lines);
        }
        lines.join("\n")
    }

    pub(crate) fn named(&self, name: &str) -> &Span {
        let mut found = self.spans.iter().filter(|span| span.name == name);
        let span = found.next().unwrap_or_else(|| panic!("no {name} in:\n{}", self.tree()));
        assert!(found.next().is_none(), "several {name} in:\n{}", self.tree());
        span
    }

    fn parent_of(&self, span: &Span) -> Option<&Span> {
        self.spans.iter().find(|other| other.span_id == span.parent_span_id)
    }

    fn branch(&self, span: &Span, depth: usize, lines: &mut Vec<String>) {
        lines.push(format!("{}{}", "  ".repeat(depth), span.name));
        for child in self.spans.iter().filter(|other| other.parent_span_id == span.span_id) {
            assert_eq!(child.trace_id, span.trace_id);
            self.branch(child, depth + 1, lines);
        }
    }
}

/// The attributes of a span, as text.
pub(crate) fn attributes(span: &Span) -> Vec<(String, String)> {
    texts(&span.attributes)
}

/// Whether a span says that it failed; why is said nowhere.
pub(crate) fn has_failed(span: &Span) -> bool {
    let status = span.status.as_ref().unwrap();
    assert_eq!(status.message, "");
    status.code() == StatusCode::Error
}

fn texts(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let mut texts: Vec<_> = attributes
        .iter()
        .map(|attribute| {
            let value = match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
                Value::StringValue(text) => text.clone(),
                Value::IntValue(number) => number.to_string(),
                other => panic!("{} is {other:?}", attribute.key),
            };
            (attribute.key.clone(), value)
        })
        .collect();
    texts.sort();
    texts
}

/// Reads one request and answers it, or does not. The program hangs up in the middle when it gives up.
fn serve(stream: impl Read + Write, manner: Manner, received: &Mutex<Vec<Received>>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    if !matches!(manner, Manner::Refuses) {
        received.lock().unwrap().push(Received { head, body });
    }
    let stream = reader.get_mut();
    let _ = match manner {
        Manner::Takes => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        Manner::Refuses => stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        Manner::Babbles => stream.write_all(b"220 mail.example.com ESMTP\r\n"),
        Manner::Hangs => stream.read_to_end(&mut Vec::new()).map(drop),
    };
    let _ = stream.flush();
}
