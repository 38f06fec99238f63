//! `pushvault dev`: a vault of one's own, ready in one command.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::operator;
use super::output::{self, Failure};
use super::serve::{listen_override, stop_signal};
use crate::config::load_logging;
use crate::dev::Dev;
use crate::telemetry::{self, Stream};

#[derive(Args)]
pub(super) struct Arguments {
    /// Where everything is kept: Postgres, the root key, the account.
    #[arg(long, value_name = "DIRECTORY", default_value = "./.pushvault")]
    data_dir: PathBuf,
    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(file: Option<&Path>, arguments: Arguments) -> Result<(), Failure> {
    let (log, audit) = load_logging(file)?;
    telemetry::begin(&log, &audit, Stream::Stderr)?;
    let stop = stop_signal()?;
    let overrides = listen_override(arguments.listen);
    let dev = Dev::start(&arguments.data_dir, file, overrides, &operator::context()).await?;
    output::line(&greeting(&dev))?;
    dev.run(stop).await?;
    Ok(output::line(
        "pushvault has stopped; its data and its account are kept.",
    )?)
}

fn greeting(dev: &Dev) -> String {
    format!(
        r#"
pushvault is ready: {origin}
  interface    {origin}/docs
  account      {account}
  environment  {environment}
  commands     {program} --config {settings} account list
  database     Postgres {postgres}, on a socket of its own

Register a credential (paste this into another terminal):

. {environment} && curl -sS -u "$TWILIO_ACCOUNT_SID:$TWILIO_AUTH_TOKEN" "$PUSHVAULT_URL/v2/Credentials" -d Type=fcm -d FriendlyName=first --data-urlencode Secret=replace-me

Ctrl-C stops it.
"#,
        origin = dev.origin(),
        account = dev.account_sid(),
        environment = shell_quoted(&dev.environment_file()),
        program = program(),
        settings = shell_quoted(&dev.settings_file()),
        postgres = dev.postgres_version(),
    )
}

/// This program as a shell finds it from anywhere.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "pushvault".to_owned(), |path| shell_quoted(&path))
}

/// A path as a shell reads it back, with quotes only where it needs them.
fn shell_quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@".contains(&byte);
    if text.bytes().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
