//! From page to page of the trail.

use serde_json::Value;

use super::{CREDENTIALS, EVENTS, MONITOR, create, each};
use crate::harness::{Client, TestApp};

/// The SIDs of the pages that `key` leads to, one page after the other, beginning with the one at `target`.
async fn follow(client: &Client, target: &str, key: &str, rows: &str) -> (Vec<Vec<String>>, Vec<Value>) {
    let mut pages = vec![client.get(target).await.json(200)];
    while let Some(url) = pages[pages.len() - 1]["meta"][key].as_str() {
        pages.push(client.get(url).await.json(200));
        assert!(pages.len() < 100, "the pages do not come to an end");
    }
    (pages.iter().map(|page| each(page, rows, "sid")).collect(), pages)
}

#[tokio::test]
async fn pages_lead_to_the_end_and_back_with_their_filter_and_show_every_event_once() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for name in ["one", "two", "three", "four", "five"] {
        create(&owner, name).await;
    }
    for (list, key, filter) in [
        (EVENTS, "audit_events", "Action=credential.create"),
        (MONITOR, "events", "EventType=credential.created"),
        (
            "/v1/Events",
            "events",
            "EventType=credential.created&SourceIpAddress=127.0.0.1",
        ),
    ] {
        let all = each(&owner.get(&format!("{list}?{filter}")).await.json(200), key, "sid");
        assert_eq!(all.len(), 5);
        let (there, pages) = follow(&owner, &format!("{list}?PageSize=2&{filter}"), "next_page_url", key).await;
        assert_eq!(there, [&all[..2], &all[2..4], &all[4..]]);
        let first = format!("{}{list}?{filter}&PageSize=2&Page=", app.origin());
        assert_eq!(pages[0]["meta"]["url"], format!("{first}0"));
        assert!(
            pages[0]["meta"]["next_page_url"]
                .as_str()
                .unwrap()
                .starts_with(&format!("{first}1&PageToken="))
        );
        let last = pages[2]["meta"]["url"].as_str().unwrap();
        let (back, _) = follow(&owner, last, "previous_page_url", key).await;
        assert_eq!(back, [&all[4..], &all[2..4], &all[..2]]);
    }
}

#[tokio::test]
async fn events_of_one_credential_and_of_one_instant_are_not_lost_between_pages() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let sid = create(&owner, "n").await;
    sqlx::query(
        "insert into audit_events (account_sid, event_sid, occurred_at, actor_type, action, outcome, target_sid)
        select $1, 'AE' || md5(number::text), '2026-02-03 04:05:06.000007+00', 'operator', 'credential.update',
            'success', $2
        from generate_series(1, 7) as number",
    )
    .bind(app.account_named("a").sid.as_str())
    .bind(&sid)
    .execute(&app.pool)
    .await
    .unwrap();
    let target = format!("{EVENTS}?PageSize=3&Credential={sid}");
    let (there, pages) = follow(&owner, &target, "next_page_url", "audit_events").await;
    let mut sids = there.concat();
    assert_eq!(there.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2]);
    let last = pages[2]["meta"]["url"].as_str().unwrap();
    let (mut back, _) = follow(&owner, last, "previous_page_url", "audit_events").await;
    back.reverse();
    assert_eq!(back, there);
    sids.sort_unstable();
    sids.dedup();
    assert_eq!(sids.len(), 8);
}

#[tokio::test]
async fn a_token_is_worth_nothing_to_another_account_or_another_list() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for name in ["one", "two"] {
        create(&owner, name).await;
        create(&app.account("b"), name).await;
    }
    let token = async |list: &str| {
        let page = owner.get(&format!("{list}?PageSize=1")).await.json(200);
        let url = page["meta"]["next_page_url"].as_str().unwrap().to_owned();
        url.split_once("PageToken=").unwrap().1.to_owned()
    };
    let (of_events, of_credentials) = (token(EVENTS).await, token(CREDENTIALS).await);
    // Twilio's shape and ours are one list.
    owner
        .get(&format!("{MONITOR}?Page=1&PageToken={of_events}"))
        .await
        .json(200);
    for (client, list, token) in [
        (&owner, EVENTS, &of_credentials),
        (&owner, CREDENTIALS, &of_events),
        (&app.account("b"), EVENTS, &of_events),
    ] {
        let answer = client.get(&format!("{list}?Page=1&PageToken={token}")).await;
        super::is_refused(
            &answer,
            "PageToken",
            "follow next_page_url or previous_page_url as they were answered",
        );
    }
}

#[tokio::test]
async fn a_page_holds_50_unless_asked_and_no_more_than_1000() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for list in [EVENTS, MONITOR, "/v1/Events"] {
        for (query, size) in [("", 50), ("?PageSize=5000", 1000), ("?PageSize=3", 3)] {
            let page = owner.get(&format!("{list}{query}")).await.json(200);
            assert_eq!(page["meta"]["page_size"], size, "{list}{query}");
        }
    }
}
