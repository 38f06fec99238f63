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
use crate::process::support::Deployment;

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
        within: Duration::from_secs(5),
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
        within: Duration::from_secs(10),
        remark: "Postgres goes down, and its service manager starts it again",
        healthy_within: Duration::from_secs(30),
    };
    trial.costs(Instant::now(), cost).await;
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
