//! A Postgres that a test owns: it is killed and started again, its disk fills up, its clock jumps.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::harness::ReservedPort;
use crate::process::support::{Database, Deployment, PASSWORD, Process, Signal, clean, wait_for};

/// Starts what it is given and ends it, in a hurry but in good order, when nobody holds its standard input any more.
const KEEPER: &str =
    r#""$@" </dev/null >>log 2>&1 & child=$!; read -r _; kill -s INT "$child" 2>/dev/null; wait "$child""#;

/// The same, and starts it again whenever it ends, as a service manager does.
const MANAGER: &str = r#"
    exec 3<&0
    (read -r _; : >over; while :; do kill -s INT "$(head -n 1 data/postmaster.pid)"; sleep 0.2; done) <&3 2>/dev/null &
    watcher=$!
    while [ ! -e over ]; do "$@" </dev/null >>log 2>&1; sleep 0.2; done
    kill "$watcher"
"#;

/// Nothing here waits for the disk: what the system has taken survives the end of any process.
const SETTINGS: [&str; 5] = [
    "fsync=off",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=16MB",
    "max_connections=40",
];

/// A cluster that was initialised once, to be copied.
static TEMPLATE: LazyLock<Home> = LazyLock::new(|| {
    let home = Home::new();
    let password = home.path().join("password");
    fs::write(&password, PASSWORD).unwrap();
    home.give(&password);
    // Small segments: the log that fills a disk is soon at the end of one.
    let options = "--username=pushvault --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync --wal-segsize=1";
    let mut initdb = home.command(&program("initdb"));
    initdb.args(options.split(' ')).arg("--pgdata").arg(home.data());
    succeed(initdb.arg("--pwfile").arg(&password));
    home
});

/// A server. It ends with this value, and with the process that has it.
pub(super) struct Postgres {
    home: Home,
    port: ReservedPort,
    variables: BTreeMap<String, String>,
    /// A script that mounts file systems for this server alone.
    mounts: Option<String>,
    keeper: &'static str,
    running: Option<(Child, ChildStdin)>,
}

/// A directory of the user as whom Postgres runs: root's is somebody else's.
pub(super) struct Home {
    directory: TempDir,
    user: u32,
    group: u32,
}

impl Postgres {
    /// A server that does not run yet, with an empty database `postgres`.
    pub(super) fn new() -> Self {
        let home = Home::new();
        let mut copy = home.command(Path::new("cp"));
        // The one who copies cannot enter the template, unless it is the same user, which it is.
        succeed(copy.arg("-R").arg(TEMPLATE.data()).arg(home.data()));
        Self {
            home,
            port: ReservedPort::new(),
            variables: BTreeMap::new(),
            mounts: None,
            keeper: KEEPER,
            running: None,
        }
    }

    /// Runs with a variable in its environment.
    pub(super) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Runs where a script has mounted file systems that nobody else sees. `$1` is the home, `$2` and `$3` user and group.
    pub(super) fn with_mounts(mut self, script: &str) -> Self {
        self.mounts = Some(script.to_owned());
        self
    }

    /// Is started again whenever it ends.
    pub(super) fn kept_running(mut self) -> Self {
        self.keeper = MANAGER;
        self
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// The address of a database, without the password.
    pub(super) fn url(&self, database: &str) -> String {
        format!(
            "postgres://pushvault@127.0.0.1:{}/{database}?sslmode=disable",
            self.port.number()
        )
    }

    /// A connection of the administrator.
    pub(super) async fn administrator(&self) -> Database {
        let url = self.url("postgres");
        Database::connect(&url.replacen('@', &format!(":{PASSWORD}@"), 1)).await
    }

    /// Starts it, and waits until it lets callers in.
    pub(super) fn start(&mut self) {
        self.launch();
        wait_for("a Postgres that answers", || self.is_ready().then_some(()));
    }

    /// Starts it, whatever comes of it.
    pub(super) fn launch(&mut self) {
        self.stop();
        let mut command = self.command();
        command.args(["sh", "-c", self.keeper, "sh"]).arg(program("postgres"));
        command
            .arg("-D")
            .arg(self.home.data())
            .args(["-p", &self.port.number().to_string()]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let mut keeper = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdin = keeper.stdin.take().unwrap();
        self.running = Some((keeper, stdin));
    }

    pub(super) fn is_ready(&self) -> bool {
        let mut command = Command::new(program("pg_isready"));
        command.args(["--quiet", "--host=127.0.0.1", "--port", &self.port.number().to_string()]);
        command.status().unwrap().success()
    }

    /// Shuts it down as a service manager does, and waits for that.
    pub(super) fn stop(&mut self) {
        if let Some((mut keeper, stdin)) = self.running.take() {
            drop(stdin);
            keeper.wait().unwrap();
        }
    }

    /// Kills the postmaster, and waits until its children have noticed.
    pub(super) fn kill(&mut self) {
        Signal::Kill.send(&[self.postmaster()]);
        wait_for("the end of every backend", || self.processes().is_empty().then_some(()));
        self.stop();
    }

    /// Kills one of the processes that serve the vault.
    pub(super) fn kill_a_backend(&self) {
        let serves = |process: &&Process| process.command_line.contains("pushvault postgres 127.0.0.1");
        let backend = wait_for("a backend", || {
            self.processes().iter().find(serves).map(|process| process.id)
        });
        Signal::Kill.send(&[backend]);
    }

    /// A path as the server sees it.
    pub(super) fn seen_from_inside(&self, path: &Path) -> PathBuf {
        let (keeper, _) = self.running.as_ref().expect("it was started");
        PathBuf::from(format!("/proc/{}/root{}", keeper.id(), path.display()))
    }

    fn postmaster(&self) -> u32 {
        let text = fs::read_to_string(self.home.data().join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    fn processes(&self) -> Vec<Process> {
        let all = Process::of(&self.home.data());
        all.into_iter()
            .filter(|process| process.command_line.starts_with("postgres"))
            .collect()
    }

    /// What goes before a command so that it runs as the right user in the right place.
    fn command(&self) -> Command {
        let Home { user, group, .. } = self.home;
        let mut command = match &self.mounts {
            None => self.home.command(Path::new("env")),
            Some(script) => {
                let (mut command, back) = if is_root() {
                    let back = format!("setpriv --reuid={user} --regid={group} --clear-groups");
                    (clean(Command::new("unshare")), back)
                } else {
                    let mut command = clean(Command::new("unshare"));
                    command.args(["--user", "--map-root-user"]);
                    (command, format!("unshare --user --map-user={user} --map-group={group}"))
                };
                let script = format!("set -eu; {script}; shift 3; exec {back} \"$@\"");
                command
                    .args(["--mount", "sh", "-c", &script, "sh"])
                    .arg(self.home.path());
                // Who is root in a namespace of its own has one user to give files to, who is called root there.
                let [user, group] = if is_root() { [user, group] } else { [0, 0] };
                command.args([user.to_string(), group.to_string(), "env".to_owned()]);
                command.current_dir(self.home.path());
                command
            }
        };
        command.args(self.variables.iter().map(|(name, value)| format!("{name}={value}")));
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ours = fs::metadata(directory.path()).unwrap();
        let (user, group) = if is_root() {
            unprivileged()
        } else {
            (ours.uid(), ours.gid())
        };
        let home = Self { directory, user, group };
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        home.give(home.path());
        home
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Makes a file or directory the server's own.
    pub(super) fn give(&self, path: &Path) {
        chown(path, Some(self.user), Some(self.group)).unwrap();
    }

    /// A program that runs as the server's user.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = clean(Command::new(program));
        command.current_dir(self.path());
        if is_root() {
            command.uid(self.user).gid(self.group);
        }
        command
    }
}

fn program(name: &str) -> PathBuf {
    Deployment::postgres_programs().join(name)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The user to run a server as in place of root.
fn unprivileged() -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let line = lines.find(|fields| fields[0] == name)?;
        Some((line[2].parse().unwrap(), line[3].parse().unwrap()))
    };
    of("postgres").or_else(|| of("nobody")).expect("a user who is not root")
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
