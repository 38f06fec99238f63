//! A Postgres in a container, which is removed when this process ends, however it ends.

use std::io::Error;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use testcontainers::core::IntoContainerPort as _;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};

use super::{block_on, fresh_number};

const IMAGE_VARIABLE: &str = "PUSHVAULT_TEST_POSTGRES_IMAGE";
const DEFAULT_IMAGE: &str = "postgres:16-alpine";
const USER: &str = "pushvault";
const PORT: u16 = 5432;

/// Waits for the end of the other end of its standard input, which is our end, and then removes the container. The
/// system closes a pipe however a process ends, so this also holds when we are killed.
const WATCHER: &str = "read -r nothing; docker rm --force --volumes \"$1\"";

/// How long to wait between two attempts to connect while the server starts.
const PAUSE: Duration = Duration::from_millis(50);

/// A container, and the watcher that removes it.
pub(super) struct Container {
    pub(super) name: String,
    pub(super) user: &'static str,
    pub(super) url: String,
    // Both are held, not used: letting go of either ends the container.
    _handle: ContainerAsync<GenericImage>,
    _watcher: Watcher,
}

/// Starts a container and waits until its Postgres accepts connections from here.
pub(super) fn start(limit: Duration) -> Result<Container, String> {
    let image = std::env::var(IMAGE_VARIABLE).unwrap_or_else(|_| DEFAULT_IMAGE.to_owned());
    let name = format!("pushvault-test-{:016x}", fresh_number());
    // Before the container: there is no moment at which it could be left behind.
    let watcher =
        Watcher::start(&name).map_err(|error| format!("the command `docker`, which removes containers: {error}"))?;
    block_on(|| async move {
        tokio::time::timeout(limit, run(name, &image, watcher))
            .await
            .unwrap_or_else(|_| Err(format!("{image} was not ready after {} s", limit.as_secs())))
    })
}

async fn run(name: String, image: &str, watcher: Watcher) -> Result<Container, String> {
    let (repository, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let password = format!("{:016x}{:016x}", fresh_number(), fresh_number());
    let container = GenericImage::new(repository, tag)
        .with_exposed_port(PORT.tcp())
        .with_env_var("POSTGRES_USER", USER)
        .with_env_var("POSTGRES_PASSWORD", &password)
        .with_env_var("POSTGRES_DB", "postgres")
        .with_container_name(&name)
        .with_cmd(["postgres", "-c", "max_connections=200"].into_iter().chain([
            "-c",
            "fsync=off",
            "-c",
            "synchronous_commit=off",
            "-c",
            "full_page_writes=off",
        ]))
        .start()
        .await
        .map_err(|error| format!("{image}: {error}"))?;
    let host = container.get_host().await.map_err(|error| error.to_string())?;
    let port = container
        .get_host_port_ipv4(PORT)
        .await
        .map_err(|error| error.to_string())?;
    let url = format!("postgres://{USER}:{password}@{host}:{port}/postgres?sslmode=disable");
    while PgConnection::connect(&url).await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Container {
        name,
        user: USER,
        url,
        _handle: container,
        _watcher: watcher,
    })
}

/// The child that outlives us by one command.
struct Watcher {
    process: Child,
}

impl Watcher {
    fn start(name: &str) -> Result<Self, Error> {
        Command::new("docker")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        let process = Command::new("sh")
            .args(["-c", WATCHER, "pushvault-test-watcher", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C in the terminal is for us, not for the one who cleans up after us.
            .process_group(0)
            .spawn()?;
        Ok(Self { process })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
