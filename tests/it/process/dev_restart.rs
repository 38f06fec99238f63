//! How `pushvault dev` ends, what it leaves, and what the next start finds.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use data_encoding::BASE64;

use super::support::{DataDirectory, DevVault, Program, Signal, pushvault, run, wait_for};

#[tokio::test]
async fn either_signal_stops_both_and_a_restart_keeps_account_and_data() {
    let directory = DataDirectory::new();
    let vault = DevVault::start(&directory);
    let first = vault.environment.clone();
    let sid = first.caller().register("before-the-restart").await;
    vault.stop(Signal::Interrupt, &directory);
    assert!(
        !directory.join("dev.env").exists(),
        "dev.env tells of a vault that has stopped"
    );

    let vault = DevVault::start(&directory);
    let second = vault.environment.clone();
    assert_eq!(
        (&second.account_sid, &second.auth_token),
        (&first.account_sid, &first.auth_token)
    );
    let answer = second.caller().fetch(&sid).await;
    assert_eq!(
        (answer.status, answer.text("friendly_name")),
        (200, "before-the-restart")
    );
    vault.stop(Signal::Terminate, &directory);
}

#[tokio::test]
async fn a_vault_that_is_killed_takes_postgres_along_and_the_next_start_recovers() {
    let directory = DataDirectory::new();
    let mut vault = DevVault::start(&directory);
    let first = vault.environment.clone();
    for signal in [Signal::Kill, Signal::HangUp] {
        let sid = vault.environment.caller().register("before-the-kill").await;
        assert!(!directory.postgres().is_empty());
        let status = vault.program.end_by(signal);
        assert_eq!(status.code(), None, "{signal:?} ends it from outside");
        directory.wait_until_down();

        vault = DevVault::start(&directory);
        let again = &vault.environment;
        assert_eq!(
            (&again.account_sid, &again.auth_token),
            (&first.account_sid, &first.auth_token)
        );
        assert_eq!(again.caller().fetch(&sid).await.status, 200, "{signal:?}");
    }
    // This time the next start does not wait until Postgres is down: it has to do so itself.
    vault.program.end_by(Signal::Kill);
    DevVault::start(&directory).stop(Signal::Interrupt, &directory);
}

#[test]
fn a_first_start_that_is_killed_is_begun_again() {
    let directory = DataDirectory::new();
    let mut program = Program::start(directory.command());
    wait_until_postgres_is_made(&mut program, &directory);
    program.end_by(Signal::Kill);
    DevVault::start(&directory).stop(Signal::Interrupt, &directory);
}

#[test]
fn a_ctrl_c_while_it_starts_is_not_lost() {
    let directory = DataDirectory::new();
    let mut program = Program::start(directory.command());
    wait_until_postgres_is_made(&mut program, &directory);
    assert_eq!(
        program.end_by(Signal::Interrupt).code(),
        Some(0),
        "{}",
        program.stderr()
    );
    assert!(directory.is_down(), "{:?}", directory.postgres());
    DevVault::start(&directory).stop(Signal::Interrupt, &directory);
}

#[tokio::test]
async fn a_second_start_is_refused_and_does_not_disturb_the_first() {
    let directory = DataDirectory::new();
    let vault = DevVault::start(&directory);
    let before = fs::read(directory.join("dev.env")).unwrap();

    let path = directory.path().to_string_lossy();
    run(directory.command()).refused(1, &[&*path, "in use by another `pushvault dev`", "--data-dir"]);

    assert_eq!(fs::read(directory.join("dev.env")).unwrap(), before);
    vault.environment.caller().register("after-the-refusal").await;
    vault.stop(Signal::Interrupt, &directory);
}

#[test]
fn while_it_starts_nobody_finds_the_file_of_the_last_run() {
    let directory = DataDirectory::new();
    let mut vault = DevVault::start(&directory);
    let first = vault.environment.clone();
    vault.program.end_by(Signal::Kill);
    directory.wait_until_down();
    assert!(
        directory.join("dev.env").exists(),
        "a killed vault cannot take its file away"
    );

    // Whoever holds this lock looks like a Postgres that has not ended yet: the start waits for it, and we can look.
    let lock = OpenOptions::new()
        .write(true)
        .open(directory.join("postgres.lock"))
        .unwrap();
    lock.lock().unwrap();
    let mut program = Program::start(directory.command());
    program.wait_for("the file set aside", |_| {
        directory.join("dev.env.last").exists().then_some(())
    });
    assert!(!directory.join("dev.env").exists());
    // A start that is killed here must not cost the account either.
    program.end_by(Signal::Kill);
    let program = Program::start(directory.command());
    assert!(!directory.join("dev.env").exists());
    drop(lock);

    let vault = DevVault::ready(program, &directory);
    assert_eq!(vault.environment.auth_token, first.auth_token);
    assert!(!directory.join("dev.env.last").exists());
    vault.stop(Signal::Interrupt, &directory);
}

#[test]
fn a_port_in_use_is_told_and_leaves_nothing_behind() {
    let directory = DataDirectory::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = pushvault();
    command
        .args(["dev", "--listen", &address, "--data-dir"])
        .arg(directory.path());
    run(command).refused(1, &["cannot listen on", &address, "--listen", "in use"]);
    assert!(directory.is_down(), "{:?}", directory.postgres());
}

#[test]
fn a_request_under_way_is_finished_and_an_idle_connection_is_not_waited_for() {
    let directory = DataDirectory::new();
    let mut vault = DevVault::start(&directory);
    let address = vault.environment.url.strip_prefix("http://").unwrap().to_owned();
    let mut idle = TcpStream::connect(&address).unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_ne!(idle.read(&mut [0; 1024]).unwrap(), 0);

    let mut busy = TcpStream::connect(&address).unwrap();
    busy.write_all(head_of_a_create(&vault).as_bytes()).unwrap();
    // The interim answer proves that the request is being worked on.
    let mut interim = [0; 25];
    busy.read_exact(&mut interim).unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"), "{interim:?}");
    Signal::Interrupt.send(&[vault.program.id()]);
    wait_for("a listener that is closed", || {
        TcpStream::connect(&address).is_err().then_some(())
    });
    busy.write_all(b"Type=fcm").unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(vault.program.wait().code(), Some(0));
    assert!(directory.is_down());
}

/// All of a create but its body, which is eight bytes long.
fn head_of_a_create(vault: &DevVault) -> String {
    let environment = &vault.environment;
    let login = format!("{}:{}", environment.account_sid, environment.auth_token);
    format!(
        "POST /v2/Credentials HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n",
        BASE64.encode(login.as_bytes())
    )
}

/// Waits until a first start is busy with `initdb`, or just over it.
fn wait_until_postgres_is_made(program: &mut Program, directory: &DataDirectory) {
    let home = directory.join("postgres");
    program.wait_for("an initdb at work", |_| {
        let at_work = home.join("data.new").exists() || home.join("data").exists();
        at_work.then_some(())
    });
}
