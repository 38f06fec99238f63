//! `GET /v2/Credentials`: what a page looks like.

use serde_json::{Value, json};

use super::{LIST, create, path, sid};
use crate::harness::{TestApp, assert_matches_snapshot, redacted};

#[tokio::test]
async fn an_empty_list_is_a_page_with_every_key_of_meta() {
    let app = TestApp::spawn().await;
    let listed = app.account("a").get(LIST).await.json(200);
    let body = serde_json::to_string_pretty(&redacted(&listed, app.origin())).unwrap();
    assert_matches_snapshot!("list_empty", body);
}

#[tokio::test]
async fn a_page_in_the_middle_names_the_pages_beside_it() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for name in ["one", "two", "three"] {
        create(&owner, &[("Type", "gcm"), ("FriendlyName", name)]).await;
    }
    let first = owner.get(&format!("{LIST}?PageSize=1")).await.json(200);
    let second = owner
        .get(first["meta"]["next_page_url"].as_str().unwrap())
        .await
        .json(200);
    let body = serde_json::to_string_pretty(&redacted(&second, app.origin())).unwrap();
    assert_matches_snapshot!("list_middle", body);
}

#[tokio::test]
async fn the_newest_comes_first_and_the_sid_decides_between_equals_decision_10() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let mut expected = Vec::new();
    for _ in 0..4 {
        expected.insert(0, create(&owner, &[("Type", "gcm")]).await);
    }
    let listed = owner.get(LIST).await.json(200);
    assert_eq!(listed["credentials"], json!(expected));

    sqlx::query("update credentials set created_at = '2026-01-02 03:04:05.678901+00'")
        .execute(&app.pool)
        .await
        .unwrap();
    let listed = owner.get(LIST).await.json(200);
    expected.sort_by(|one, other| sid(other).cmp(sid(one)));
    let sids = |rows: &[Value]| rows.iter().map(|row| sid(row).to_owned()).collect::<Vec<_>>();
    assert_eq!(sids(listed["credentials"].as_array().unwrap()), sids(&expected));
    assert_eq!(listed["credentials"][0]["date_created"], "2026-01-02T03:04:05Z");
}

#[tokio::test]
async fn a_list_shows_neither_the_deleted_nor_another_accounts() {
    let app = TestApp::spawn().await;
    let (owner, other) = (app.account("a"), app.account("b"));
    let kept = create(&owner, &[("Type", "gcm")]).await;
    let deleted = create(&owner, &[("Type", "gcm")]).await;
    create(&other, &[("Type", "gcm")]).await;
    owner.delete(&path(&deleted)).await;
    assert_eq!(owner.get(LIST).await.json(200)["credentials"], json!([kept]));
}

#[tokio::test]
async fn page_size_is_50_unless_asked_and_clamped_to_the_surfaces_maximum_decisions_6_and_7() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    for (list, query, effective) in [
        (LIST, "", 50),
        (LIST, "?PageSize=", 50),
        (LIST, "?PageSize=1", 1),
        (LIST, "?PageSize=007", 7),
        (LIST, "?PageSize=1000", 1000),
        (LIST, "?PageSize=1001", 1000),
        (LIST, "?PageSize=99999999999999999999", 1000),
        ("/conversations/v1/Credentials", "?PageSize=5000", 100),
        ("/notify/v1/Credentials", "?PageSize=5000", 1000),
        ("/chat/v2/Credentials", "?Page=0&PageSize=3", 3),
    ] {
        let meta = &owner.get(&format!("{list}{query}")).await.json(200)["meta"];
        assert_eq!(meta["page_size"], effective, "{list}{query}");
        let url = format!("{}{list}?PageSize={effective}&Page=0", app.origin());
        assert_eq!((&meta["first_page_url"], &meta["url"]), (&json!(url), &json!(url)));
    }
}

#[tokio::test]
async fn paging_parameters_that_make_no_sense_are_refused_by_name_decisions_6_and_8() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let size = "Invalid value for parameter PageSize: use a whole number from 1";
    let page = "Invalid value for parameter Page: use a whole number from 0";
    for (query, message) in [
        ("PageSize=0", size),
        ("PageSize=-1", size),
        ("PageSize=1.5", size),
        ("PageSize=ten", size),
        ("PageSize=%2B1", size),
        ("Page=-1", page),
        ("Page=x", page),
        ("Page=%2B1", page),
        ("Page=99999999999999999999", "PageToken is required for paging."),
        ("Page=1", "PageToken is required for paging."),
        ("Page=1&PageSize=2", "PageToken is required for paging."),
        ("Page=1&PageToken=", "PageToken is required for paging."),
    ] {
        owner
            .get(&format!("{LIST}?{query}"))
            .await
            .is_error(400, 20001, message);
    }
}

#[tokio::test]
async fn of_a_query_parameter_that_comes_twice_the_first_counts_decision_22() {
    // Java's SDK sends PageSize twice when a limit is given too.
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let meta = &owner.get(&format!("{LIST}?PageSize=2&PageSize=5&x=y&")).await.json(200)["meta"];
    assert_eq!(meta["page_size"], 2);
}
