//! Following a list from page to page.

use serde_json::Value;

use super::{LIST, create, path, sid};
use crate::harness::{Client, TestApp};

/// Creates credentials and answers their SIDs, newest first.
async fn credentials(client: &Client, count: usize) -> Vec<String> {
    let mut sids = Vec::new();
    for _ in 0..count {
        sids.insert(0, sid(&create(client, &[("Type", "gcm")]).await).to_owned());
    }
    sids
}

fn sids(page: &Value) -> Vec<String> {
    page["credentials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| sid(row).to_owned())
        .collect()
}

/// The pages that `key` leads to, one after the other, beginning with the one at `target`.
async fn follow(client: &Client, target: &str, key: &str) -> Vec<Value> {
    let mut pages = vec![client.get(target).await.json(200)];
    while let Some(url) = pages[pages.len() - 1]["meta"][key].as_str() {
        pages.push(client.get(url).await.json(200));
        assert!(pages.len() < 100, "the pages do not come to an end");
    }
    pages
}

#[tokio::test]
async fn pages_lead_to_the_end_and_back_and_show_every_row_once() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let all = credentials(&owner, 5).await;

    let there = follow(&owner, &format!("{LIST}?PageSize=2"), "next_page_url").await;
    assert_eq!(
        there.iter().map(sids).collect::<Vec<_>>(),
        [&all[..2], &all[2..4], &all[4..]]
    );
    for (index, page) in there.iter().enumerate() {
        assert_eq!(page["meta"]["page"], index);
        assert_eq!(page["meta"]["page_size"], 2);
        assert_eq!(page["meta"]["first_page_url"], there[0]["meta"]["url"]);
    }
    assert_eq!(there[0]["meta"]["previous_page_url"], Value::Null);

    let last = there[2]["meta"]["url"].as_str().unwrap();
    let back = follow(&owner, last, "previous_page_url").await;
    assert_eq!(
        back.iter().map(sids).collect::<Vec<_>>(),
        [&all[4..], &all[2..4], &all[..2]]
    );
    assert_eq!(back[2]["meta"]["page"], 0);
    assert!(back[2]["meta"]["next_page_url"].is_string());
}

#[tokio::test]
async fn a_last_page_that_is_full_promises_no_empty_one_after_it() {
    // Java's SDK stops at an empty page, and every other wastes a call on it.
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let all = credentials(&owner, 4).await;
    let pages = follow(&owner, &format!("{LIST}?PageSize=2"), "next_page_url").await;
    assert_eq!(pages.iter().map(sids).collect::<Vec<_>>(), [&all[..2], &all[2..]]);
}

#[tokio::test]
async fn rows_of_one_instant_are_not_lost_between_pages() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let mut all = credentials(&owner, 7).await;
    sqlx::query("update credentials set created_at = '2026-01-02 03:04:05.678901+00'")
        .execute(&app.pool)
        .await
        .unwrap();
    all.sort_unstable_by(|one, other| other.cmp(one));
    let pages = follow(&owner, &format!("{LIST}?PageSize=3"), "next_page_url").await;
    assert_eq!(pages.iter().flat_map(sids).collect::<Vec<_>>(), all);
}

#[tokio::test]
async fn rows_that_come_and_go_meanwhile_neither_repeat_nor_hide_any_decision_10() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let all = credentials(&owner, 6).await;
    let first = owner.get(&format!("{LIST}?PageSize=2")).await.json(200);
    // The row at the edge of the page goes away, and a newer one comes.
    owner.delete(&format!("{LIST}/{}", all[1])).await;
    credentials(&owner, 1).await;
    let next = first["meta"]["next_page_url"].as_str().unwrap();
    let rest = follow(&owner, next, "next_page_url").await;
    assert_eq!(rest.iter().flat_map(sids).collect::<Vec<_>>(), all[2..]);
}

#[tokio::test]
async fn a_page_names_no_page_beside_it_once_that_ones_rows_are_gone_decision_10() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let all = credentials(&owner, 3).await;
    let pages = follow(&owner, &format!("{LIST}?PageSize=1"), "next_page_url").await;
    // The ways to the page in the middle, from the first page and from the last.
    let there = pages[0]["meta"]["next_page_url"].as_str().unwrap();
    let back = pages[2]["meta"]["previous_page_url"].as_str().unwrap();

    owner.delete(&format!("{LIST}/{}", all[0])).await;
    owner.delete(&format!("{LIST}/{}", all[2])).await;

    for way in [there, back] {
        let middle = owner.get(way).await.json(200);
        assert_eq!(sids(&middle), all[1..2]);
        assert_eq!(middle["meta"]["previous_page_url"], Value::Null, "{way}");
        assert_eq!(middle["meta"]["next_page_url"], Value::Null, "{way}");
    }
}

#[tokio::test]
async fn an_empty_page_leads_back_to_the_row_that_it_was_reached_from_decision_10() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    // (the way, the row that is there at first, the way back)
    for (way, behind, way_back) in [
        ("next_page_url", 1, "previous_page_url"),
        ("previous_page_url", 0, "next_page_url"),
    ] {
        let all = credentials(&owner, 2).await;
        let pages = follow(&owner, &format!("{LIST}?PageSize=1"), "next_page_url").await;
        let url = pages[1 - behind]["meta"][way].as_str().unwrap();
        owner.delete(&format!("{LIST}/{}", all[behind])).await;

        let empty = owner.get(url).await.json(200);
        assert_eq!(sids(&empty), [""; 0]);
        assert_eq!(empty["meta"][way], Value::Null);
        let back = owner.get(empty["meta"][way_back].as_str().unwrap()).await.json(200);
        assert_eq!(sids(&back), [all[1 - behind].as_str()]);

        // And with that row gone too, nowhere.
        owner.delete(&path(&back["credentials"][0])).await;
        let empty = owner.get(url).await.json(200);
        assert_eq!(empty["meta"][way_back], Value::Null);
    }
}

#[tokio::test]
async fn a_token_is_worth_nothing_to_another_account_or_altered_decision_9() {
    let app = TestApp::spawn().await;
    let (owner, other) = (app.account("a"), app.account("b"));
    credentials(&owner, 3).await;
    credentials(&other, 3).await;
    let first = owner.get(&format!("{LIST}?PageSize=1")).await.json(200);
    let next = first["meta"]["next_page_url"].as_str().unwrap().to_owned();
    let token = next.rsplit_once('=').unwrap().1.to_owned();
    let message =
        "Invalid value for parameter PageToken: follow next_page_url or previous_page_url as they were answered";
    other.get(&next).await.is_error(400, 20001, message);
    let altered = |position: usize| {
        let mut bytes = token.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    for token in [
        altered(1),
        altered(12),
        altered(30),
        altered(token.len() - 2),
        token[..token.len() - 4].to_owned(),
        "x".to_owned(),
        "=".to_owned(),
        format!("PT{}", sid(&first["credentials"][0])),
    ] {
        let answer = owner.get(&format!("{LIST}?PageSize=1&Page=1&PageToken={token}")).await;
        answer.is_error(400, 20001, message);
    }
    owner.get(&next).await.json(200);
}

#[tokio::test]
async fn a_token_holds_on_every_replica_and_after_a_restart() {
    let mut app = TestApp::spawn().await;
    let owner = app.account("a");
    let all = credentials(&owner, 2).await;
    let first = owner.get(&format!("{LIST}?PageSize=1")).await.json(200);
    let next = first["meta"]["next_page_url"]
        .as_str()
        .unwrap()
        .replace(app.origin(), "");
    app.restart();
    let second = app.account("a").get(&next).await.json(200);
    assert_eq!(sids(&second), all[1..]);
    let gone = path(&second["credentials"][0]);
    assert_eq!(app.account("a").delete(&gone).await.status, 204);
}
