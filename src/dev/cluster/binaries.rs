//! Where the server programs of this machine are, and which of several to take.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::ClusterError;
use super::machine;
use super::runner::{self, Runner};

/// The oldest major version that will do.
pub(super) const OLDEST: u32 = 14;

const LOOKED_AT: &str = "the directory that pg_config names, /usr/lib/postgresql/*/bin, \
     /opt/homebrew/opt/postgresql@*/bin, /usr/local/opt/postgresql@*/bin, /usr/pgsql-*/bin and the search path";
/// What the cluster needs at run time. Distributions have packages with only some of them.
const PROGRAMS: [&str; 5] = ["initdb", "postgres", "pg_ctl", "pg_isready", "psql"];
/// The programs whose presence shows that a directory was meant to be one of a server.
const SIGNS_OF_A_SERVER: [&str; 2] = ["initdb", "postgres"];

/// The programs of one Postgres.
#[derive(Debug)]
pub(super) struct Binaries {
    directory: PathBuf,
    major: u32,
}

/// What was found when nothing would do.
#[derive(Debug)]
pub(super) struct NoneSuitable {
    passed_over: Vec<String>,
}

impl Binaries {
    /// The first programs that will do: of the major version `wanted`, or of any that is new enough.
    pub(super) fn find(runner: Runner, wanted: Option<u32>) -> Result<Self, NoneSuitable> {
        choose(candidates(runner), wanted, |directory| inspect(runner, directory))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn major(&self) -> u32 {
        self.major
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl NoneSuitable {
    /// The error for a cluster that is yet to be created.
    pub(super) fn for_any(self) -> ClusterError {
        ClusterError::NoServer {
            oldest: OLDEST,
            looked_at: LOOKED_AT,
            programs: PROGRAMS.join(", "),
            passed_over: self.in_words(),
        }
    }

    /// The error for the cluster in `directory`, which was created by `major`.
    pub(super) fn for_cluster(self, directory: &Path, major: u32) -> ClusterError {
        ClusterError::OtherMajor {
            directory: directory.to_owned(),
            major,
            passed_over: self.in_words(),
        }
    }

    fn in_words(&self) -> String {
        if self.passed_over.is_empty() {
            "there was none at all".to_owned()
        } else {
            format!("passed over: {}", self.passed_over.join(", "))
        }
    }
}

fn choose(
    candidates: impl IntoIterator<Item = PathBuf>,
    wanted: Option<u32>,
    inspect: impl Fn(&Path) -> Result<u32, String>,
) -> Result<Binaries, NoneSuitable> {
    let mut passed_over = Vec::new();
    for directory in candidates {
        let reason = match inspect(&directory) {
            Ok(major) if major >= OLDEST && wanted.is_none_or(|wanted| wanted == major) => {
                return Ok(Binaries { directory, major });
            }
            Ok(major) => format!("PostgreSQL {major}"),
            Err(reason) => reason,
        };
        passed_over.push(format!("{} ({reason})", directory.display()));
    }
    Err(NoneSuitable { passed_over })
}

/// The major version of the programs in a directory, or why they will not do.
fn inspect(runner: Runner, directory: &Path) -> Result<u32, String> {
    for program in PROGRAMS {
        if !directory.join(program).is_file() {
            return Err(format!("{program} is missing"));
        }
    }
    // This also shows whether the user who is going to run Postgres may run programs from there.
    let mut command = runner.command(directory.join("postgres"));
    let output = runner::output_of(command.arg("--version"))
        .map_err(|_| "may not be run by the user that Postgres runs as".to_owned())?;
    major_of(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| "does not tell its version".to_owned())
}

/// Every directory that looks like one of a server, best first.
fn candidates(runner: Runner) -> Vec<PathBuf> {
    let mut places = Vec::new();
    places.extend(named_by_pg_config(runner));
    places.extend(newest_first(Path::new("/usr/lib/postgresql"), ""));
    for homebrew in ["/opt/homebrew/opt", "/usr/local/opt"].map(Path::new) {
        places.extend(newest_first(homebrew, "postgresql@"));
        places.push(homebrew.join("postgresql/bin"));
    }
    places.extend(newest_first(Path::new("/usr"), "pgsql-"));
    places.extend(machine::search_directories());

    let mut candidates: Vec<PathBuf> = Vec::new();
    for place in places {
        let server = SIGNS_OF_A_SERVER.iter().any(|sign| place.join(sign).is_file());
        if server && !candidates.contains(&place) {
            candidates.push(place);
        }
    }
    candidates
}

fn named_by_pg_config(runner: Runner) -> Option<PathBuf> {
    let mut command = runner.command("pg_config");
    let output = command.arg("--bindir").output().ok()?;
    let directory = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    (output.status.success() && directory.is_absolute()).then_some(directory)
}

/// `parent/<prefix><major>/bin` for every major version that is there.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name();
            let major = leading_number(name.to_str()?.strip_prefix(prefix)?)?;
            Some((major, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|one, other| other.cmp(one));
    versions.into_iter().map(|(_, path)| path).collect()
}

/// The major version in what `postgres --version` prints.
fn major_of(version: &str) -> Option<u32> {
    let (_, number) = version.split_once("(PostgreSQL) ")?;
    leading_number(number)
}

/// The number at the beginning of a version such as `16.3`, `17beta1` or `9.6`.
pub(super) fn leading_number(text: &str) -> Option<u32> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{NoneSuitable, choose, leading_number, major_of};

    #[test]
    fn a_version_is_read_whatever_its_suffix() {
        for (version, major) in [
            ("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n", 15),
            ("postgres (PostgreSQL) 17beta1\n", 17),
            ("postgres (PostgreSQL) 18devel", 18),
            ("postgres (PostgreSQL) 9.6.24", 9),
        ] {
            assert_eq!(major_of(version), Some(major));
        }
        assert_eq!(major_of("psql 15"), None);
        assert_eq!(leading_number("x15"), None);
        assert_eq!(leading_number("99999999999"), None);
    }

    fn choose_from(installed: &[(&str, u32)], wanted: Option<u32>) -> Result<(PathBuf, u32), NoneSuitable> {
        let places = installed.iter().map(|(place, _)| PathBuf::from(place));
        let chosen = choose(places, wanted, |directory| {
            installed
                .iter()
                .find(|(place, _)| Path::new(place) == directory)
                .map(|(_, major)| *major)
                .ok_or_else(|| "not there".to_owned())
        })?;
        Ok((chosen.directory, chosen.major))
    }

    #[test]
    fn the_first_that_is_new_enough_is_taken() {
        let chosen = choose_from(&[("/a", 13), ("/b", 15), ("/c", 17)], None);
        assert_eq!(chosen.ok(), Some(("/b".into(), 15)));
    }

    #[test]
    fn an_existing_cluster_gets_its_own_version() {
        let chosen = choose_from(&[("/a", 13), ("/b", 15), ("/c", 17)], Some(17));
        assert_eq!(chosen.ok(), Some(("/c".into(), 17)));
    }

    #[test]
    fn what_was_passed_over_is_named_with_what_to_install() {
        let missing = choose_from(&[("/a", 13)], None).err();
        let message = missing.map(|missing| missing.for_any().to_string());
        let message = message.unwrap_or_default();
        assert!(message.contains("/a (PostgreSQL 13)"), "{message}");
        assert!(message.contains("apt-get install postgresql"), "{message}");

        let missing = choose_from(&[("/b", 15)], Some(14)).err();
        let message = missing.map(|missing| missing.for_cluster(Path::new("/data"), 14).to_string());
        let message = message.unwrap_or_default();
        assert!(message.contains("`/data` was created by PostgreSQL 14"), "{message}");
        assert!(message.contains("/b (PostgreSQL 15)"), "{message}");
    }
}
