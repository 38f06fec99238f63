//! `pushvault recovery`: the way back when the root key is lost.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pushvault_crypto::RecoveryKey;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::kek::findings;
use super::operator::{Operator, context};
use super::output::{Failure, Format, Output};
use crate::config::Settings;
use crate::domain::audit::Action;
use crate::domain::recovery::RecoveryError;
use crate::domain::text::iso_8601;
use crate::http::audit_outcome;
use crate::service::{RecoveryProblem, RecoveryStatus, Restoration};
use crate::telemetry;

/// No file with a key pair of age is longer.
const LONGEST_KEY_FILE: u64 = 64 * 1024;

/// How a recovery key begins.
const KEY_BEGINS: &str = "AGE-SECRET-KEY-1";

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Make a recovery key pair and encrypt every account key to it. The private half is shown this once: keep it offline.
    /// One that was interrupted is finished by saying it again, and shows no key then.
    Init {
        /// Make a new key pair in the place of the present one.
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Show the recovery recipients, and how many account keys are encrypted to each.
    Status {
        #[command(flatten)]
        output: Output,
    },
    /// Open every copy with the recovery key, and compare it with what the root key gives; exits with 1 if anything differs.
    Verify {
        #[command(flatten)]
        key: Key,
        #[command(flatten)]
        output: Output,
    },
    /// Bring a restored database to life whose root key is lost: wrap every account key under the new root key of [kek].
    Restore {
        #[command(flatten)]
        key: Key,
        /// Leave behind what the recovery key does not give back, instead of stopping before anything is changed.
        #[arg(long)]
        incomplete: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Note that the private half of a retired recipient is destroyed, which only you can know.
    Destroy {
        /// The recipient: age1 and 58 characters.
        recipient: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
pub(super) struct Key {
    /// The file with the recovery key; without it, or with -, it is read from standard input.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

pub(super) async fn run(settings: &Settings, verb: Verb) -> Result<ExitCode, Failure> {
    if let Verb::Restore {
        key,
        incomplete,
        output,
    } = verb
    {
        return restore(settings, &key, incomplete, output.format).await;
    }
    let operator = Operator::open(settings).await?;
    match verb {
        Verb::Init { replace, output } => init(&operator, replace, output.format).await,
        Verb::Status { output } => {
            let status = operator.vault.recovery_status().await?;
            Ok(output.format.print(&status_document(&status))?)
        }
        Verb::Verify { key, output } => return verify(&operator, &key, output.format).await,
        Verb::Destroy { recipient, output } => {
            let result = operator
                .vault
                .destroy_recovery_recipient(&operator.context, &recipient)
                .await;
            operator
                .audited(Action::RecoveryDestroy, None, Some(&recipient), result)
                .await?;
            let document = json!({ "recipient": recipient, "state": "destroyed" });
            Ok(output.format.print(&document)?)
        }
        Verb::Restore { .. } => Ok(()),
    }?;
    Ok(ExitCode::SUCCESS)
}

async fn init(operator: &Operator, replace: bool, format: Format) -> Result<(), Failure> {
    let (vault, context) = (&operator.vault, &operator.context);
    let status = vault.recovery_status().await?;
    let unfinished = status
        .primary()
        .filter(|_| !replace && status.account_keys_without_copy > 0);
    let action = Action::RecoveryInit;
    if let Some(primary) = unfinished {
        let result = vault.copy_account_keys(context).await;
        let copied = operator
            .audited(Action::RecoveryCopy, None, Some(&primary.recipient), result)
            .await?;
        return Ok(format.print(&json!({ "recipient": primary.recipient, "account_keys": copied }))?);
    }
    // Refused before a key is drawn, so that none is shown that is worth nothing.
    if let Some(primary) = status.primary().filter(|_| !replace) {
        let refusal = RecoveryError::AlreadySetUp(primary.recipient.clone());
        return operator.audited(action, None, None, Err(refusal.into())).await;
    }
    let key = RecoveryKey::generate()?;
    let recipient = key.recipient().encode()?;
    // Shown before anything is encrypted to it: a key that nobody has seen would be worse than one that is of no use.
    format.print(&json!({ "recipient": recipient, "recovery_key": key.encode()?.expose_secret() }))?;
    let result = vault.set_recovery_recipient(context, &key.recipient(), replace).await;
    operator.audited(action, None, Some(&recipient), result).await?;
    let result = vault.copy_account_keys(context).await;
    let copied = operator
        .audited(Action::RecoveryCopy, None, Some(&recipient), result)
        .await?;
    tracing::info!(recipient, account_keys = copied, "recovery is set up");
    Ok(())
}

async fn verify(operator: &Operator, key: &Key, format: Format) -> Result<ExitCode, Failure> {
    let verification = operator.vault.verify_recovery(&key.read()?).await?;
    format.print(&json!({ "opened": verification.opened, "problems": problems(&verification.problems) }))?;
    Ok(exit_code(verification.problems.is_empty()))
}

async fn restore(settings: &Settings, key: &Key, incomplete: bool, format: Format) -> Result<ExitCode, Failure> {
    telemetry::init(&settings.log, &settings.audit, telemetry::stderr())?;
    let (restoration, context) = (Restoration::open(settings).await?, context());
    let report = match restoration.run(settings, &context, &key.read()?, incomplete).await {
        Ok(report) => report,
        Err(error) => {
            restoration.record_refusal(&context, audit_outcome(&error)).await?;
            return Err(error.into());
        }
    };
    let findings = findings(&report.verified);
    format.print(&json!({
        "root_key": report.kek_id,
        "account_keys": report.account_keys,
        "left_behind": problems(&report.left_behind),
        "opened": report.verified.opened,
        "findings": findings,
    }))?;
    Ok(exit_code(report.left_behind.is_empty() && findings.is_empty()))
}

fn status_document(status: &RecoveryStatus) -> Value {
    let recipients: Vec<_> = status
        .recipients
        .iter()
        .map(|recipient| {
            json!({
                "recipient": recipient.recipient,
                "state": recipient.state.as_str(),
                "account_keys": recipient.account_keys,
                "date_created": iso_8601(recipient.date_created),
            })
        })
        .collect();
    json!({
        "recipient": status.primary().map(|primary| primary.recipient.as_str()),
        "account_keys": status.primary().map_or(0, |primary| primary.account_keys),
        "account_keys_without_copy": status.account_keys_without_copy,
        "recipients": recipients,
    })
}

fn problems(problems: &[RecoveryProblem]) -> Vec<Value> {
    let of = |problem: &RecoveryProblem| {
        json!({
            "account_sid": problem.account_sid,
            "account_key_version": problem.version,
            "problem": problem.problem,
        })
    };
    problems.iter().map(of).collect()
}

fn exit_code(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Key {
    /// Reads the key out of what `recovery init` or `age-keygen` wrote: the first line that ends with one.
    fn read(&self) -> Result<RecoveryKey, Failure> {
        let path = self.key_file.as_deref().filter(|path| *path != Path::new("-"));
        let name = path.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
        let unreadable = |error: io::Error| format!("cannot read the recovery key from {name}: {error}");
        let mut text = Zeroizing::new(String::new());
        if let Some(path) = path {
            let file = File::open(path).map_err(unreadable)?;
            if file.metadata().map_err(unreadable)?.permissions().mode() & 0o007 != 0 {
                return Err(format!("{name} may be read by every user: run `chmod o-rwx` on it").into());
            }
            read_into(file, &mut text).map_err(unreadable)?;
        } else {
            read_into(io::stdin().lock(), &mut text).map_err(unreadable)?;
        }
        let lines = text.lines().map(str::trim);
        let mut keys = lines.filter_map(|line| line.find(KEY_BEGINS).and_then(|at| line.get(at..)));
        Ok(RecoveryKey::parse(keys.next().unwrap_or_default())?)
    }
}

fn read_into(source: impl Read, text: &mut String) -> io::Result<usize> {
    source.take(LONGEST_KEY_FILE).read_to_string(text)
}
