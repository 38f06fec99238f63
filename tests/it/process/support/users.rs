//! Who runs the tests, and who else could run a program.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use super::program::clean;

pub(crate) fn we_are_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The numbers of the user `nobody` and of its group.
pub(crate) fn nobody() -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let nobody = passwd.lines().find(|line| line.starts_with("nobody:")).unwrap();
    let mut numbers = nobody.split(':').skip(2).map(|text| text.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// A program whose memory may be read, although it keeps it to itself: by root, or by whoever made the namespace of
/// users that it runs in.
pub(crate) fn readable(command: Command) -> Command {
    if we_are_root() {
        return command;
    }
    let mut unshare = clean(Command::new("unshare"));
    unshare.args(["--user", "--map-root-user"]);
    wrapped(unshare, &command)
}

/// A command by way of another, with its environment.
pub(crate) fn wrapped(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapper.env(name, value);
        }
    }
    wrapper
}
