//! Decision 31 under concurrency: of those who saw the same state, one changes it.

use std::collections::BTreeSet;

use reqwest::Method;

use super::{LIST, path};
use crate::harness::{Client, TestApp, at_once};

const CALLERS: usize = 10;

async fn credential(client: &Client) -> (String, String) {
    let created = client.post(LIST, &[("Type", "gcm"), ("ApiKey", "k")]).await;
    (path(&created.json(201)), created.header("etag").unwrap().to_owned())
}

#[tokio::test]
async fn of_updates_at_once_with_one_tag_exactly_one_wins_decision_31() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    // A new name and a new secret go two ways.
    for parameter in ["FriendlyName", "ApiKey"] {
        let (path, tag) = credential(&owner).await;
        let answers = at_once(CALLERS, |number| {
            let (owner, path, tag) = (owner.clone(), path.clone(), tag.clone());
            async move {
                let value = format!("value {number}");
                let request = owner.request(Method::POST, &path).header("if-match", tag);
                owner.send(request.form(&[(parameter, value)])).await
            }
        })
        .await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        let lost = answers.iter().filter(|answer| answer.status == 412).count();
        assert_eq!((won.len(), lost), (1, CALLERS - 1), "{parameter}");
        assert_eq!(owner.get(&path).await.body, won[0].body);
        for answer in &answers {
            let event = app.audit_event_of(answer).await;
            assert_eq!(event.outcome == "success", answer.status == 200);
        }
    }
}

#[tokio::test]
async fn of_deletes_and_updates_at_once_with_one_tag_exactly_one_wins_decision_31() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let (path, tag) = credential(&owner).await;
    let answers = at_once(CALLERS, |number| {
        let (owner, path, tag) = (owner.clone(), path.clone(), tag.clone());
        async move {
            let method = if number % 2 == 0 { Method::DELETE } else { Method::POST };
            let request = owner.request(method.clone(), &path).header("if-match", tag);
            let request = if method == Method::POST {
                request.form(&[("FriendlyName", "n")])
            } else {
                request
            };
            owner.send(request).await
        }
    })
    .await;
    let won = answers.iter().filter(|answer| answer.status < 300).count();
    assert_eq!(won, 1);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status, 200 | 204 | 404 | 412))
    );
}

#[tokio::test]
async fn updates_at_once_each_have_a_tag_of_their_own_decision_31() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let (path, tag) = credential(&owner).await;
    let answers = at_once(CALLERS, |number| {
        let (owner, path) = (owner.clone(), path.clone());
        async move { owner.post(&path, &[("FriendlyName", &format!("name {number}"))]).await }
    })
    .await;
    let mut tags: BTreeSet<_> = answers
        .iter()
        .map(|answer| answer.header("etag").unwrap().to_owned())
        .collect();
    tags.insert(tag);
    assert_eq!(tags.len(), CALLERS + 1);
    let present = owner.get(&path).await;
    let last: Vec<_> = answers.iter().filter(|answer| answer.body == present.body).collect();
    assert!(
        last.iter()
            .any(|answer| answer.header("etag") == present.header("etag"))
    );
}
