//! Whoever looks into the memory of the vault from outside: another process of the same user, and the system itself after
//! a crash.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Gate;
use crate::process::support::{
    Deployment, Program, Signal, clean, copy_program, nobody, wait_for, we_are_root, wrapped,
};

#[tokio::test]
async fn no_process_of_the_same_user_looks_into_memory() {
    let deployment = Deployment::migrated();
    // Another user than root has no way to the socket.
    let gate = Gate::before_url(deployment.setting("DATABASE__URL"));
    let deployment = deployment
        .with("DATABASE__URL", gate.url())
        .with("ADMIN__LISTEN", "127.0.0.1:0");
    let program = deployment.path().join("pushvault");
    copy_program(&program);
    deployment.use_program(&program);
    let attach = attach(deployment.path());
    for file in ["", "root.key", "pushvault", "attach"] {
        give_away(&deployment.path().join(file));
    }

    let mut sleep = Command::new("sleep");
    sleep.arg("600");
    let sleep = Program::start(unprivileged(&sleep));
    let service = deployment.start(unprivileged(&deployment.command(&["serve"])));
    let look = |process: &Program| {
        let mut looking = Command::new(&attach);
        looking.arg(process.id().to_string());
        let output = unprivileged(&looking).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };

    // Yama may keep processes of one user from each other's memory; from these two it does not.
    let seen = look(&sleep);
    assert!(seen.contains("maps: open\nenviron: open\n"), "{seen}");
    assert_eq!(
        look(&service.program),
        "mem: Permission denied\nmaps: Permission denied\nenviron: Permission denied\nptrace: Operation not permitted\n"
    );

    // The vault itself still knows how it fares.
    let metrics = reqwest::get(format!("http://{}/metrics", service.admin.as_ref().unwrap()));
    let metrics = metrics.await.unwrap().text().await.unwrap();
    for figure in ["process_open_fds", "process_resident_memory_bytes"] {
        assert!(metrics.contains(&format!("\n{figure} ")), "{metrics}");
    }
    service.stop();
}

#[test]
fn no_crash_leaves_the_memory_in_a_file() {
    let deployment = Deployment::migrated();
    for (signal, number) in [(Signal::Abort, 6), (Signal::Fault, 11)] {
        let directory = tempfile::tempdir().unwrap();
        let serve = deployment.command(&["serve"]);
        let mut command = clean(Command::new("sh"));
        command
            .args(["-c", r#"ulimit -S -c "$(ulimit -H -c)" && exec "$@""#, "sh"])
            .current_dir(directory.path());
        let mut service = deployment.start(wrapped(command, &serve));
        let limits = fs::read_to_string(format!("/proc/{}/limits", service.program.id())).unwrap();
        let cores = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
        assert_eq!(
            cores.map(|cores| cores.split_whitespace().collect()),
            Some(vec!["0", "0", "bytes"])
        );

        // The first of some signals ends at a handler that says what has happened and leaves the next to the system.
        wait_for("the end", || {
            signal.send(&[service.program.id()]);
            (!service.program.is_running()).then_some(())
        });
        let status = service.program.wait();
        assert_eq!((status.signal(), status.core_dumped()), (Some(number), false));
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// The helper, made on the spot.
fn attach(directory: &Path) -> PathBuf {
    let program = directory.join("attach");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/process/memory/attach.c");
    let mut compiler = clean(Command::new("cc"));
    compiler
        .args(["-Wall", "-Wextra", "-Werror", "-O1", "-o"])
        .arg(&program)
        .arg(source);
    let output = compiler.output().expect("a C compiler, `cc`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// A command as another user than root.
fn unprivileged(command: &Command) -> Command {
    if !we_are_root() {
        return wrapped(clean(Command::new("env")), command);
    }
    let (user, group) = nobody();
    let mut setpriv = clean(Command::new("setpriv"));
    setpriv.args([&format!("--reuid={user}"), &format!("--regid={group}")]);
    setpriv.arg("--clear-groups");
    wrapped(setpriv, command)
}

fn give_away(path: &Path) {
    if we_are_root() {
        let (user, group) = nobody();
        chown(path, Some(user), Some(group)).unwrap();
    }
}
