//! `pushvault kek`: the root key and what it protects.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::operator::Operator;
use super::output::{Failure, Output};
use crate::config::Settings;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Open every stored secret and compare every digest; prints what did not open, and exits with 1 if anything did not.
    Verify {
        #[command(flatten)]
        output: Output,
    },
}

pub(super) async fn run(settings: &Settings, verb: Verb) -> Result<ExitCode, Failure> {
    let Verb::Verify { output } = verb;
    let operator = Operator::open(settings).await?;
    let report = operator.vault.verify().await?;
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "account_sid": finding.account_sid,
                "credential_sid": finding.credential_sid,
                "version": finding.version,
                "problem": finding.problem,
            })
        })
        .collect();
    let code = if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    output
        .format
        .print(&json!({ "opened": report.opened, "findings": findings }))?;
    Ok(code)
}
