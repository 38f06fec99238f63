//! Promise 1: no secret ever leaves. Secrets nobody else uses go through every input; then everything that comes out of the
//! service is searched for them.

mod inputs;
mod search;

use inputs::Inputs;
pub(crate) use search::Canary;
use search::assert_silent;

use pushvault::trail::ExportFormat;

use crate::harness::{Log, TestApp, dump};
use crate::sealed::export;

/// What those who run the service are told of it.
async fn metrics(app: &TestApp) -> String {
    app.admin().get("/metrics").await.body
}

/// Everything that the service said or kept: by the name of the place, as text.
async fn places(app: &TestApp, log: &Log) -> Vec<(&'static str, String)> {
    let (mut hex, mut base64) = (String::new(), String::new());
    for (format, text) in [("hex", &mut hex), ("base64", &mut base64)] {
        let mut transaction = app.pool.begin().await.unwrap();
        sqlx::query("select set_config('xmlbinary', $1, true)")
            .bind(format)
            .execute(&mut *transaction)
            .await
            .unwrap();
        *text = sqlx::query_scalar("select schema_to_xml('public', true, false, '')::text")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
    }
    let trail = app.audit_trail().await;
    let last = trail.last().expect("an event");
    let mut places = vec![
        ("the answers", app.transcript()),
        ("the log", log.text()),
        ("the audit trail", format!("{trail:?}")),
        ("the tables, bytes as hexadecimal", hex),
        ("the tables, bytes as base64", base64.replace('\n', "")),
        ("the dump", dump(app.database.url())),
    ];
    for format in [ExportFormat::Jsonl, ExportFormat::Ocsf] {
        places.push(("the export of the audit trail", export(app, None, format).join("\n")));
    }
    places.extend(Log::of_audit_places(&last.event_sid).await);
    places
}

#[tokio::test]
async fn no_secret_comes_out_anywhere_whatever_it_was_sent_as() {
    let log = Log::from_now();
    let app = TestApp::spawn_with_admin().await;
    let mut inputs = Inputs::new(&app);

    inputs.good_secrets().await;
    inputs.secrets_where_they_do_not_belong().await;
    inputs.broken_bodies().await;
    inputs.credentials_of_callers().await;
    inputs.paths_and_queries().await;

    let (canaries, made_up) = inputs.into_canaries();
    assert!(made_up.len() > 100, "only {} secrets went in", made_up.len());
    for (place, text) in places(&app, &log).await {
        assert_silent(place, &text, &canaries, &made_up);
    }
    let metrics = metrics(&app).await;
    assert!(metrics.contains("pushvault_http_requests_total{"), "{metrics}");
    assert_silent("the metrics", &metrics, &canaries, &made_up);
    assert!(log.events("panic").is_empty(), "{:#?}", log.events("panic"));
}

#[tokio::test]
async fn the_search_would_find_what_is_not_secret() {
    // The same places, searched for something that may be there: they are not empty, and the search reaches them.
    let log = Log::from_now();
    let app = TestApp::spawn().await;
    let name = "a friendly name that everybody may read";
    app.account("a")
        .post("/v2/Credentials", &[("Type", "gcm"), ("FriendlyName", name)])
        .await
        .json(201);
    let public = Canary::new("the friendly name", name.as_bytes());
    for (place, text) in places(&app, &log).await {
        assert!(public.found_in(&text).is_some(), "{place} was not searched");
    }
}
