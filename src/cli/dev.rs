//! `pushvault dev`: a vault of one's own, ready in one command.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::operator;
use super::output::{self, Failure};
use super::serve::stop_signal;
use crate::config::{LogFormat, LogSettings};
use crate::dev::Dev;
use crate::telemetry;

#[derive(Args)]
pub(super) struct Arguments {
    /// Where everything is kept: Postgres, the root key, the account.
    #[arg(long, value_name = "DIRECTORY", default_value = "./.pushvault")]
    data_dir: PathBuf,
    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    // The log begins before the settings of the data directory can be read.
    let log = LogSettings {
        filter: "info".to_owned(),
        format: LogFormat::Json,
    };
    telemetry::init(&log, telemetry::stderr())?;
    let stop = stop_signal()?;
    let dev = Dev::start(&arguments.data_dir, arguments.listen, &operator::context()).await?;
    output::line(&greeting(&dev))?;
    dev.run(stop).await?;
    Ok(output::line(
        "pushvault has stopped; its data and its account are kept.",
    )?)
}

fn greeting(dev: &Dev) -> String {
    format!(
        r#"
pushvault is ready: http://{address}
  account      {account}
  environment  {environment}
  commands     pushvault --config {settings} account list
  database     Postgres {postgres}, on a socket of its own

Register a credential (paste this into another terminal):

. {environment} && curl -sS -u "$TWILIO_ACCOUNT_SID:$TWILIO_AUTH_TOKEN" "$PUSHVAULT_URL/v2/Credentials" -d Type=fcm -d FriendlyName=first --data-urlencode Secret=replace-me

Ctrl-C stops it.
"#,
        address = dev.address(),
        account = dev.account_sid(),
        environment = shell_quoted(&dev.environment_file()),
        settings = shell_quoted(&dev.settings_file()),
        postgres = dev.postgres_version(),
    )
}

/// A path as a shell reads it back, with quotes only where it needs them.
fn shell_quoted(path: &std::path::Path) -> String {
    let text = path.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@".contains(&byte);
    if text.bytes().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
