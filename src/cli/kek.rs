//! `pushvault kek`: root keys and what they protect.

use std::num::NonZeroU32;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pushvault_crypto::KekId;
use serde_json::{Value, json};

use super::operator::Operator;
use super::output::{Failure, Output};
use super::progress::Teller;
use crate::config::{KekSettings, Settings};
use crate::domain::audit::Action;
use crate::service::{Progress, VerifyReport};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Make the root key of `[other_kek]` known to the database; nothing is wrapped under it yet.
    Add {
        #[command(flatten)]
        output: Output,
    },
    /// List the root keys: where each is, what it is for, how much is wrapped under it, which replicas have it.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Make a root key the primary one. Refused unless every live replica can use it.
    Rotate {
        /// Which; if it is not given, the one that was added.
        kek_id: Option<KekId>,
        #[command(flatten)]
        output: Output,
    },
    /// Wrap every account key under the primary root key. Can be ended at any moment, and run again.
    Rewrap {
        #[command(flatten)]
        rate: Rate,
        #[command(flatten)]
        output: Output,
    },
    /// Put a root key out of use. Refused while anything is wrapped under it.
    Retire {
        /// Which.
        kek_id: KekId,
        #[command(flatten)]
        output: Output,
    },
    /// Declare a retired root key destroyed: it is never used again. Destroy the key itself where it is kept.
    Destroy {
        /// Which.
        kek_id: KekId,
        #[command(flatten)]
        output: Output,
    },
    /// Unwrap every account key, open every stored secret and compare every digest; prints what is under which key and what
    /// did not open, and exits with 1 if anything did not.
    Verify {
        #[command(flatten)]
        output: Output,
    },
}

/// How fast a long job may be.
#[derive(Args)]
pub(super) struct Rate {
    /// Rows that are wrapped anew in a second, at most.
    #[arg(long, value_name = "ROWS", default_value = "1000")]
    pub(super) rate: NonZeroU32,
}

pub(super) async fn run(settings: &Settings, verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Add { output } => add(settings, &output).await?,
        Verb::List { output } => {
            let operator = Operator::open(settings).await?;
            output.format.print(&json!(operator.vault.root_keys().await?))?;
        }
        Verb::Rotate { kek_id, output } => {
            let operator = Operator::open(settings).await?;
            let result = operator.vault.rotate_root_key(&operator.context, kek_id.as_ref()).await;
            let target = kek_id.as_ref().map(KekId::as_str);
            let primary = operator.audited(Action::RootKeyRotate, None, target, result).await?;
            output.format.print(&json!({ "primary": primary.as_str() }))?;
        }
        Verb::Rewrap { rate, output } => rewrap(settings, rate.rate, &output).await?,
        Verb::Retire { kek_id, output } => {
            let operator = Operator::open(settings).await?;
            let result = operator.vault.retire_root_key(&operator.context, &kek_id).await;
            operator
                .audited(Action::RootKeyRetire, None, Some(kek_id.as_str()), result)
                .await?;
            output
                .format
                .print(&json!({ "kek_id": kek_id.as_str(), "state": "retired" }))?;
        }
        Verb::Destroy { kek_id, output } => {
            let operator = Operator::open(settings).await?;
            let result = operator.vault.destroy_root_key(&operator.context, &kek_id).await;
            operator
                .audited(Action::RootKeyDestroy, None, Some(kek_id.as_str()), result)
                .await?;
            output.format.print(&json!({
                "kek_id": kek_id.as_str(),
                "state": "destroyed",
                "next": "destroy the key itself, and every copy of it, where it is kept",
            }))?;
        }
        Verb::Verify { output } => return verify(settings, &output).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(settings: &Settings, output: &Output) -> Result<(), Failure> {
    if matches!(settings.other_kek, KekSettings::Unset) {
        return Err("configure the root key that is to be added in [other_kek] (PUSHVAULT__OTHER_KEK__…)".into());
    }
    // The vault does not open with a key that it does not know.
    let mut known = settings.clone();
    known.other_kek = KekSettings::Unset;
    let operator = Operator::open(&known).await?;
    let result = operator
        .vault
        .add_root_key(&operator.context, &settings.other_kek)
        .await;
    let kek_id = operator.audited(Action::RootKeyAdd, None, None, result).await?;
    let keys = operator.vault.root_keys().await?;
    let added = keys.iter().find(|key| key.kek_id == kek_id.as_str());
    Ok(output.format.print(&json!(added))?)
}

async fn rewrap(settings: &Settings, rate: NonZeroU32, output: &Output) -> Result<(), Failure> {
    let operator = Operator::open(settings).await?;
    let teller = Teller::new("rewrap");
    let tell = |done, total| teller.tell(done, total);
    let result = operator
        .vault
        .rewrap_account_keys(&operator.context, Progress::new(rate, &tell))
        .await;
    let rewrapped = operator.audited(Action::RootKeyRewrap, None, None, result).await?;
    Ok(output.format.print(&json!({ "rewrapped": rewrapped }))?)
}

async fn verify(settings: &Settings, output: &Output) -> Result<ExitCode, Failure> {
    let operator = Operator::open(settings).await?;
    let report = operator.vault.verify().await?;
    output.format.print(&json!({
        "opened": report.opened,
        "account_keys": report.account_keys,
        "credential_versions": report.under,
        "findings": findings(&report),
    }))?;
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What does not open, as it is printed: account keys first.
pub(super) fn findings(report: &VerifyReport) -> Vec<Value> {
    let of_keys = report.key_findings.iter().map(|finding| {
        json!({
            "account_sid": finding.account_sid,
            "account_key": finding.version,
            "problem": finding.problem,
        })
    });
    let of_versions = report.findings.iter().map(|finding| {
        json!({
            "account_sid": finding.account_sid,
            "credential_sid": finding.credential_sid,
            "version": finding.version,
            "problem": finding.problem,
        })
    });
    of_keys.chain(of_versions).collect()
}
