//! What those who run the service see at the listener that is theirs.

mod access_log;
mod database;
mod listener;
mod series;

use std::collections::BTreeMap;

use crate::harness::TestApp;

const LIST: &str = "/v2/Credentials";

/// The samples of a scrape: name and labels as they stand there, and the value.
async fn scrape(app: &TestApp) -> BTreeMap<String, f64> {
    let answer = app.admin().get("/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    samples(&answer.body)
}

fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples: BTreeMap<_, _> = lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            (series.to_owned(), value.parse().expect("a number"))
        })
        .collect();
    assert!(samples.len() > 10, "{text}");
    samples
}

/// The value of a series; one that is not there stands at zero.
fn value(samples: &BTreeMap<String, f64>, series: &str) -> f64 {
    samples.get(series).copied().unwrap_or_default()
}

/// Asserts that a series is there and has this value.
#[track_caller]
fn is(samples: &BTreeMap<String, f64>, series: &str, value: u32) {
    is_same(*samples.get(series).expect(series), value.into());
}

/// Asserts that two whole numbers are the same.
#[track_caller]
fn is_same(one: f64, other: f64) {
    assert!((one - other).abs() < 0.5, "{one} is not {other}");
}
