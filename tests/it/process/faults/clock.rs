//! Clocks that are set while the vault is at work. The machine's own is left alone: a library between a program and the
//! system moves the clock of that program (`clock.c`).

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::postgres::Postgres;
use super::table::Cost;
use super::trial::{Stage, Trial, at_once};
use crate::harness::block_on;
use crate::process::support::{Deployment, clean};

const HOUR: i64 = 3600;

/// A clock that can be set.
pub(crate) struct Clock {
    directory: TempDir,
}

#[test]
fn a_clock_that_jumps_costs_what_the_table_says() {
    at_once(&[
        || block_on(the_clock_of_the_vault_jumps),
        || block_on(the_clock_of_postgres_jumps),
    ]);
}

async fn the_clock_of_the_vault_jumps() {
    let clock = Clock::new();
    let mut deployment = Deployment::migrated();
    for (name, value) in clock.variables() {
        deployment = deployment.with_variable(name, &value);
    }
    let stage = Stage::of(deployment);
    let trial = stage.under_load();
    jump_there_and_back(&clock, &trial, async |seconds| {
        let off = time_of_the_log(&trial) - OffsetDateTime::now_utc();
        assert!(
            (off.whole_seconds() - seconds).abs() < 60,
            "the vault's clock is not where it was set: {off}"
        );
    })
    .await;
    trial
        .costs(
            Instant::now(),
            cost("the vault's clock jumps an hour forward, then back"),
        )
        .await;
}

async fn the_clock_of_postgres_jumps() {
    let clock = Clock::new();
    let mut postgres = Postgres::new();
    for (name, value) in clock.variables() {
        postgres = postgres.with_variable(name, &value);
    }
    postgres.start();
    let deployment = Deployment::on(&postgres.url("postgres"));
    deployment.run(&["migrate"]).succeeded();
    let stage = Stage::of(deployment);
    let trial = stage.under_load();

    jump_there_and_back(&clock, &trial, async |_| {}).await;
    trial
        .costs(
            Instant::now(),
            cost("Postgres's clock jumps an hour forward, then back"),
        )
        .await;

    let administrator = postgres.administrator().await;
    administrator.execute("create database other template template0").await;
    what_grows_with_time_grows_all_the_same(&clock, &postgres.url("other")).await;
}

/// Every change is later than the one before, because the entity tag is made of its date, and a create that is sent again is
/// known by its key.
async fn what_grows_with_time_grows_all_the_same(clock: &Clock, url: &str) {
    let deployment = Deployment::on(url);
    deployment.run(&["migrate"]).succeeded();
    let stage = Stage::of(deployment);
    let service = stage.deployment.serve();
    let caller = service.caller(&stage.account);
    let database = stage.database().await;
    let form = [("Type", "gcm"), ("FriendlyName", "a-name"), ("ApiKey", "first")];
    let key = Some(("Idempotency-Key", "a-key"));
    let first = caller.post_with("/v2/Credentials", &form, key).await.unwrap();
    let path = format!("/v2/Credentials/{}", first.text("sid"));
    let updated = "select (extract(epoch from updated_at) * 1000000)::bigint from credentials";
    for seconds in [HOUR, -HOUR, 0] {
        clock.jump(seconds);
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let theirs: i64 = database
            .value("select extract(epoch from clock_timestamp())::bigint")
            .await;
        assert!(
            (theirs - now - seconds).abs() < 60,
            "Postgres's clock is not where it was set"
        );
        let earlier: i64 = database.value(updated).await;
        assert_eq!(caller.post(&path, &[("ApiKey", "next")]).await.unwrap().status, 200);
        assert!(
            database.value::<i64>(updated).await > earlier,
            "a change is not later than the one before"
        );
        let again = caller.post_with("/v2/Credentials", &form, key).await.unwrap();
        assert_eq!((again.status, again.text("sid")), (201, first.text("sid")));
    }
    service.stop();
}

fn cost(fault: &'static str) -> Cost {
    Cost {
        fault,
        sees: &[],
        within: Duration::from_secs(10),
        remark: "`/readyz` names the clock and stays ready",
        healthy_within: Duration::from_secs(20),
    }
}

/// Sets a clock an hour forward, an hour back, and right again, and looks around in between.
async fn jump_there_and_back(clock: &Clock, trial: &Trial<'_>, look: impl AsyncFn(i64)) {
    for seconds in [HOUR, -HOUR] {
        clock.jump(seconds);
        trial.each_is_acknowledged(5);
        trial.says(true).await;
        look(seconds).await;
    }
    clock.jump(0);
}

/// The time of the last line in the vault's log.
fn time_of_the_log(trial: &Trial<'_>) -> OffsetDateTime {
    let log = trial.service.program.stdout();
    let mut lines = log
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let line = lines.next().unwrap();
    OffsetDateTime::parse(line["timestamp"].as_str().unwrap(), &Rfc3339).unwrap()
}

impl Clock {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Postgres may run as somebody else.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(directory.path(), mode).unwrap();
        let clock = Self { directory };
        fs::write(clock.file(), 0_i64.to_ne_bytes()).unwrap();
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/process/faults/clock.c");
        let mut compiler = clean(Command::new("cc"));
        compiler.args(["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"]);
        let output = compiler
            .arg(clock.library())
            .arg(source)
            .output()
            .expect("a C compiler, `cc`");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        clock
    }

    pub(crate) fn jump(&self, seconds: i64) {
        let file = OpenOptions::new().write(true).open(self.file()).unwrap();
        file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }

    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("LD_PRELOAD", self.library().to_str().unwrap().to_owned()),
            ("CLOCK_JUMP", self.file().to_str().unwrap().to_owned()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("jump")
    }

    fn library(&self) -> PathBuf {
        self.directory.path().join("clock.so")
    }
}
