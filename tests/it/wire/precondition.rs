//! Decision 31: an entity tag for every state of a credential, and `If-Match`, by which a client changes what it saw.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use super::{LIST, path, post_with};
use crate::harness::{Answer, Client, TestApp, apns_pair, unknown_credential_sid};

const STALE: &str = "Precondition Failed: the credential has changed; fetch it and send its present ETag as If-Match";
const MALFORMED: &str = "Invalid value for header If-Match: send the ETag of an earlier answer with its quotes, or *";

fn tag(answer: &Answer) -> String {
    let tag = answer.header("etag").expect("an entity tag").to_owned();
    assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    tag
}

async fn get_if(client: &Client, path: &str, tag: &str) -> Answer {
    client
        .send(client.request(Method::GET, path).header("if-match", tag))
        .await
}

async fn delete_if(client: &Client, path: &str, tag: &str) -> Answer {
    client
        .send(client.request(Method::DELETE, path).header("if-match", tag))
        .await
}

async fn rename_if(client: &Client, path: &str, tag: &str, name: &str) -> Answer {
    post_with(client, path, ("if-match", tag), &[("FriendlyName", name)]).await
}

/// A credential: its path, and its entity tag.
async fn credential(client: &Client) -> (String, String) {
    let created = client.post(LIST, &[("Type", "apn"), ("FriendlyName", "old")]).await;
    (path(&created.json(201)), tag(&created))
}

/// The date of the one credential, to the microsecond.
async fn date_updated(app: &TestApp) -> String {
    sqlx::query_scalar("select to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US') from credentials")
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn every_change_has_a_tag_of_its_own_and_what_changes_nothing_keeps_it_decision_31() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let (path, created) = credential(&owner).await;
    assert_eq!(tag(&owner.get(&path).await), created);
    let mut tags = BTreeSet::from([created]);
    let changes = [
        [("FriendlyName", "new")],
        [("FriendlyName", "newer")],
        [("PrivateKey", apns_pair())],
        [("Sandbox", "true")],
        [("FriendlyName", "")],
    ];
    for form in &changes {
        let updated = owner.post(&path, form).await;
        updated.json(200);
        assert!(tags.insert(tag(&updated)), "{}: the tag was there before", form[0].0);
        assert_eq!(tag(&owner.get(&path).await), tag(&updated));
        // Neither an empty update changes anything, nor one that names what is so already. New secrets always do.
        let again: &[(&str, &str)] = if form[0].0 == "PrivateKey" { &[] } else { form };
        for nothing_new in [&[], again] {
            let same = owner.post(&path, nothing_new).await;
            assert_eq!((tag(&same), &same.body), (tag(&updated), &updated.body));
        }
        let head = owner.send(owner.request(Method::HEAD, &path)).await;
        assert_eq!(tag(&head), tag(&updated));
    }
    // Neither a list nor a refusal is a state of a credential.
    for answer in [owner.get(LIST).await, owner.get("/v2/Credentials/CR0").await] {
        assert_eq!(answer.header("etag"), None);
    }
}

#[tokio::test]
async fn a_tag_grows_even_when_the_clock_does_not_decision_31() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let (path, _) = credential(&owner).await;
    // As if the clock had been set back by an hour: every update comes in an instant that is not later than the last.
    sqlx::query("update credentials set updated_at = now() + interval '1 hour'")
        .execute(&app.pool)
        .await
        .unwrap();
    let mut tags = BTreeSet::from([tag(&owner.get(&path).await)]);
    let mut dates = vec![date_updated(&app).await];
    for name in ["n", "m", "n"] {
        let updated = owner.post(&path, &[("FriendlyName", name)]).await;
        assert!(tags.insert(tag(&updated)));
        dates.push(date_updated(&app).await);
    }
    assert!(dates.is_sorted_by(|one, next| one < next), "{dates:?}");
}

#[tokio::test]
async fn a_tag_is_the_same_on_every_surface_and_to_every_caller_of_the_account_decision_31() {
    let app = TestApp::spawn().await;
    let (path, created) = credential(&app.account("a")).await;
    let sid = path.rsplit_once('/').unwrap().1;
    for list in [
        "/v1",
        "/chat/v2",
        "/chat/v1",
        "/ip-messaging/v2",
        "/ip-messaging/v1",
        "/notify/v1",
        "/conversations/v1",
    ] {
        let target = format!("{list}/Credentials/{sid}");
        let caller = app.api_key("a");
        assert_eq!(tag(&caller.get(&target).await), created, "{list}");
        let renamed = rename_if(&caller, &target, "\"0-0\"", "x").await;
        renamed.is_error(412, 20412, STALE);
        assert_eq!(get_if(&caller, &target, &created).await.status, 200);
    }
}

#[tokio::test]
async fn a_change_with_the_present_tag_is_done_decision_31() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let (path, first) = credential(&owner).await;
    assert_eq!(tag(&get_if(&owner, &path, &first).await), first);
    let renamed = rename_if(&owner, &path, &first, "new").await;
    assert_eq!(renamed.json(200)["friendly_name"], "new");
    let form = [("PrivateKey", apns_pair())];
    let renewed = post_with(&owner, &path, ("if-match", &tag(&renamed)), &form).await;
    renewed.json(200);
    assert_eq!(delete_if(&owner, &path, &tag(&renewed)).await.status, 204);
    owner.get(&path).await.is_not_found(&path);
}

#[tokio::test]
async fn a_change_with_an_old_tag_is_refused_recorded_once_and_changes_nothing_decision_31() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let (path, old) = credential(&owner).await;
    let present = owner.post(&path, &[("FriendlyName", "new")]).await;
    let versions = app.opened(path.rsplit_once('/').unwrap().1).await;

    let events = app.audit_count().await;
    get_if(&owner, &path, &old).await.is_error(412, 20412, STALE);
    assert_eq!(app.audit_count().await, events, "a fetch is no mutation");

    let renewed = post_with(&owner, &path, ("if-match", &old), &[("PrivateKey", apns_pair())]).await;
    let empty = post_with(&owner, &path, ("if-match", &old), &[]).await;
    let refused = [
        (rename_if(&owner, &path, &old, "newer").await, "credential.update"),
        (renewed, "credential.update"),
        (empty, "credential.update"),
        (delete_if(&owner, &path, &old).await, "credential.delete"),
    ];
    for (answer, action) in &refused {
        answer.is_error(412, 20412, STALE);
        let event = app.audit_event_of(answer).await;
        assert_eq!((event.outcome.as_str(), event.error_code), ("failed", Some(20412)));
        assert_eq!(
            (event.action.as_str(), event.target_sid.as_deref()),
            (*action, path.rsplit('/').next())
        );
    }
    assert_eq!(app.audit_count().await, events + 4);
    let kept = owner.get(&path).await;
    assert_eq!((kept.body.clone(), tag(&kept)), (present.body.clone(), tag(&present)));
    assert_eq!(app.opened(path.rsplit_once('/').unwrap().1).await, versions);
}

#[tokio::test]
async fn a_list_of_tags_and_a_star_match_and_a_weak_tag_never_does_decision_31() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let (path, present) = credential(&owner).await;
    for (value, status) in [
        ("*".to_owned(), 200),
        (format!("\"0-0\", {present}"), 200),
        (format!("{present},\"0-0\""), 200),
        (format!(" {present} "), 200),
        ("\"0-0\",\"1-1\"".to_owned(), 412),
        (format!("W/{present}"), 412),
        ("\"\"".to_owned(), 412),
        (present.to_uppercase().replace('"', "\"x"), 400),
    ] {
        assert_eq!(get_if(&owner, &path, &value).await.status, status, "{value}");
    }
    let request = owner
        .request(Method::GET, &path)
        .header("if-match", "\"0-0\"")
        .header("if-match", &present);
    assert_eq!(owner.send(request).await.status, 200, "a list over two lines");
    assert_eq!(rename_if(&owner, &path, "*", "new").await.status, 200);
    assert_eq!(delete_if(&owner, &path, "*").await.status, 204);
    // There is nothing that a star could match.
    rename_if(&owner, &path, "*", "new").await.is_not_found(&path);
}

#[tokio::test]
async fn a_malformed_tag_is_refused_by_the_headers_name_and_changes_nothing_decision_31() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let (path, present) = credential(&owner).await;
    let bare = present.trim_matches('"');
    let half = format!("\"{bare}");
    for value in ["", ",", bare, &half, "1-2", "W/1-2", "w/\"1-2\"", "\"a\" \"b\"", "é"] {
        get_if(&owner, &path, value).await.is_error(400, 20001, MALFORMED);
        rename_if(&owner, &path, value, "x")
            .await
            .is_error(400, 20001, MALFORMED);
        delete_if(&owner, &path, value).await.is_error(400, 20001, MALFORMED);
    }
    assert_eq!(owner.get(&path).await.json(200)["friendly_name"], "old");
}

#[tokio::test]
async fn a_tag_tells_nobody_of_a_credential_that_is_not_theirs_decision_31() {
    let app = TestApp::spawn().await;
    let (path, present) = credential(&app.account("a")).await;
    let stranger = app.account("b");
    let unknown = format!("{LIST}/{}", unknown_credential_sid());
    for target in [&path, &unknown] {
        for value in ["*", &present, "\"0-0\""] {
            get_if(&stranger, target, value).await.is_not_found(target);
            rename_if(&stranger, target, value, "x").await.is_not_found(target);
            delete_if(&stranger, target, value).await.is_not_found(target);
        }
    }
    assert_eq!(tag(&app.account("a").get(&path).await), present);
}

#[tokio::test]
async fn without_a_precondition_the_last_writer_wins_decision_31() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let (path, _) = credential(&owner).await;
    for name in ["one", "two", "three"] {
        owner.post(&path, &[("FriendlyName", name)]).await.json(200);
    }
    let kept: Value = owner.get(&path).await.json(200);
    assert_eq!(kept["friendly_name"], "three");
}
