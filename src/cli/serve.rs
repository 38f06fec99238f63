//! `pushvault serve`: the service on a given Postgres.

use std::net::SocketAddr;
use std::path::Path;

use clap::Args;

use super::operator;
use super::output::Failure;
use crate::app::Application;
use crate::config::Settings;
use crate::telemetry::{self, Stream};

#[derive(Args)]
pub(super) struct Arguments {
    /// Where to listen, instead of what the settings say; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(file: Option<&Path>, arguments: Arguments) -> Result<(), Failure> {
    let settings = Settings::load_with(file, &listen_override(arguments.listen))?;
    telemetry::begin(&settings.log, &settings.audit, Stream::Stdout)?;
    let application = Application::build(&settings, &operator::context()).await?;
    tracing::info!(
        address = %application.address(),
        origin = application.origin(),
        admin_address = application.admin_address().map(tracing::field::display),
        "pushvault serves"
    );
    application.run(stop_signal()?).await?;
    tracing::info!("pushvault stopped");
    Ok(())
}

/// What `--listen` says, as a setting.
pub(super) fn listen_override(listen: Option<SocketAddr>) -> Vec<(&'static str, String)> {
    listen
        .map(|address| ("server.listen", address.to_string()))
        .into_iter()
        .collect()
}

/// Ready at the first Ctrl-C or SIGTERM.
pub(super) fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
