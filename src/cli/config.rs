//! `pushvault config check`: the settings in effect, without their secrets.

use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{Failure, Output};
use crate::app;
use crate::config::Settings;
use crate::telemetry;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Check the settings and print them; secrets show only whether they are set.
    Check {
        #[command(flatten)]
        output: Output,
    },
}

pub(super) fn run(settings: &Settings, verb: &Verb) -> Result<(), Failure> {
    let Verb::Check { output } = verb;
    app::check(settings)?;
    telemetry::check(&settings.log)?;
    let document: serde_json::Map<String, Value> = settings
        .effective()
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    Ok(output.format.print(&Value::Object(document))?)
}
