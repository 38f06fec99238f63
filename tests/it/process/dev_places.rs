//! Where a data directory may be, and who may use it.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use super::support::{DataDirectory, DevVault, Signal, clean, copy_program, nobody, run, we_are_root};

/// Everything in it means something else to a shell, to TOML, to an address or to Postgres.
const AWKWARD: &str = "it's \"my\" vault, $HOME; `a`\\b %41 #ü";

/// Registers a credential by the printed line, which stands for all that a name could break.
fn paste_and_stop(vault: DevVault, directory: &DataDirectory) {
    let mut shell = clean(Command::new("sh"));
    shell.arg("-c").arg(vault.printed_line());
    let credential = run(shell).succeeded().json();
    assert_eq!(credential["account_sid"], vault.environment.account_sid.as_str());
    directory.operate(&["account", "list"]).succeeded();
    vault.stop(Signal::Interrupt, directory);
}

#[test]
fn a_name_with_blanks_and_quotes_is_a_name() {
    let directory = DataDirectory::named(AWKWARD);
    paste_and_stop(DevVault::start(&directory), &directory);
    paste_and_stop(DevVault::start(&directory), &directory);
}

#[test]
fn below_a_directory_that_others_may_not_enter_root_keeps_postgres_elsewhere() {
    let directory = DataDirectory::new();
    let vault = DevVault::start(&directory);
    let parent = directory.path().parent().unwrap().metadata().unwrap();
    assert_eq!(parent.mode() & 0o777, 0o700);

    let postgres = directory.join("postgres");
    let home = postgres.metadata().unwrap();
    assert_eq!(home.mode() & 0o777, 0o700);
    assert_ne!(home.uid(), 0, "Postgres does not run as root");
    // Only the superuser cannot take the own directory, because Postgres runs as somebody else then.
    assert_eq!(postgres.is_symlink(), we_are_root());
    paste_and_stop(vault, &directory);
}

#[test]
fn where_everybody_may_go_postgres_stays_in_the_data_directory() {
    let directory = DataDirectory::new().open_to_all();
    fs::create_dir(directory.path()).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let vault = DevVault::start(&directory);
    assert!(!directory.join("postgres").is_symlink());
    assert_eq!(directory.join("postgres").metadata().unwrap().mode() & 0o777, 0o700);
    paste_and_stop(vault, &directory);
}

#[test]
fn another_user_than_root_needs_no_privilege() {
    for name in ["data", AWKWARD] {
        let directory = DataDirectory::named(name).open_to_all();
        let command = if we_are_root() {
            directory.command_of(as_nobody(directory.path()))
        } else {
            directory.command()
        };
        let vault = DevVault::start_with(command, &directory);
        assert!(!directory.join("postgres").is_symlink());
        let owner = directory.join("root.key").metadata().unwrap().uid();
        assert_ne!(owner, 0);
        assert_eq!(directory.join("postgres").metadata().unwrap().uid(), owner);
        paste_and_stop(vault, &directory);
    }
}

/// The program as the user `nobody`, with a copy of it that this user can reach and a data directory that is theirs.
fn as_nobody(data_directory: &Path) -> Command {
    let (user, group) = nobody();
    let program = data_directory.parent().unwrap().join("pushvault");
    copy_program(&program);
    fs::create_dir(data_directory).unwrap();
    chown(data_directory, Some(user), Some(group)).unwrap();

    let mut command = clean(Command::new("setpriv"));
    command
        .args([&format!("--reuid={user}"), &format!("--regid={group}")])
        .args([OsStr::new("--clear-groups"), program.as_os_str()]);
    command
}
