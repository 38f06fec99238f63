//! A collector of audit events, and ones that do not behave.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{change, events_in, metric, recorded, wait_until_told};
use crate::harness::{Collector, Manner};
use crate::process::support::{Deployment, wait_for};

const TRACEPARENT: (&str, &str) = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
const LOST: &str = "pushvault_log_lines_lost_total{sink=\"audit_otlp\"}";

fn sent_to(collector: &Collector) -> Deployment {
    Deployment::migrated()
        .with("AUDIT__OTLP_ENDPOINT", &collector.endpoint)
        .with("ADMIN__LISTEN", "127.0.0.1:0")
        .with("RATE_LIMIT__ENABLED", "false")
}

#[tokio::test]
async fn a_record_has_the_fields_of_the_line_and_its_place_in_the_trace() {
    let collector = Collector::start(Manner::Takes);
    let deployment = sent_to(&collector);
    let account = deployment.create_account();
    let service = deployment.serve();
    let form = [("Type", "fcm"), ("FriendlyName", "a-name"), ("Secret", "s")];
    let answer = service
        .caller(&account)
        .post_with("/v2/Credentials", &form, Some(TRACEPARENT))
        .await;
    assert_eq!(answer.unwrap().status, 201);
    let printed = service.stop();

    let line = events_in(&printed).pop().unwrap();
    let records = collector.records();
    let record = records
        .iter()
        .find(|record| record.attributes["event.id"] == line["event.id"])
        .unwrap();
    let fields = line.as_object().unwrap().iter();
    let expected = fields.filter(|(name, _)| {
        let of_the_frame = ["timestamp", "level", "message", "target", "span", "@timestamp"];
        let of_the_record = ["trace.id", "span.id", "pushvault.trace_flags"];
        !of_the_frame.contains(&name.as_str()) && !of_the_record.contains(&name.as_str())
    });
    let expected = expected.map(|(name, value)| match value {
        Value::String(text) => (name.clone(), text.clone()),
        other => (name.clone(), other.to_string()),
    });
    assert_eq!(record.attributes, expected.collect());
    let (trace, span) = (line["trace.id"].as_str().unwrap(), line["span.id"].as_str().unwrap());
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    assert_eq!(
        (
            hex(&record.of_log.trace_id).as_str(),
            hex(&record.of_log.span_id).as_str()
        ),
        (trace, span)
    );
    assert_eq!(record.of_log.flags, 1);
    assert_eq!(
        (record.of_log.event_name.as_str(), record.of_log.severity_text.as_str()),
        ("pushvault.audit", "INFO")
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let age = now - u128::from(record.of_log.time_unix_nano);
    assert!(age < Duration::from_mins(5).as_nanos(), "{age}");
    let keys: Vec<_> = record.resource.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["service.instance.id", "service.name", "service.version"]);
}

#[tokio::test]
async fn a_collector_that_comes_back_gets_what_it_missed() {
    let collector = Collector::start(Manner::Takes);
    let deployment = sent_to(&collector);
    let account = deployment.create_account();
    let mut service = deployment.serve();
    collector.behaves(Manner::Refuses);
    change(&service.caller(&account), 20).await;
    let told = wait_until_told(&mut service, "audit_otlp");
    assert!(told["cause"].as_str().unwrap().contains("503"), "{told}");

    collector.behaves(Manner::Takes);

    let recorded = recorded(&deployment.database().await).await;
    wait_for("every event", || {
        (collector.records().len() >= recorded.len()).then_some(())
    });
    let told: Vec<_> = collector
        .records()
        .iter()
        .map(|record| record.attributes["event.id"].clone())
        .collect();
    assert_eq!(told.len(), recorded.len(), "none came twice");
    assert!(told.iter().all(|id| recorded.contains(id)));
    assert_eq!(metric(&service, LOST).await, 0);
    service.stop();
}

#[tokio::test]
async fn no_request_and_no_end_waits_for_a_collector_and_the_trail_is_whole() {
    for collector in [
        Collector::absent(),
        Collector::start(Manner::Refuses),
        Collector::start(Manner::Babbles),
        Collector::start(Manner::Hangs),
    ] {
        let deployment = Deployment::migrated();
        let account = deployment.create_account();
        let deployment = deployment
            .with("AUDIT__OTLP_ENDPOINT", &collector.endpoint)
            .with("RATE_LIMIT__ENABLED", "false");
        let mut service = deployment.serve();
        let begun = Instant::now();
        change(&service.caller(&account), 300).await;
        assert!(begun.elapsed() < Duration::from_mins(2), "{:?}", begun.elapsed());
        wait_until_told(&mut service, "audit_otlp");
        let begun = Instant::now();
        let printed = service.stop();
        assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
        let told = printed.lines().filter(|line| line.contains("\"sink\":\"audit_otlp\""));
        assert_eq!(told.count(), 1, "{printed}");
        assert_eq!(events_in(&printed).len(), 301, "the log has them");
        assert_eq!(recorded(&deployment.database().await).await.len(), 2 + 301);
    }
}

#[tokio::test]
async fn a_command_waits_for_no_collector_either() {
    let collector = Collector::start(Manner::Hangs);
    let deployment = sent_to(&collector);
    let begun = Instant::now();
    deployment.create_account();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}
