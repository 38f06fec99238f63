//! The runbooks, followed to the letter: what they tell their reader to run is run as it stands there, in a shell like
//! the reader's, and what it prints is held against what they say.

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::Postgres;
use super::program::{Ended, Program, clean, run};

const TEXT: &str = include_str!("../../../../docs/runbooks.md");

/// What the examples call the place of the database.
const PLACE: &str = "db.internal.example.com/pushvault?sslmode=verify-full";

/// What differs from one run to the next.
const ANYTHING: char = '…';

/// The commands of one runbook that have not been run yet.
pub(crate) struct Runbook {
    title: String,
    steps: VecDeque<Step>,
}

/// Commands, and what they print.
pub(crate) struct Step {
    language: String,
    commands: String,
    printed: Option<String>,
}

/// A shell in a directory of its own, which remembers what was exported.
pub(crate) struct Shell {
    directory: TempDir,
    programs: PathBuf,
    /// Where `psql` is connected to.
    address: String,
    replacements: Vec<(String, String)>,
}

impl Runbook {
    pub(crate) fn titled(title: &str) -> Self {
        let heading = format!("\n## {title}\n");
        let (_, rest) = TEXT.split_once(&heading).expect(title);
        let (section, _) = rest.split_once("\n## ").unwrap_or((rest, ""));
        let mut steps = VecDeque::<Step>::new();
        // Every second part stands between two fences; its first line is its language.
        for block in section.split("```").skip(1).step_by(2) {
            let (language, text) = block.split_once('\n').unwrap();
            if language == "text" {
                let step = steps.back_mut().expect("commands before what they print");
                step.printed = Some(text.to_owned());
            } else {
                steps.push_back(Step {
                    language: language.to_owned(),
                    commands: text.to_owned(),
                    printed: None,
                });
            }
        }
        Self {
            title: title.to_owned(),
            steps,
        }
    }

    /// The next step, which a test recognises by something that is in it.
    #[track_caller]
    pub(crate) fn next(&mut self, mark: &str) -> Step {
        let step = self
            .steps
            .pop_front()
            .unwrap_or_else(|| panic!("{} ends before {mark}", self.title));
        assert!(
            step.commands.contains(mark),
            "{}: {mark} is not in {}",
            self.title,
            step.commands
        );
        step
    }

    /// Insists that no command was left out.
    #[track_caller]
    pub(crate) fn ends(self) {
        let left: Vec<_> = self.steps.iter().map(|step| &step.commands).collect();
        assert!(left.is_empty(), "{}: nobody ran {left:?}", self.title);
    }
}

impl Shell {
    /// A shell on a machine that reaches this server.
    pub(crate) fn beside(server: &Postgres) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            programs: server.programs().to_owned(),
            address: server.url("postgres"),
            replacements: vec![(PLACE.to_owned(), server.place("pushvault"))],
        }
    }

    /// Reads this in the runbook's examples as something else from now on.
    pub(crate) fn read_as(&mut self, example: &str, reality: &str) {
        self.replacements.push((example.to_owned(), reality.to_owned()));
    }

    /// Exports a variable, as the reader would.
    pub(crate) fn set(&self, name: &str, value: &str) {
        assert!(!value.contains('\''), "{value}");
        let exported = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path().join("exported"));
        writeln!(exported.unwrap(), "export {name}='{value}'").unwrap();
    }

    /// Connects `psql` to another database than the superuser's own.
    pub(crate) fn connect(&mut self, address: &str) {
        address.clone_into(&mut self.address);
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// Takes a file along from the machine where another shell is.
    pub(crate) fn fetch(&self, name: &str, from: &Self) {
        fs::copy(from.path().join(name), self.path().join(name)).unwrap();
    }

    /// Runs a step and holds what it prints against what the runbook says.
    #[track_caller]
    pub(crate) fn run(&self, step: &Step) -> Ended {
        let ended = self.try_run(step).succeeded();
        let printed = ended.stdout.clone() + &ended.stderr;
        for line in step.printed.iter().flat_map(|text| text.lines()) {
            assert!(
                printed.lines().any(|actual| is_like(actual, line)),
                "the runbook says {line:?}, and there was: {printed}"
            );
        }
        ended
    }

    /// Runs a step that may fail.
    pub(crate) fn try_run(&self, step: &Step) -> Ended {
        let commands = self.reality_of(&step.commands);
        match step.language.as_str() {
            "sql" => self.psql(&commands),
            "sh" => self.sh(&commands),
            other => panic!("nobody knows how to run {other}"),
        }
    }

    /// Starts a step that does not end by itself.
    pub(crate) fn start(&self, step: &Step) -> Program {
        let command = self.reality_of(&step.commands);
        Program::start(self.command(&format!("exec {command}")))
    }

    /// Runs commands of the test's own in the same shell.
    pub(crate) fn sh(&self, commands: &str) -> Ended {
        run(self.command(commands))
    }

    fn psql(&self, statements: &str) -> Ended {
        fs::write(self.path().join("statements.sql"), statements).unwrap();
        self.sh(&format!(
            "psql --no-psqlrc --set=ON_ERROR_STOP=1 --dbname='{}' --file=statements.sql",
            self.address
        ))
    }

    fn command(&self, commands: &str) -> Command {
        let vault = Path::new(env!("CARGO_BIN_EXE_pushvault")).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let places = [vault, &self.programs].map(Path::to_owned);
        let path = std::env::join_paths(places.into_iter().chain(std::env::split_paths(&path)));
        let mut command = clean(Command::new("sh"));
        command
            .args(["-eu", "-c"])
            .arg(format!(
                "if [ -e exported ]; then . ./exported; fi\n{commands}\nexport -p >exported\n"
            ))
            .env("PATH", path.unwrap())
            .current_dir(self.path());
        command
    }

    fn reality_of(&self, commands: &str) -> String {
        let replacements = self.replacements.iter();
        replacements.fold(commands.to_owned(), |text, (example, reality)| {
            text.replace(example.as_str(), reality)
        })
    }
}

/// Whether a line is as the runbook has it, whatever stands for what differs.
fn is_like(actual: &str, expected: &str) -> bool {
    let mut parts = expected.split(ANYTHING);
    let begins = parts.next().unwrap_or_default();
    let Some(mut rest) = actual.strip_prefix(begins) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        (rest, last) = (after, Some(part));
    }
    // Nothing may follow but what the runbook leaves open.
    rest.is_empty() || last == Some("")
}

#[test]
fn a_line_is_compared_but_for_what_differs() {
    for (actual, expected) in [
        ("opened: 1", "opened: 1"),
        ("opened: 123", "opened: …"),
        ("{\"a\":1,\"b\":2}", "…\"b\":2…"),
    ] {
        assert!(is_like(actual, expected), "{actual} is not like {expected}");
    }
    for (actual, expected) in [
        ("opened: 12", "opened: 1"),
        ("unopened: 1", "opened: …"),
        ("{\"a\":1}", "…\"b\"…"),
    ] {
        assert!(!is_like(actual, expected), "{actual} is like {expected}");
    }
}
