//! The spans that the program sends to a collector: what is in them, what never is, and that no request waits for them.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};

use super::support::{Deployment, Login, Service};
use crate::harness::{CERTIFICATE, Collector, Manner, attributes, has_failed};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";

/// What must not come out wherever it goes in.
const CANARY: &str = "canary7c1d";

/// The keys of every attribute that there may be.
const KEYS: [&str; 8] = [
    "db.system.name",
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "pushvault.request_sid",
    "pushvault.token_memo",
    "url.scheme",
];

fn traced(collector: &Collector) -> Deployment {
    Deployment::migrated().with("TRACE__OTLP_ENDPOINT", &collector.endpoint)
}

fn call(service: &Service<'_>, login: &Login, method: Method, target: &str) -> RequestBuilder {
    let client = Client::builder().no_proxy().build().unwrap();
    client
        .request(method, format!("{}{target}", service.url))
        .basic_auth(&login.sid, Some(&login.secret))
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE_ID}-{SPAN_ID}-{flags}")
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[tokio::test]
async fn a_create_is_one_trace_from_the_callers_span_to_the_commit() {
    let collector = Collector::start(Manner::Takes);
    let deployment = traced(&collector);
    let account = deployment.create_account();
    let service = deployment.serve();

    let request = call(&service, &account, Method::POST, "/v2/Credentials")
        .header("traceparent", traceparent("01"))
        .form(&[("Type", "fcm"), ("Secret", "s")]);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let request_sid = answer.headers()["twilio-request-id"].to_str().unwrap().to_owned();
    service.stop();

    let collected = collector.spans();
    assert_eq!(
        collected.tree(),
        "POST /v2/Credentials\n  \
           authenticate\n    \
             store.account_for_authentication\n    \
             argon2.wait\n    \
             argon2.run\n  \
           store.account_keys\n  \
           keyring.unwrap\n  \
           keyring.seal\n  \
           store.begin\n  \
           store.insert_credential\n  \
           store.insert_audit_event\n  \
           store.commit"
    );
    let request = collected.named("POST /v2/Credentials");
    assert_eq!(hex(&request.trace_id), TRACE_ID);
    assert_eq!(hex(&request.parent_span_id), SPAN_ID);
    assert_eq!(request.kind, 2, "a server's");
    let expected = [
        ("http.request.method", "POST"),
        ("http.response.status_code", "201"),
        ("http.route", "/v2/Credentials"),
        ("pushvault.request_sid", request_sid.as_str()),
        ("url.scheme", "http"),
    ];
    assert_eq!(
        attributes(request),
        expected.map(|(key, value)| (key.into(), value.into()))
    );
    for span in &collected.spans {
        assert!(!has_failed(span), "{}", span.name);
        assert!(span.events.is_empty() && span.links.is_empty(), "{}", span.name);
        let expected: &[(&str, &str)] = match span.name.as_str() {
            "POST /v2/Credentials" => continue,
            "authenticate" => &[("pushvault.token_memo", "miss")],
            name if name.starts_with("store.") => &[("db.system.name", "postgresql")],
            _ => &[],
        };
        let expected: Vec<_> = expected
            .iter()
            .map(|&(key, value)| (key.into(), value.into()))
            .collect();
        assert_eq!(attributes(span), expected, "{}", span.name);
    }
    let keys: Vec<_> = collected.resource.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["service.instance.id", "service.name", "service.version"]);
}

#[tokio::test]
async fn the_log_leads_to_the_trace_and_keeps_its_own_span() {
    let collector = Collector::start(Manner::Takes);
    let deployment = traced(&collector);
    let account = deployment.create_account();
    let service = deployment.serve();
    let request = call(&service, &account, Method::POST, "/v2/Credentials")
        .header("traceparent", traceparent("01"))
        .form(&[("Type", "fcm")]);
    let answer = request.send().await.unwrap();
    let request_sid = answer.headers()["twilio-request-id"].to_str().unwrap().to_owned();
    let printed = service.stop();

    let line = |target: &str| {
        let line = printed.lines().find(|line| line.contains(target)).unwrap();
        serde_json::from_str::<serde_json::Value>(line).unwrap()
    };
    let access = line("\"target\":\"access\"");
    assert_eq!(access["trace_id"], TRACE_ID);
    assert_eq!(
        access["span"],
        serde_json::json!({ "name": "request", "request_sid": request_sid })
    );
    let audit = line("\"target\":\"audit\"");
    assert_eq!(
        (&audit["trace.id"], &audit["span.id"]),
        (&TRACE_ID.into(), &SPAN_ID.into())
    );
    assert_eq!(audit["pushvault.trace_flags"], "01");
}

#[tokio::test]
async fn the_caller_decides_about_its_own_trace_and_the_ratio_about_all_others() {
    for (ratio, expected) in [
        ("0", vec![TRACE_ID]),
        ("1.0", vec![TRACE_ID, "its own", "its own", "its own"]),
    ] {
        let collector = Collector::start(Manner::Takes);
        let deployment = traced(&collector).with("TRACE__SAMPLE_RATIO", ratio);
        let account = deployment.create_account();
        let service = deployment.serve();
        for header in [
            traceparent("01").as_str(),
            &traceparent("00"),
            "",
            "00-canary",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        ] {
            let mut request = call(&service, &account, Method::GET, "/v2/Credentials");
            if !header.is_empty() {
                request = request.header("traceparent", header);
            }
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
        for probe in ["/healthz", "/readyz", "/readyz/"] {
            let request = call(&service, &account, Method::GET, probe).header("traceparent", traceparent("01"));
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
        let printed = service.stop();

        let collected = collector.spans();
        let requests: Vec<_> = collected.spans.iter().filter(|span| span.kind == 2).collect();
        let traces: Vec<_> = requests.iter().map(|span| hex(&span.trace_id)).collect();
        let seen: Vec<_> = traces
            .iter()
            .map(|trace| if trace == TRACE_ID { TRACE_ID } else { "its own" })
            .collect();
        assert_eq!(seen, expected, "ratio {ratio}");
        assert_eq!(traces.iter().collect::<BTreeSet<_>>().len(), traces.len());
        let logged = printed.lines().filter(|line| line.contains("\"trace_id\"")).count();
        assert_eq!(logged, expected.len(), "only what is sent is told of: {printed}");
    }
}

#[tokio::test]
async fn what_fails_is_marked_and_why_is_not_told() {
    let collector = Collector::start(Manner::Takes);
    let deployment = traced(&collector);
    let account = deployment.create_account();
    let service = deployment.serve();
    let list = || call(&service, &account, Method::GET, "/v2/Credentials").send();
    assert_eq!(list().await.unwrap().status(), 200);
    let database = deployment.database().await;
    database.execute("alter table credentials rename to gone").await;
    assert_eq!(list().await.unwrap().status(), 500);
    let refused = call(&service, &wrong(&account.sid), Method::GET, "/v2/Credentials/CR1").send();
    assert_eq!(refused.await.unwrap().status(), 401);
    service.stop();

    let collected = collector.spans();
    let told: Vec<_> = collected
        .spans
        .iter()
        .filter(|span| has_failed(span))
        .map(|span| (span.name.as_str(), attributes(span)))
        .collect();
    let names: Vec<_> = told.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["GET /v2/Credentials", "store.credentials"]);
    assert!(told[0].1.contains(&("error.type".into(), "500".into())), "{told:?}");
    let memo: Vec<_> = collected
        .spans
        .iter()
        .filter(|span| span.name == "authenticate")
        .map(|span| attributes(span)[0].1.clone())
        .collect();
    assert_eq!(memo, ["miss", "hit", "miss"]);
}

fn wrong(sid: &str) -> Login {
    Login {
        sid: sid.to_owned(),
        secret: CANARY.to_owned(),
    }
}

/// Every way in that a request has, with a canary in it.
async fn send_canaries(service: &Service<'_>, login: &Login) {
    for (method, target) in [
        (Method::POST, "/v2/Credentials".to_owned()),
        (Method::POST, format!("/v2/Credentials/{CANARY}")),
        (
            Method::GET,
            format!("/v2/Credentials?PageToken={CANARY}&{CANARY}={CANARY}"),
        ),
        (Method::DELETE, format!("/{CANARY}")),
        (CANARY.parse().unwrap(), "/v2/Credentials".to_owned()),
    ] {
        let mut request = call(service, login, method, &target);
        for header in [
            "user-agent",
            "tracestate",
            "baggage",
            "cookie",
            "if-match",
            "idempotency-key",
            "x-forwarded-host",
            "x-forwarded-proto",
            "content-language",
        ] {
            request = request.header(header, format!("{CANARY}={CANARY}"));
        }
        let host = format!("{CANARY}.example.com");
        request = request.header("traceparent", traceparent("01")).header("host", host);
        let form = [
            ("Type", "fcm"),
            ("Secret", CANARY),
            ("FriendlyName", CANARY),
            (CANARY, CANARY),
        ];
        request.form(&form).send().await.unwrap();
    }
}

#[tokio::test]
async fn nothing_that_is_sent_in_comes_out_in_a_span() {
    let collector = Collector::start(Manner::Takes);
    let deployment = traced(&collector);
    let account = deployment.create_account();
    let key = deployment.create_api_key(&account.sid);
    let mut command = deployment.command(&["serve"]);
    for name in ["RESOURCE_ATTRIBUTES", "EXPORTER_OTLP_HEADERS"] {
        command.env(format!("OTEL_{name}"), format!("name={CANARY}"));
    }
    command
        .env("OTEL_SERVICE_NAME", CANARY)
        .env("OTEL_TRACES_SAMPLER", "always_off");
    let service = deployment.start(command);

    for login in [&account, &key, &wrong(&account.sid), &wrong(CANARY)] {
        send_canaries(&service, login).await;
    }
    service.stop();

    let collected = collector.spans();
    let seen: BTreeSet<_> = collected
        .spans
        .iter()
        .filter(|span| span.kind == 2)
        .map(|span| &span.name)
        .collect();
    let routes = [
        "DELETE",
        "GET /v2/Credentials",
        "HTTP /v2/Credentials",
        "POST /v2/Credentials",
        "POST /v2/Credentials/{sid}",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), routes);
    let keys: BTreeSet<_> = collected
        .spans
        .iter()
        .flat_map(attributes)
        .map(|(key, _)| key)
        .filter(|key| !KEYS.contains(&key.as_str()))
        .collect();
    assert!(keys.is_empty(), "{keys:?}");
    let statuses: BTreeSet<_> = collected
        .spans
        .iter()
        .flat_map(attributes)
        .map(|(_, value)| value)
        .collect();
    assert!(
        ["201", "401"].iter().all(|status| statuses.contains(*status)),
        "{statuses:?}"
    );
    assert!(collected.spans.iter().all(|span| span.trace_state.is_empty()));
    let bytes = String::from_utf8_lossy(&collector.bytes()).into_owned();
    assert!(
        bytes.contains("pushvault.request_sid"),
        "the search reaches what was sent"
    );
    assert!(!bytes.contains(CANARY), "{bytes}");
    deployment.assert_kept(&bytes);
}

#[tokio::test]
async fn no_request_and_no_end_waits_for_a_collector_and_the_log_is_told_once() {
    for collector in [
        Collector::absent(),
        Collector::start(Manner::Refuses),
        Collector::start(Manner::Babbles),
        Collector::start(Manner::Hangs),
    ] {
        let deployment = traced(&collector).with("RATE_LIMIT__ENABLED", "false");
        let account = deployment.create_account();
        let mut service = deployment.serve();
        let caller = service.caller(&account);
        let sid = caller.register("a-name").await;
        service.program.wait_for("the loss", |program| {
            program.stdout().contains("spans were lost").then_some(())
        });
        // More than the queue holds.
        let begun = Instant::now();
        for _ in 0..700 {
            assert_eq!(caller.fetch(&sid).await.status, 200);
        }
        assert!(begun.elapsed() < Duration::from_mins(2), "{:?}", begun.elapsed());
        let begun = Instant::now();
        let printed = service.stop();
        assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
        let told = printed
            .lines()
            .filter(|line| line.contains("spans were lost, requests were not"));
        assert_eq!(told.count(), 1, "{printed}");
    }
}

#[tokio::test]
async fn over_tls_spans_go_to_nobody_whose_certificate_is_not_vouched_for() {
    for (vouched_for, expected) in [(true, "GET /v2/Credentials"), (false, "")] {
        let collector = Collector::start_with_tls();
        let deployment = traced(&collector);
        let account = deployment.create_account();
        let mut command = deployment.command(&["serve"]);
        if vouched_for {
            command.env("SSL_CERT_FILE", CERTIFICATE);
        }
        let service = deployment.start(command);
        assert_eq!(service.caller(&account).is_let_in().await, (200, None));
        let printed = service.stop();
        assert_eq!(printed.contains("spans were lost"), !vouched_for, "{printed}");
        assert_eq!(collector.spans().tree().lines().next().unwrap_or_default(), expected);
    }
}

#[tokio::test]
async fn without_an_endpoint_there_is_nothing() {
    let threads = |deployment: &Deployment| {
        let service = deployment.serve();
        let tasks = fs::read_dir(format!("/proc/{}/task", service.program.id())).unwrap();
        let names: Vec<_> = tasks
            .map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap())
            .collect();
        let printed = service.stop();
        let has_thread = names.iter().any(|name| name.starts_with("OpenTelemetry"));
        (has_thread, printed.contains("requests are traced"))
    };
    let collector = Collector::start(Manner::Takes);
    assert_eq!(threads(&Deployment::migrated()), (false, false));
    assert_eq!(threads(&traced(&collector)), (true, true));
}
