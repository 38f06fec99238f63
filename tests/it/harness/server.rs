//! The Postgres of the tests, started at the first use and shared by all of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use pushvault::dev::cluster::Cluster;
use reqwest::Url;
use sqlx::{Connection as _, PgConnection};

use super::block_on;
use super::container::{self, Container};
use super::selection::{Way, select};

const FORCE_VARIABLE: &str = "PUSHVAULT_TEST_POSTGRES";
const URL_VARIABLE: &str = "TEST_DATABASE_URL";

/// How long a server that is only one of several may take, a pull of its image included.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the one that was asked for may take.
const LONG_PATIENCE: Duration = Duration::from_mins(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A running Postgres.
pub(super) struct Server {
    url: Url,
    keep: Keep,
}

/// What must be held for the server to stay.
enum Keep {
    TheirOwn,
    Container(Box<Container>),
    Cluster(Box<Cluster>),
}

/// The server of this test process.
pub(super) fn server() -> &'static Server {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    match SERVER.get_or_init(start) {
        Ok(server) => server,
        // A test that finds no Postgres fails. It is never skipped.
        Err(reason) => panic!("{reason}"),
    }
}

/// A database of the server as `pg_dump` writes it: data, schema, everything.
pub(crate) fn dump(url: &str) -> String {
    let name = Url::parse(url).unwrap().path().trim_start_matches('/').to_owned();
    let mut command = match &server().keep {
        Keep::Container(container) => {
            let mut command = Command::new("docker");
            command.args(["exec", &container.name, "pg_dump", "--username", container.user, &name]);
            command
        }
        Keep::Cluster(cluster) => pg_dump(cluster.bin_directory(), url),
        Keep::TheirOwn => pg_dump(&newest_programs(), url),
    };
    let output = command.output().expect("pg_dump, from Postgres's client programs");
    assert!(
        output.status.success(),
        "pg_dump failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

impl Server {
    /// The address of one of its databases.
    pub(super) fn url(&self, database: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(database);
        url.to_string()
    }

    /// The address of the database from which others are created.
    pub(super) fn maintenance_url(&self) -> String {
        self.url.to_string()
    }

    /// Whether it goes away with this process, and everything in it.
    pub(super) fn is_ours(&self) -> bool {
        !matches!(self.keep, Keep::TheirOwn)
    }
}

fn start() -> Result<Server, String> {
    let forced = std::env::var(FORCE_VARIABLE).ok().filter(|name| !name.is_empty());
    let patience = if forced.is_some() { LONG_PATIENCE } else { PATIENCE };
    let selected = select(
        forced.as_deref(),
        &[
            Way {
                name: "url",
                attempt: &theirs,
            },
            Way {
                name: "container",
                attempt: &|| in_container(patience),
            },
            Way {
                name: "cluster",
                attempt: &in_cluster,
            },
        ],
    )?;
    let version = version(selected.value.url.as_str())?;
    let passed_over = match selected.passed_over.as_slice() {
        [] => String::new(),
        reasons => format!(" (passed over: {})", reasons.join("; ")),
    };
    // Not `eprintln!`, which libtest keeps to itself while a test passes.
    let _ = writeln!(
        std::io::stderr(),
        "tests use Postgres {version} by way of {}{passed_over}",
        selected.name
    );
    Ok(selected.value)
}

fn theirs() -> Result<Server, String> {
    let url = std::env::var(URL_VARIABLE)
        .ok()
        .filter(|url| !url.is_empty())
        .ok_or_else(|| format!("{URL_VARIABLE} is not set"))?;
    // The address may hold a password, so no error repeats it.
    let parsed = Url::parse(&url).map_err(|error| format!("{URL_VARIABLE}: {error}"))?;
    version(&url)?;
    Ok(Server {
        url: parsed,
        keep: Keep::TheirOwn,
    })
}

fn in_container(patience: Duration) -> Result<Server, String> {
    let container = container::start(patience)?;
    Ok(Server {
        url: Url::parse(&container.url).map_err(|error| error.to_string())?,
        keep: Keep::Container(Box::new(container)),
    })
}

fn in_cluster() -> Result<Server, String> {
    let cluster = Cluster::start_temporary().map_err(|error| error.to_string())?;
    Ok(Server {
        url: Url::parse(&cluster.url("postgres")).map_err(|error| error.to_string())?,
        keep: Keep::Cluster(Box::new(cluster)),
    })
}

fn version(url: &str) -> Result<String, String> {
    block_on(|| async move {
        let asked = async {
            let mut connection = PgConnection::connect(url).await?;
            sqlx::query_scalar("show server_version")
                .fetch_one(&mut connection)
                .await
        };
        match tokio::time::timeout(CONNECT_LIMIT, asked).await {
            Ok(Ok(version)) => Ok(version),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", CONNECT_LIMIT.as_secs())),
        }
    })
}

fn pg_dump(programs: &Path, url: &str) -> Command {
    let mut command = Command::new(programs.join("pg_dump"));
    command.args(["--dbname", url]);
    command
}

/// Where Debian keeps the client programs of the newest Postgres; elsewhere they are on the search path.
fn newest_programs() -> PathBuf {
    std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let major: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((major, entry.path().join("bin")))
        })
        .max()
        .map_or_else(PathBuf::new, |(_, directory)| directory)
}
