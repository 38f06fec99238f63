//! Checkpoints outside of the database: a file and an address, and what happens when the trail contradicts them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use pushvault::trail::Checkpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::prune::prune;
use super::{keep_tables, key_of, now, record, restore_tables, seal, verify};
use crate::harness::{TestApp, migrated_database, with_admin};
use crate::process::wait_until;

/// A service that writes its checkpoints to a file.
async fn with_file() -> (TestApp, tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("checkpoint.txt");
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        with_admin(settings);
        settings.checkpoint.file = Some(file.clone());
    })
    .await;
    (app, directory, file)
}

fn in_file(file: &PathBuf) -> Option<Checkpoint> {
    Checkpoint::parse(&std::fs::read_to_string(file).ok()?).ok()
}

async fn metric(app: &TestApp, line: &str) -> bool {
    app.admin().get("/metrics").await.body.lines().any(|told| told == line)
}

#[tokio::test]
async fn the_file_has_the_newest_checkpoint_and_verifies_the_trail() {
    let (app, _directory, file) = with_file().await;
    for _ in 0..2 {
        record(&app, "a").await;
        let newest = seal(&app);
        wait_until("the file has it", async || {
            in_file(&file).is_some_and(|kept| kept.size() == newest.size())
        })
        .await;
    }
    let kept = in_file(&file).unwrap();
    assert!(kept.is_signed_by(&key_of(&app)));
    assert!(verify(&app, &[kept]).verdict.is_whole());
    assert!(metric(&app, "pushvault_audit_trail_intact{check=\"published\"} 1").await);
}

#[tokio::test]
async fn an_older_checkpoint_that_a_slower_replica_put_there_does_not_stay() {
    let (app, _directory, file) = with_file().await;
    record(&app, "a").await;
    let older = seal(&app);
    record(&app, "a").await;
    let newest = seal(&app);
    let has_newest = async || in_file(&file).is_some_and(|kept| kept.size() == newest.size());
    wait_until("the file has it", has_newest).await;
    std::fs::write(&file, older.note()).unwrap();
    wait_until("the file has it again, without anything new", has_newest).await;
    std::fs::remove_file(&file).unwrap();
    wait_until("the file is there again", has_newest).await;
}

#[tokio::test]
async fn when_what_was_published_was_pruned_the_newest_takes_the_place_of_a_file_that_is_moved_away() {
    let (app, _directory, file) = with_file().await;
    record(&app, "a").await;
    let published = seal(&app).size();
    wait_until("the file has it", async || {
        in_file(&file).is_some_and(|kept| kept.size() == published)
    })
    .await;
    // Within the second before the next one is published.
    record(&app, "a").await;
    let newest = seal(&app).size();
    prune(&app, now(&app).await).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!([published, newest, newest + 1].contains(&in_file(&file).unwrap().size()));
    std::fs::remove_file(&file).unwrap();
    wait_until("the newest one is there", async || {
        in_file(&file).is_some_and(|kept| kept.size() >= newest)
    })
    .await;
}

#[tokio::test]
async fn a_trail_that_was_restored_from_before_never_replaces_the_checkpoint_in_the_file() {
    let (mut app, _directory, file) = with_file().await;
    record(&app, "a").await;
    seal(&app);
    keep_tables(&app).await;
    record(&app, "a").await;
    let newest = seal(&app);
    wait_until("the file has it", async || {
        in_file(&file).is_some_and(|kept| kept.size() == newest.size())
    })
    .await;
    restore_tables(&app).await;
    // A process that knows nothing of what was: the file alone remembers.
    app.restart();
    for _ in 0..3 {
        record(&app, "b").await;
    }
    seal(&app);

    wait_until("it is noticed", async || {
        metric(&app, "pushvault_audit_trail_intact{check=\"published\"} 0").await
    })
    .await;
    let kept = in_file(&file).unwrap();
    assert_eq!((kept.size(), kept.root()), (newest.size(), newest.root()));
    assert!(!verify(&app, &[kept]).verdict.is_whole());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_or_holds_something_else_stops_nobody_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let foreign = directory.path().join("foreign.txt");
    std::fs::write(&foreign, "somebody's notes").unwrap();
    for file in [directory.path().join("missing/checkpoint.txt"), foreign.clone()] {
        let app = TestApp::spawn_with(migrated_database(), |settings| {
            with_admin(settings);
            settings.checkpoint.file = Some(file);
        })
        .await;
        record(&app, "a").await;
        seal(&app);
        wait_until("it is counted", async || {
            let text = app.admin().get("/metrics").await.body;
            !text.contains("pushvault_audit_publish_failures_total{sink=\"file\"} 0")
        })
        .await;
        record(&app, "a").await;
    }
    assert_eq!(std::fs::read_to_string(foreign).unwrap(), "somebody's notes");
}

/// An address that takes checkpoints, or refuses them.
async fn witness(status: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let bodies = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                request.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&request);
                if let Some((head, body)) = text.split_once("\r\n\r\n")
                    && head.starts_with("POST /checkpoints HTTP/1.1")
                    && body.ends_with('\n')
                    && body.contains('\u{2014}')
                {
                    bodies.lock().unwrap().push(body.to_owned());
                    break;
                }
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    });
    (format!("http://{address}/checkpoints"), taken)
}

#[tokio::test]
async fn each_new_checkpoint_is_sent_to_the_address() {
    let (url, taken) = witness("200 OK").await;
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        settings.checkpoint.url = Some(url.parse().unwrap());
    })
    .await;
    record(&app, "a").await;
    let newest = seal(&app);
    wait_until("it is sent", async || {
        taken.lock().unwrap().iter().any(|body| body == newest.note())
    })
    .await;
}

#[tokio::test]
async fn an_address_that_refuses_is_asked_again_and_stops_nobody() {
    let (url, taken) = witness("500 Internal Server Error").await;
    let app = TestApp::spawn_with(migrated_database(), |settings| {
        with_admin(settings);
        settings.checkpoint.url = Some(url.parse().unwrap());
    })
    .await;
    record(&app, "a").await;
    seal(&app);
    wait_until("it is sent twice", async || taken.lock().unwrap().len() > 1).await;
    let text = app.admin().get("/metrics").await.body;
    assert!(
        !text.contains("pushvault_audit_publish_failures_total{sink=\"url\"} 0"),
        "{text}"
    );
    record(&app, "a").await;
}
