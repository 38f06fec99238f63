//! Who runs Postgres: this process's own user, or somebody else when that is root, whom Postgres refuses.
//!
//! Privileges are dropped by the standard library between fork and exec (supplementary groups, group, user). That
//! needs neither `setpriv`, which only Linux has, nor `su` or `runuser`, which stay between us and the process they
//! start.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, Metadata};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::error::ClusterError;
use super::machine;

const PASSWD: &str = "/etc/passwd";
const ROOT: u32 = 0;
/// The users to run Postgres as in place of root, best first.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The user as whom Postgres and its programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    /// The user of this process, which is not root.
    Ourselves(User),
    /// Somebody else, because this process is root.
    InPlaceOfRoot(User),
}

/// A user and the user's first group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    uid: u32,
    gid: u32,
}

/// What a user may want to do with a directory.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    Enter,
    Write,
}

impl Runner {
    /// The user to run a new cluster as.
    pub(super) fn for_this_process() -> Result<Self, ClusterError> {
        let user = User {
            uid: own_number("-u")?,
            gid: own_number("-g")?,
        };
        if user.uid != ROOT {
            return Ok(Self::Ourselves(user));
        }
        let passwd = fs::read(PASSWD).map_err(ClusterError::file("read", Path::new(PASSWD)))?;
        unprivileged(&String::from_utf8_lossy(&passwd))
            .map(Self::InPlaceOfRoot)
            .ok_or(ClusterError::NoUnprivilegedUser)
    }

    /// The user to run an existing cluster as, which is its owner: Postgres opens no other's files.
    pub(super) fn for_owner(self, path: &Path, metadata: &Metadata) -> Result<Self, ClusterError> {
        let owner = User {
            uid: metadata.uid(),
            gid: metadata.gid(),
        };
        match self {
            Self::InPlaceOfRoot(_) if owner.uid != ROOT => Ok(Self::InPlaceOfRoot(owner)),
            Self::Ourselves(user) if owner.uid == user.uid => Ok(self),
            Self::InPlaceOfRoot(user) | Self::Ourselves(user) => Err(ClusterError::OtherOwner {
                path: path.to_owned(),
                owner: owner.uid,
                uid: user.uid,
            }),
        }
    }

    pub(super) fn uid(self) -> u32 {
        match self {
            Self::Ourselves(user) | Self::InPlaceOfRoot(user) => user.uid,
        }
    }

    /// A command that runs as this user.
    ///
    /// It gets an empty environment: ours may hold secrets, which Postgres must not see, and variables such as
    /// `PGOPTIONS`, which it must not follow. Postgres on macOS does not start without a locale.
    pub(super) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", machine::search_path())
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        if let Self::InPlaceOfRoot(user) = self {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Whether this user may do that, which only the system can say, as that user.
    pub(super) fn may(self, access: Access, directory: &Path) -> Result<bool, ClusterError> {
        let test = match access {
            Access::Enter => "cd \"$1\"",
            Access::Write => "cd \"$1\" && test -w .",
        };
        let mut command = self.command("sh");
        command.args(["-c", test, "sh"]).arg(directory);
        Ok(output_of(&mut command)?.status.success())
    }

    /// Creates a directory that only this user can look into.
    pub(super) fn create_directory(self, path: &Path) -> Result<(), ClusterError> {
        DirBuilder::new()
            .mode(0o700)
            .create(path)
            .map_err(ClusterError::file("create", path))?;
        if let Self::InPlaceOfRoot(user) = self {
            lchown(path, Some(user.uid), Some(user.gid)).map_err(ClusterError::file("give away", path))?;
        }
        Ok(())
    }
}

/// Runs a command to its end.
pub(super) fn output_of(command: &mut Command) -> Result<Output, ClusterError> {
    command.output().map_err(|source| ClusterError::Program {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })
}

/// The number of this process's user or group. The standard library does not tell, but every Unix has `id`.
fn own_number(option: &str) -> Result<u32, ClusterError> {
    let mut command = Command::new("id");
    let output = output_of(command.arg(option).stdin(Stdio::null()))?;
    number(String::from_utf8_lossy(&output.stdout).trim()).ok_or_else(|| ClusterError::Program {
        program: "id".to_owned(),
        source: std::io::ErrorKind::InvalidData.into(),
    })
}

/// The best of the unprivileged users in a file such as `/etc/passwd`.
fn unprivileged(passwd: &str) -> Option<User> {
    UNPRIVILEGED.iter().find_map(|wanted| {
        passwd
            .lines()
            .filter_map(parse_user)
            .find_map(|(name, user)| (name == *wanted && user.uid != ROOT).then_some(user))
    })
}

fn parse_user(line: &str) -> Option<(&str, User)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let uid = number(fields.nth(1)?)?;
    let gid = number(fields.next()?)?;
    Some((name, User { uid, gid }))
}

/// A user's or group's number. macOS writes that of `nobody` as -2.
fn number(text: &str) -> Option<u32> {
    text.parse::<u32>()
        .or_else(|_| text.parse::<i32>().map(i32::cast_unsigned))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{Runner, User, unprivileged};

    const ROOT_LINE: &str = "root:x:0:0:root:/root:/bin/bash\n";
    const NOBODY_LINE: &str = "nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n";
    const POSTGRES_LINE: &str = "postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn postgres_goes_before_nobody() {
        let both = format!("{ROOT_LINE}{NOBODY_LINE}{POSTGRES_LINE}");
        assert_eq!(unprivileged(&both), Some(User { uid: 101, gid: 104 }));
        let one = format!("{ROOT_LINE}{NOBODY_LINE}");
        let nobody = User { uid: 65534, gid: 65533 };
        assert_eq!(unprivileged(&one), Some(nobody));
        assert_eq!(unprivileged(ROOT_LINE), None);
    }

    #[test]
    fn the_nobody_of_macos_is_understood() {
        let passwd = "##\n# User Database\n##\nnobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n";
        let nobody = User {
            uid: u32::MAX - 1,
            gid: u32::MAX - 1,
        };
        assert_eq!(unprivileged(passwd), Some(nobody));
    }

    #[test]
    fn a_line_that_makes_no_sense_or_names_root_is_passed_over() {
        assert_eq!(
            unprivileged("postgres\npostgres:x:a:b\nnobody:x:0:0::/:/bin/sh\n"),
            None
        );
    }

    #[test]
    fn a_program_gets_no_variable_but_two() {
        let command = Runner::Ourselves(User { uid: 1, gid: 1 }).command("true");
        let names: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["LC_ALL", "PATH"]);
    }
}
