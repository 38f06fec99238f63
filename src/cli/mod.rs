//! The command line: one file for each verb.

mod account;
mod api_key;
mod audit;
mod config;
mod dev;
mod healthcheck;
mod instant;
mod kek;
mod migrate;
mod operator;
mod output;
mod privacy;
mod progress;
mod recovery;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Settings;
use crate::telemetry::{self, chain};

use output::Failure;

/// The vault for push-notification credentials, behind the Twilio Credentials REST API.
#[derive(Parser)]
#[command(name = "pushvault", version, propagate_version = true)]
struct Arguments {
    /// A settings file (TOML); the environment `PUSHVAULT__SECTION__KEY` wins over it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve the API from a given Postgres.
    Serve(serve::Arguments),
    /// Serve the API from a Postgres of its own in a data directory, with an account ready to use.
    Dev(dev::Arguments),
    /// Bring the database schema up to date.
    Migrate(migrate::Arguments),
    /// Look at the settings.
    #[command(subcommand)]
    Config(config::Verb),
    /// Manage accounts and their auth tokens.
    #[command(subcommand)]
    Account(account::Verb),
    /// Manage the API keys of an account.
    #[command(subcommand)]
    ApiKey(api_key::Verb),
    /// Look after root keys (KEKs).
    #[command(subcommand)]
    Kek(kek::Verb),
    /// Prepare for the loss of the root key, and come back from it.
    #[command(subcommand)]
    Recovery(recovery::Verb),
    /// Verify, export and prune the audit trail, and sign what it was.
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Ask the service that the settings describe whether it is alive.
    Healthcheck,
}

/// Runs the program; 0 is success, 1 a failure that standard error tells, 2 a wrong command line.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let result = privacy::keep_memory_private()
        .and_then(|()| tokio::runtime::Builder::new_multi_thread().enable_all().build())
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(dispatch(arguments)));
    telemetry::end();
    match result {
        Ok(code) => code,
        Err(failure) => {
            output::error(&chain(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(arguments: Arguments) -> Result<ExitCode, Failure> {
    let file = arguments.config;
    let file = file.as_deref();
    let settings = || Settings::load(file);
    match arguments.verb {
        Verb::Serve(arguments) => serve::run(file, arguments).await?,
        Verb::Dev(arguments) => dev::run(file, arguments).await?,
        Verb::Migrate(arguments) => migrate::run(&settings()?, &arguments).await?,
        Verb::Config(verb) => config::run(&settings()?, &verb)?,
        Verb::Account(verb) => account::run(&settings()?, verb).await?,
        Verb::ApiKey(verb) => api_key::run(&settings()?, verb).await?,
        Verb::Kek(verb) => return kek::run(&settings()?, verb).await,
        Verb::Recovery(verb) => return recovery::run(&settings()?, verb).await,
        Verb::Audit(verb) => return Box::pin(audit::run(settings, verb)).await,
        Verb::Healthcheck => healthcheck::run(&settings()?)?,
    }
    Ok(ExitCode::SUCCESS)
}
