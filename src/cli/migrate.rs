//! `pushvault migrate`: brings the schema up to date. It needs the schema owner's role, and no root key.

use clap::Args;
use serde_json::json;

use super::output::{Failure, Output};
use crate::app;
use crate::config::Settings;
use crate::telemetry;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(settings: &Settings, arguments: &Arguments) -> Result<(), Failure> {
    telemetry::init(&settings.log, &settings.audit, telemetry::stderr())?;
    let applied = app::migrate(settings).await?;
    Ok(arguments
        .output
        .format
        .print(&json!({ "applied_migrations": applied }))?)
}
