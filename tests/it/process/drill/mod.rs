//! The drill: what the runbooks say, done to the letter. Above all a backup that is made under load, restored on an empty
//! server, and found whole.
//!
//! `make drill CREDENTIALS=20000` runs it with so many credentials and shows how long each part took; in the test suite
//! there are a few.

mod copy;
mod moment;
mod nights;
mod report;

use std::fs;
use std::time::Instant;

use pushvault::dev::cluster::Durability;
use serde_json::Value;

use self::copy::{Contents, assert_dump_is_silent, schema};
use self::report::Report;
use super::load::{Crew, Evidence, Kind, Random, Story};
use super::support::{Caller, Postgres, Program, Runbook, Shell, Signal};
use crate::canary::Canary;

/// How many credentials there are about when the backup begins.
const VARIABLE: &str = "PUSHVAULT_DRILL_CREDENTIALS";
const CREDENTIALS: usize = 100;

const WRITERS: usize = 6;

/// How many steps are taken beside the backup, at least.
const STEPS_BESIDE: usize = 40;

const BACKUP: &str = "dump";

/// A vault that was set up by the runbook, and the credential that its reader made.
struct FirstVault {
    shell: Shell,
    service: Program,
    caller: Caller,
    login: [String; 2],
    credential: Story,
}

/// A vault that was restored by the runbook.
struct RestoredVault {
    service: Program,
    caller: Caller,
    opened: u64,
    /// The lines of the log that the runbook finds for what has to be done again.
    to_be_repeated: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_is_restored_whole_on_an_empty_server() {
    let mut random = Random::seeded();
    let mut report = Report::default();
    let durability = if std::env::var_os(VARIABLE).is_some() {
        // As in production: what the disk takes is part of the times.
        Durability::Full
    } else {
        Durability::ForgetOnCrash
    };
    let (old, new) = (Postgres::start(durability), Postgres::start(durability));
    let mut first = FirstVault::set_up(&old);

    let crew = Crew::start("drill", WRITERS, &[first.caller.clone()], &mut random);
    crew.wait_until(2 * wanted_credentials());
    let source = old.database("pushvault").await;
    let moment = Instant::now();
    let snapshot = source.begin_snapshot().await;
    let steps = crew.acknowledged();
    back_up(&mut first.shell, &snapshot, &mut report);
    let before = Contents::of(&source).await;
    source.execute("commit").await;
    crew.wait_until(steps + STEPS_BESIDE);
    let mut stories = crew.call_off().await.stories;
    assert_dump_is_silent(&first.shell, &first.canaries(), &stories[0].name);

    let mut restored = restore(&mut first, &old, &new, &mut report);
    let copy = new.database("pushvault").await;
    before.assert_same(&Contents::of(&copy).await);
    assert_eq!(schema(&new), schema(&old));
    let evidence = Evidence::collect(&copy, &first.shell.path().join("root.key")).await;
    evidence.agrees_with_itself();
    stories.push(first.credential);
    evidence.is_as_of(moment, &stories);
    assert_eq!(restored.opened, before.rows("credential_versions"));
    let lost = before.events_since(&source).await;
    assert!(lost.len() > STEPS_BESIDE / 2, "there was no load beside the backup");
    for event in &lost {
        assert!(restored.to_be_repeated.contains(event), "the runbook forgets {event}");
    }
    // The copy is a vault like any other.
    restored.caller.register("after the restore").await;
    assert_eq!(restored.service.end_by(Signal::Terminate).code(), Some(0));
    let bytes = fs::metadata(first.shell.path().join("pushvault.dump")).unwrap().len();
    let credentials = before.rows("credentials");
    report.print(
        BACKUP,
        &[
            ("credentials", credentials),
            ("versions of them", before.rows("credential_versions")),
            ("audit events", before.rows("audit_events")),
            ("bytes of the dump", bytes),
            ("bytes per credential", bytes / credentials),
        ],
    );
}

fn wanted_credentials() -> usize {
    match std::env::var(VARIABLE) {
        Ok(number) => number.parse().expect("a number of credentials"),
        Err(_) => CREDENTIALS,
    }
}

/// Follows the runbook of the backup. What others may see of the snapshot, the dump is to have.
fn back_up(shell: &mut Shell, snapshot: &str, report: &mut Report) {
    let mut runbook = Runbook::titled("Backup");
    let dump = runbook.next("pg_dump --format=custom");
    shell.read_as("pg_dump ", &format!("pg_dump --snapshot={snapshot} "));
    report.time(BACKUP, || shell.run(&dump));
    shell.run(&runbook.next("sha256sum"));
    runbook.ends();
}

/// Follows the runbook of the restore, from the end of the first vault on.
fn restore(first: &mut FirstVault, old: &Postgres, new: &Postgres, report: &mut Report) -> RestoredVault {
    assert_eq!(first.service.end_by(Signal::Terminate).code(), Some(0));
    let shell = shell_beside(new);
    for file in ["pushvault.dump", "root.key"] {
        shell.fetch(file, &first.shell);
    }
    fs::write(shell.path().join("pushvault.log"), first.service.stdout()).unwrap();
    let mut runbook = Runbook::titled("Restore");
    shell.run(&runbook.next("create role pushvault_owner"));
    shell.run(&runbook.next("owner.url"));
    assert_ne!(
        shell.read("vault.url"),
        first.shell.read("vault.url"),
        "{}",
        old.place("pushvault")
    );
    let step = runbook.next("pg_restore");
    report.time("pg_restore", || shell.run(&step));
    let migrated = shell.run(&runbook.next("pushvault migrate"));
    assert_eq!(migrated.stdout.trim(), "applied_migrations: 0");

    let step = runbook.next("kek verify");
    let verified = report.time("kek verify", || shell.run(&step));
    assert_wrong_key_is_refused(&shell);
    let step = runbook.next("versions_without_their_event");
    let trail = report.time("audit trail", || shell.run(&step));
    let step = runbook.next("audit verify");
    report.time("audit verify", || shell.run(&step));

    let step = runbook.next("pushvault serve");
    let (service, url) = report.time("start", || serve(&shell, &step));
    shell.set("PUSHVAULT_URL", &url);
    let [account_sid, auth_token] = &first.login;
    shell.set("ACCOUNT_SID", account_sid);
    shell.set("AUTH_TOKEN", auth_token);
    shell.run(&runbook.next("/readyz"));
    shell.set("LAST_EVENT", value_of(&trail.stdout, "last_event"));
    let repeat = shell.run(&runbook.next("awk"));
    runbook.ends();
    RestoredVault {
        service,
        caller: Caller::new(&url, account_sid, auth_token),
        opened: verified.stdout.trim().rsplit_once(' ').unwrap().1.parse().unwrap(),
        to_be_repeated: repeat.stdout,
    }
}

fn assert_wrong_key_is_refused(shell: &Shell) {
    fs::write(shell.path().join("other.key"), [9; 32]).unwrap();
    shell
        .sh("chmod 0600 other.key && PUSHVAULT__KEK__FILE=other.key pushvault kek verify")
        .refused(1, &["wrong root key: this database expects kek_"]);
}

impl FirstVault {
    /// Follows the runbook of the first start.
    fn set_up(server: &Postgres) -> Self {
        let mut shell = shell_beside(server);
        let mut credential = Story::new(Kind::Fcm, "first".to_owned());
        shell.read_as("replace-me", &credential.secret(1));
        let mut runbook = Runbook::titled("First start");
        shell.run(&runbook.next("create role pushvault_owner"));
        shell.run(&runbook.next("openssl rand"));
        shell.run(&runbook.next("pushvault migrate"));
        let created = shell.run(&runbook.next("account create")).stdout;
        let login = ["account_sid", "auth_token"].map(|name| value_of(&created, name).to_owned());
        let (service, url) = serve(&shell, &runbook.next("pushvault serve"));
        let [account_sid, auth_token] = &login;
        shell.set("PUSHVAULT_URL", &url);
        shell.set("ACCOUNT_SID", account_sid);
        shell.set("AUTH_TOKEN", auth_token);
        shell.run(&runbook.next("/v2/Credentials"));
        credential.acknowledge();
        shell.run(&runbook.next("kek verify"));
        runbook.ends();
        Self {
            caller: Caller::new(&url, account_sid, auth_token),
            shell,
            service,
            login,
            credential,
        }
    }

    /// What no dump may hold: the beginning of each secret, the private key of the certificate, tokens, passwords, keys.
    fn canaries(&self) -> [Canary; 6] {
        let [_, auth_token] = &self.login;
        let root_key = fs::read(self.shell.path().join("root.key")).unwrap();
        [
            Canary::new("secret", b"secret of drill-writer"),
            Canary::new("first secret", self.credential.secret(1).as_bytes()),
            Canary::new("private key", b"-----BEGIN PRIVATE KEY-----"),
            Canary::new("auth token", auth_token.as_bytes()),
            Canary::new("password", b"vault-secret"),
            Canary::new("root key", &root_key),
        ]
    }
}

/// A shell beside a server, in which the vault takes a free port and as many requests as there are.
fn shell_beside(server: &Postgres) -> Shell {
    let shell = Shell::beside(server);
    shell.set("PUSHVAULT__SERVER__LISTEN", "127.0.0.1:0");
    shell.set("PUSHVAULT__RATE_LIMIT__ENABLED", "false");
    shell
}

/// Starts the service as the runbook says, and waits until it says where it listens.
fn serve(shell: &Shell, step: &super::support::Step) -> (Program, String) {
    let mut program = shell.start(step);
    let address = program.wait_for("an address", |program| {
        let log = program.stdout();
        let line = log.lines().find(|line| line.contains("pushvault serves"))?;
        let event: Value = serde_json::from_str(line).ok()?;
        event["address"].as_str().map(str::to_owned)
    });
    (program, format!("http://{address}"))
}

/// What stands behind a name in lines of `name: value` or `name | value`.
fn value_of<'a>(printed: &'a str, name: &str) -> &'a str {
    let mut lines = printed.lines().filter_map(|line| line.strip_prefix(name));
    let value = lines.next().unwrap_or_else(|| panic!("no {name} in {printed}"));
    value.trim_start_matches([':', '|', ' ']).trim_end()
}
