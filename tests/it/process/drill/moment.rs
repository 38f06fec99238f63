//! A base backup and the write-ahead log: everything as it was at a moment, and nothing of what came after.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use pushvault::dev::cluster::Durability;

use super::copy::Contents;
use super::{FirstVault, STEPS_BESIDE, WRITERS};
use crate::process::load::{Crew, Evidence, Random};
use crate::process::support::{Postgres, Runbook, Shell, Signal, wait_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_restored_to_the_moment_before_an_accident() {
    let mut random = Random::seeded();
    let archive = tempfile::tempdir().unwrap();
    // Postgres is another user where this process is root.
    fs::set_permissions(archive.path(), Permissions::from_mode(0o777)).unwrap();
    let mut runbook = Runbook::titled("Restore to a moment");
    let old = Postgres::start(Durability::ForgetOnCrash);
    let mut shell = Shell::beside(&old);
    shell.read_as("/srv/archive", archive.path().to_str().unwrap());
    shell.run(&runbook.next("archive_mode"));
    let old = Postgres::start_in(old.stop(), Durability::ForgetOnCrash);
    let mut first = FirstVault::set_up(&old);

    let crew = Crew::start("moment", WRITERS, &[first.caller.clone()], &mut random);
    crew.wait_until(STEPS_BESIDE);
    shell.run(&runbook.next("pg_basebackup"));
    crew.wait_until(crew.acknowledged() + STEPS_BESIDE);
    let mut stories = crew.call_off().await.stories;
    let source = old.database("pushvault").await;
    let before = Contents::of(&source).await;
    let moment: String = source.value("select clock_timestamp()::text").await;
    source.execute("update credentials set deleted_at = now()").await;
    shell.run(&runbook.next("pg_switch_wal"));
    wait_for("the archive", || {
        let waiting = fs::read_dir(old.files().join("data/pg_wal/archive_status")).unwrap();
        let names = waiting.map(|entry| entry.unwrap().file_name());
        (!names.into_iter().any(|name| name.to_string_lossy().ends_with(".ready"))).then_some(())
    });
    assert_eq!(first.service.end_by(Signal::Terminate).code(), Some(0));

    shell.set("MOMENT", &moment);
    shell.run(&runbook.next("recovery.signal"));
    let new = start_on(&shell, &old);
    let after = Shell::beside(&new);
    after.fetch("root.key", &first.shell);
    let mut restore = Runbook::titled("Restore");
    // The roles came along.
    restore.next("create role pushvault_owner");
    after.run(&restore.next("owner.url"));
    after.run(&runbook.next("pg_is_in_recovery"));
    runbook.ends();
    restore.next("pg_restore");
    after.run(&restore.next("pushvault migrate"));
    after.run(&restore.next("kek verify"));
    after.run(&restore.next("versions_without_their_event"));
    after.run(&restore.next("audit verify"));
    let copy = new.database("pushvault").await;
    before.assert_same(&Contents::of(&copy).await);
    let evidence = Evidence::collect(&copy, &after.path().join("root.key")).await;
    evidence.agrees_with_itself();
    stories.push(first.credential);
    assert_eq!(evidence.settle(&mut stories), 0);
}

/// Starts a server on what the runbook made, as the user to whom the other server belongs.
fn start_on(shell: &Shell, old: &Postgres) -> Postgres {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o711)).unwrap();
    let files = directory.path().join("postgres");
    DirBuilder::new().mode(0o700).create(&files).unwrap();
    shell
        .sh(&format!(
            "mv data '{0}' && chown -R --reference='{1}' '{0}'",
            files.display(),
            old.files().display()
        ))
        .succeeded();
    Postgres::start_in(directory, Durability::ForgetOnCrash)
}
