//! A disk that is full: file systems of a few megabytes in memory, which only one Postgres sees.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::postgres::Postgres;
use super::table::Cost;
use super::trial::{Stage, UNAVAILABLE, at_once};
use crate::harness::block_on;
use crate::process::support::{Deployment, wait_until};

const MOUNT: &str = r#"mkdir -p "$1/small"; mount -t tmpfs -o "size=48m,mode=0700,uid=$2,gid=$3" tmpfs "$1/small""#;

#[test]
fn a_full_disk_costs_what_the_table_says() {
    at_once(&[
        || block_on(the_disk_of_the_tables_is_full),
        || block_on(the_disk_of_the_log_is_full),
    ]);
}

async fn the_disk_of_the_tables_is_full() {
    let mut postgres = Postgres::new().with_mounts(MOUNT);
    postgres.start();
    let place = postgres.home().path().join("small");
    let administrator = postgres.administrator().await;
    let create = format!("create tablespace small location '{}'", place.display());
    administrator.execute(sqlx::AssertSqlSafe(create)).await;
    administrator
        .execute("create database vault template template0 tablespace small")
        .await;
    let deployment = Deployment::on(&postgres.url("vault"));
    deployment.run(&["migrate"]).succeeded();
    let stage = Stage::of(deployment);
    let trial = stage.under_load();
    let filler = fill(&postgres.seen_from_inside(&place));
    trial.each_is_refused(1);
    trial.says(true).await;
    fs::remove_file(filler).unwrap();
    let cost = Cost {
        fault: "disk full where the tables are",
        sees: UNAVAILABLE,
        within: Duration::from_secs(10),
        remark: "reads are answered",
        healthy_within: Duration::from_secs(20),
    };
    trial.costs(Instant::now(), cost).await;
}

async fn the_disk_of_the_log_is_full() {
    let mut postgres = Postgres::new().kept_running();
    let home = postgres.home().path().to_owned();
    let (data, first) = (postgres.home().data(), home.join("first"));
    fs::rename(data.join("pg_wal"), &first).unwrap();
    symlink(home.join("small"), data.join("pg_wal")).unwrap();
    let copy = r#"cp -R "$1/first/." "$1/small"; chown -R "$2:$3" "$1/small""#;
    postgres = postgres.with_mounts(&format!("{MOUNT}; {copy}"));
    postgres.start();
    let deployment = Deployment::on(&postgres.url("postgres"));
    deployment.run(&["migrate"]).succeeded();
    let stage = Stage::of(deployment);
    let trial = stage.under_load();
    let filler = fill(&postgres.seen_from_inside(&home.join("small")));
    // Postgres stops itself, and is started again and again in vain.
    trial.each_is_refused(2);
    trial.says(false).await;
    fs::remove_file(filler).unwrap();
    let cost = Cost {
        fault: "disk full where the write-ahead log is",
        sees: UNAVAILABLE,
        within: Duration::from_secs(15),
        remark: "Postgres goes down, and its service manager starts it again",
        healthy_within: Duration::from_secs(30),
    };
    trial.costs(Instant::now(), cost).await;
}

/// Everything that a change could touch, and how many changes there were.
const EVERYTHING: &str = "select string_agg(table_to_xml(name::regclass, true, false, '')::text, '')
        || (select count(*) from audit_events where outcome = 'success')
    from unnest(array['accounts', 'api_keys', 'credential_versions', 'credentials']) as name";

#[tokio::test]
async fn a_disk_that_is_full_under_the_audit_trail_alone_stops_every_change_and_nothing_else() {
    let mount = MOUNT.replace("48m", "2m");
    let mut postgres = Postgres::new().with_mounts(&mount);
    postgres.start();
    let place = postgres.home().path().join("small");
    let administrator = postgres.administrator().await;
    let create = format!("create tablespace small location '{}'", place.display());
    administrator.execute(sqlx::AssertSqlSafe(create)).await;
    let deployment = Deployment::on(&postgres.url("postgres"));
    deployment.run(&["migrate"]).succeeded();
    administrator
        .execute("alter table audit_events set tablespace small")
        .await;
    let account = deployment.create_account();
    let service = deployment.serve();
    let caller = service.caller(&account);
    let sid = caller.register("a-name").await;
    let path = format!("/v2/Credentials/{sid}");
    let database = deployment.database().await;
    let filler = fill(&postgres.seen_from_inside(&place));
    // What is left of the last page is used up by the smallest event that there is.
    wait_until("no event has room", async || {
        let nowhere = caller.delete("/v2/Credentials/CR1").await.unwrap();
        assert!([404, 503].contains(&nowhere.status), "{nowhere:?}");
        nowhere.status == 503
    })
    .await;
    let before: String = database.value(EVERYTHING).await;

    for answer in [
        caller.create(&[("Type", "fcm"), ("Secret", "x")]).await,
        caller.post(&path, &[("Secret", "x")]).await.unwrap(),
        caller.post(&path, &[("FriendlyName", "x")]).await.unwrap(),
        caller.delete(&path).await.unwrap(),
        caller.create(&[]).await,
    ] {
        assert_eq!(
            (answer.status, answer.body["code"].as_i64()),
            (503, Some(20503)),
            "{answer:?}"
        );
    }
    deployment
        .run(&["account", "suspend", &account.sid])
        .refused(1, &["No space left"]);
    assert_eq!(caller.fetch(&sid).await.status, 200);

    assert_eq!(database.value::<String>(EVERYTHING).await, before);
    fs::remove_file(filler).unwrap();
    assert_eq!(caller.post(&path, &[("Secret", "x")]).await.unwrap().status, 200);
    let printed = service.stop();
    assert!(printed.contains("No space left on device"), "the log says why");
}

/// Writes a file until there is no room for another byte.
fn fill(directory: &Path) -> PathBuf {
    let path = directory.join("filler");
    let mut file = File::create(&path).unwrap();
    for size in [1 << 16, 1] {
        let bytes = vec![0; size];
        let error = loop {
            if let Err(error) = file.write_all(&bytes) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }
    path
}
