//! The access log: one JSON object for each request, which its answer can be found by.

use super::LIST;
use crate::harness::{Log, TestApp};

#[tokio::test]
async fn the_line_of_a_request_has_the_sid_that_its_answer_had() {
    let log = Log::from_now();
    let app = TestApp::spawn().await;

    let answer = app.account("a").get(LIST).await;

    let sid = answer.request_sid();
    let lines: Vec<_> = log
        .events("access")
        .into_iter()
        .filter(|line| line["span"]["request_sid"] == sid)
        .collect();
    let [line] = lines.as_slice() else {
        panic!("{} lines have {sid}", lines.len());
    };
    assert_eq!(line["method"], "GET");
    assert_eq!(line["route"], LIST);
    assert_eq!(line["status"], 200);
    assert_eq!(line["account_sid"], app.account_named("a").sid.as_str());
}

#[tokio::test]
async fn scrapes_and_probes_that_go_well_leave_no_line_and_others_at_their_listener_do() {
    let log = Log::from_now();
    let app = TestApp::spawn_with_admin().await;
    let admin = app.admin();

    let mut quiet = Vec::new();
    for path in ["/metrics", "/healthz", "/readyz"] {
        quiet.push(admin.get(path).await.request_sid().to_owned());
    }
    let lost = admin.get("/nowhere").await;

    let lines = log.events("access");
    let has = |sid: &str| lines.iter().any(|line| line["span"]["request_sid"] == sid);
    assert!(quiet.iter().all(|sid| !has(sid)));
    assert!(has(lost.request_sid()));
}
