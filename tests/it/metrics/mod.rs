//! What those who run the service see at the listener that is theirs.

mod listener;

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
