//! Whatever bytes arrive: an answer of the client's fault, and a service that goes on.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::{Builder, Runtime};

use crate::harness::{Client, Log, TestApp, apns_pair, percent_encoded};

const LIST: &str = "/v2/Credentials";

/// How many inputs of each kind. Every one is a request to the whole service.
const CASES: u32 = 150;

/// A service, a caller, and a credential to update.
struct Target {
    runtime: Runtime,
    app: TestApp,
    owner: Client,
    paths: [String; 2],
    log: Log,
    /// Requests of raw bytes that were answered in HTTP.
    answered: Cell<u32>,
}

impl Target {
    fn new() -> Self {
        let log = Log::from_now();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let app = runtime.block_on(TestApp::spawn());
        let owner = app.account("a");
        let created = runtime.block_on(owner.post(LIST, &[("Type", "apn")])).json(201);
        let path = format!("{LIST}/{}", created["sid"].as_str().unwrap());
        Self {
            runtime,
            app,
            owner,
            paths: [LIST.to_owned(), path],
            log,
            answered: Cell::new(0),
        }
    }

    /// Runs the cases; then nothing has panicked and the service still serves.
    fn run<S: Strategy>(&self, inputs: &S, check: impl Fn(S::Value) -> Result<(), TestCaseError>) {
        let config = Config {
            cases: CASES,
            // The inputs are random each time; one that fails is printed.
            failure_persistence: None,
            ..Config::default()
        };
        TestRunner::new(config).run(inputs, check).unwrap();
        assert!(self.log.events("panic").is_empty(), "{:?}", self.log.events("panic"));
        self.runtime.block_on(self.owner.get(LIST)).json(200);
    }

    /// The same for requests made of raw bytes. Some of them must have been answered, or nothing was tried.
    fn run_raw<S: Strategy>(&self, inputs: &S, request: impl Fn(S::Value) -> Vec<u8>) {
        self.run(inputs, |input| self.raw(&request(input)));
        assert!(
            self.answered.get() > CASES / 4,
            "only {} were answered",
            self.answered.get()
        );
    }

    /// Posts a body to both paths and holds the answers to the rule.
    fn post(&self, content_type: &str, body: &[u8]) -> Result<(), TestCaseError> {
        for path in &self.paths {
            let answer = self
                .runtime
                .block_on(self.owner.post_body(path, content_type, body.to_vec()));
            prop_assert!(answer.status < 500, "{}: {}", path, answer.body);
        }
        Ok(())
    }

    /// Sends bytes as a whole request. Where they are not even HTTP, silence is an answer too.
    fn raw(&self, request: &[u8]) -> Result<(), TestCaseError> {
        let answer = self.app.raw(request);
        self.answered
            .set(self.answered.get() + u32::from(answer.starts_with("HTTP/1.1 ")));
        let status = answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        prop_assert!(status.is_none_or(|status| status < 500), "{}", answer);
        Ok(())
    }
}

/// A parameter's name, often a right one, so that its value gets past the first check.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Type".to_owned()),
        Just("FriendlyName".to_owned()),
        Just("Sandbox".to_owned()),
        Just("Certificate".to_owned()),
        Just("PrivateKey".to_owned()),
        Just("ApiKey".to_owned()),
        Just("Secret".to_owned()),
        any::<String>(),
    ]
}

/// A value: of any characters, or nearly a right one.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"apn".to_vec()),
        Just(b"FCM".to_vec()),
        Just(b"gcm".to_vec()),
        Just(b"true".to_vec()),
        any::<String>().prop_map(String::into_bytes),
        vec(any::<u8>(), 0..200),
        // PEM with a few bytes changed.
        vec((any::<prop::sample::Index>(), any::<u8>()), 0..4).prop_map(|changes| {
            let mut pem = apns_pair().as_bytes().to_vec();
            for (index, byte) in changes {
                let position = index.index(pem.len());
                pem[position] = byte;
            }
            pem
        }),
    ]
}

#[test]
fn bytes_as_a_body_are_never_our_fault() {
    let target = Target::new();
    let types = prop_oneof![
        Just("application/x-www-form-urlencoded"),
        Just("application/json"),
        Just("text/plain"),
        Just("")
    ];
    target.run(&(types, vec(any::<u8>(), 0..400)), |(content_type, body)| {
        target.post(content_type, &body)
    });
}

#[test]
fn forms_of_anything_are_never_our_fault() {
    let target = Target::new();
    target.run(&vec((name(), value()), 0..6), |pairs| {
        let form: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", percent_encoded(name.as_bytes()), percent_encoded(value)))
            .collect();
        target.post("application/x-www-form-urlencoded", form.join("&").as_bytes())
    });
}

#[test]
fn json_of_anything_is_never_our_fault() {
    let target = Target::new();
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::from("apn")),
    ];
    let document = leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            vec((name(), inner), 0..5).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    });
    target.run(&document, |document| {
        target.post("application/json", document.to_string().as_bytes())
    });
}

#[test]
fn queries_of_anything_are_never_our_fault() {
    let target = Target::new();
    let parameter = prop_oneof![Just("PageSize"), Just("Page"), Just("PageToken"), Just("x")];
    let value = prop_oneof![
        any::<String>(),
        any::<i128>().prop_map(|number| number.to_string()),
        "[A-Za-z0-9_-]{0,60}"
    ];
    target.run(&vec((parameter, value), 0..4), |query| {
        let request = target.owner.request(reqwest::Method::GET, LIST).query(&query);
        let answer = target.runtime.block_on(target.owner.send(request));
        prop_assert!(matches!(answer.status, 200 | 400), "{}", answer.body);
        Ok(())
    });
}

#[test]
fn paths_and_methods_of_anything_are_never_our_fault() {
    let target = Target::new();
    let authorization = target.owner.authorization();
    let method = prop_oneof![
        Just("GET".to_owned()),
        Just("POST".to_owned()),
        Just("DELETE".to_owned()),
        "[A-Z!#$]{1,12}"
    ];
    let prefix = prop_oneof![
        Just("/"),
        Just("/v2/Credentials/"),
        Just("/v2/Credentials/CR"),
        Just("/v1/Cred"),
        Just("")
    ];
    // Everything but the bytes that end a request line.
    let path = vec(
        any::<u8>().prop_filter("no line break", |byte| !b" \r\n".contains(byte)),
        0..80,
    );
    target.run_raw(&(method, prefix, path), |(method, prefix, path)| {
        let mut request = format!("{method} {prefix}").into_bytes();
        request.extend_from_slice(&path);
        request.extend_from_slice(
            format!(
                " HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            .as_bytes(),
        );
        request
    });
}

#[test]
fn headers_of_anything_are_never_our_fault() {
    let target = Target::new();
    let authorization = target.owner.authorization();
    let header = prop_oneof![
        Just("Host".to_owned()),
        Just("Authorization".to_owned()),
        Just("Content-Type".to_owned()),
        Just("Content-Length".to_owned()),
        Just("Transfer-Encoding".to_owned()),
        Just("User-Agent".to_owned()),
        Just("traceparent".to_owned()),
        Just("Expect".to_owned()),
        Just("Upgrade".to_owned()),
        "[A-Za-z-]{1,20}",
    ];
    let value = vec(
        any::<u8>().prop_filter("no line break", |byte| !b"\r\n".contains(byte)),
        0..100,
    );
    target.run_raw(&vec((header, value), 1..5), |headers| {
        let mut request =
            format!("POST {LIST} HTTP/1.1\r\nAuthorization: {authorization}\r\nConnection: close\r\n").into_bytes();
        for (name, value) in headers {
            request.extend_from_slice(name.as_bytes());
            request.extend_from_slice(b": ");
            request.extend_from_slice(&value);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\nType=gcm");
        request
    });
}

#[test]
fn bytes_that_are_no_http_at_all_are_never_our_fault() {
    let target = Target::new();
    target.run_raw(&vec(any::<u8>(), 0..300), |bytes| bytes);
}
