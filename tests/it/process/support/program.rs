//! One run of a program: started, watched, signalled by its process id, and never left behind.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up on it: long enough for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(10);

/// What would configure the program or its helpers from the environment of whoever runs the tests.
const FOREIGN_VARIABLES: [&str; 5] = ["PUSHVAULT", "TWILIO", "PG", "http_proxy", "HTTP_PROXY"];

/// The signals that end a program, and the one that only stops it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    /// What Ctrl-C sends.
    Interrupt,
    /// What service managers send.
    Terminate,
    /// What a closed terminal sends.
    HangUp,
    /// What a program sends itself when it gives up.
    Abort,
    /// What the system sends one that reaches for memory that is not there.
    Fault,
    /// What cannot be refused.
    Kill,
    /// What lays a program to rest in the middle of whatever it does.
    Stop,
}

/// A program that runs. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    output: TempDir,
}

/// A program that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program under test.
pub(crate) const PUSHVAULT: &str = env!("CARGO_BIN_EXE_pushvault");

/// The program under test, with no setting from the environment.
pub(crate) fn pushvault() -> Command {
    clean(Command::new(PUSHVAULT))
}

/// Puts the program under test in a place that every user can reach. Another process writes the copy: what this one has
/// open for writing is open for a moment in every child that another test starts meanwhile, and until then the system
/// does not run the copy ("Text file busy").
pub(crate) fn copy_program(to: &Path) {
    let mut copy = clean(Command::new("cp"));
    copy.arg(PUSHVAULT).arg(to);
    run(copy).succeeded();
}

/// A command without the variables that would configure it by accident.
pub(crate) fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if FOREIGN_VARIABLES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command that ends by itself.
pub(crate) fn run(command: Command) -> Ended {
    let mut program = Program::start(command);
    program.wait();
    program.ended()
}

/// Looks again and again until there is something to see.
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    look_until(PATIENCE, look).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Asks again and again until the answer is yes.
pub(crate) async fn wait_until(what: &str, ask: impl AsyncFn() -> bool) {
    let asked = async {
        while !ask().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain until {what}"));
}

/// Looks again and again, but not for longer than that.
pub(crate) fn look_until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= end {
            return found;
        }
        thread::sleep(PAUSE);
    }
}

impl Signal {
    pub(crate) fn send(self, processes: &[u32]) {
        let name = match self {
            Self::Interrupt => "INT",
            Self::Terminate => "TERM",
            Self::HangUp => "HUP",
            Self::Abort => "ABRT",
            Self::Fault => "SEGV",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
        };
        // Every shell can send signals, while the program `kill` is not on every machine.
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"kill -s "$@""#, "sh", name]);
        shell.args(processes.iter().map(u32::to_string));
        // A process may have ended by itself in the meantime, which is no reason to fail.
        let _status = shell.stderr(Stdio::null()).status().unwrap();
    }
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        let output = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(output.path().join(name)).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        Self { child, output }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn stdout(&self) -> String {
        self.read("stdout")
    }

    pub(crate) fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// Sends a signal and waits until the program has ended.
    pub(crate) fn end_by(&mut self, signal: Signal) -> ExitStatus {
        signal.send(&[self.id()]);
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        match look_until(PATIENCE, || self.child.try_wait().unwrap()) {
            Some(status) => status,
            None => panic!("still runs after {PATIENCE:?}:\n{}{}", self.stdout(), self.stderr()),
        }
    }

    /// Waits for something that the program prints or does; fails at once when the program has ended instead.
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        wait_for(what, || {
            let running = self.is_running();
            let found = look(self);
            assert!(
                running || found.is_some(),
                "ended before there was {what}:\n{}{}",
                self.stdout(),
                self.stderr()
            );
            found
        })
    }

    pub(crate) fn ended(&mut self) -> Ended {
        Ended {
            code: self.wait().code(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    fn read(&self, name: &str) -> String {
        let path: PathBuf = self.output.path().join(name);
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Neither fails in a way that could be mended: the program has ended already, or it ends now.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Ended {
    /// Insists that the program succeeded.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Insists that the program ended with `code` and told why on standard error, with every one of these words.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in: {}", self.stderr);
        }
        self
    }

    /// The JSON document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}
