//! `pushvault audit`: the sealed audit trail.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::instant::instant;
use super::operator::Operator;
use super::output::{self, Failure, Output};
use crate::config::{ConfigError, Settings};
use crate::domain::audit::Action;
use crate::domain::sid::EventSid;
use crate::trail::{Checkpoint, ExportFormat, Proof, Verdict, VerifierKey, verify_export};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Seal what was recorded, and print the signed checkpoint. Keep it where no operator of the database can reach it.
    Checkpoint,
    /// Print the verifier key: the public half of the key that signs checkpoints.
    Key,
    /// Print the trail with all that is needed to verify it elsewhere.
    Export {
        /// Only events from then on (RFC 3339, or a date).
        #[arg(long, value_name = "TIME", value_parser = instant)]
        since: Option<OffsetDateTime>,
        /// How the events are written.
        #[arg(long, value_enum, default_value = "jsonl")]
        format: Format,
    },
    /// Verify the trail in the database, or an export or a proof without it; exits with 1 and names what is wrong, the first
    /// event first.
    Verify(Verify),
    /// Prove that an event is in the trail that the newest checkpoint signs.
    Prove {
        /// The event's SID: AE and 32 hexadecimal digits.
        #[arg(value_parser = EventSid::parse)]
        event_sid: EventSid,
    },
    /// Remove the events from before a time, below a signed checkpoint. Export them first: nothing brings them back.
    Prune {
        /// Events from before this time (RFC 3339, or a date) are removed.
        #[arg(long, value_name = "TIME", value_parser = instant)]
        before: OffsetDateTime,
        #[command(flatten)]
        output: Output,
    },
}

/// How the events of an export are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// As the vault has them, one JSON object a line.
    Jsonl,
    /// As OCSF's API Activity (class 6003), one JSON object a line.
    Ocsf,
}

#[derive(Args)]
pub(super) struct Verify {
    /// Checkpoints that were kept elsewhere, one after the other.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// An export; `-` is standard input. No database and no root key is needed.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// What `audit prove` printed. No database and no root key is needed.
    #[arg(long, value_name = "FILE", conflicts_with = "export")]
    proof: Option<PathBuf>,
    /// The verifier key, or a file that holds it; the older one too, where the root key was lost meanwhile. Without one an
    /// export is held against the key that is in it.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// How long a statement may take, at least: a long trail is looked through, or cut off, in a few of them.
const PATIENCE: Duration = Duration::from_mins(10);

pub(super) async fn run(settings: impl Fn() -> Result<Settings, ConfigError>, verb: Verb) -> Result<ExitCode, Failure> {
    let settings = || {
        let mut settings = settings()?;
        settings.database.statement_timeout = settings.database.statement_timeout.max(PATIENCE);
        Ok(settings)
    };
    match verb {
        Verb::Checkpoint => {
            let operator = Operator::open(&settings()?).await?;
            let checkpoint = operator.vault.seal().await?;
            let checkpoint = checkpoint.ok_or("nothing has been recorded yet: there is no checkpoint")?;
            output::line(checkpoint.note().trim_end())?;
        }
        Verb::Key => {
            let operator = Operator::open(&settings()?).await?;
            output::line(&operator.vault.verifier_key().to_string())?;
        }
        Verb::Export { since, format } => export(&settings()?, since, format).await?,
        Verb::Verify(arguments) => return verify(settings, &arguments).await,
        Verb::Prove { event_sid } => {
            let operator = Operator::open(&settings()?).await?;
            let proof = operator.vault.prove_event(&event_sid).await?;
            output::line(proof.text().trim_end())?;
        }
        Verb::Prune { before, output } => {
            let operator = Operator::open(&settings()?).await?;
            let result = operator.vault.prune_trail(&operator.context, before).await;
            let (leaves, events) = operator.audited(Action::AuditPrune, None, None, result).await?;
            output
                .format
                .print(&json!({ "pruned": events, "first_leaf": leaves }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn export(settings: &Settings, since: Option<OffsetDateTime>, format: Format) -> Result<(), Failure> {
    let operator = Operator::open(settings).await?;
    let format = match format {
        Format::Jsonl => ExportFormat::Jsonl,
        Format::Ocsf => ExportFormat::Ocsf,
    };
    let mut output = BufWriter::new(io::stdout());
    let mut write = |line: &Value| writeln!(output, "{line}");
    let unsealed = operator.vault.export_trail(since, format, &mut write).await?;
    output.flush()?;
    if let Some(reason) = unsealed {
        output::error(&format!("what waits to be sealed is not in the export: {reason}"));
    }
    Ok(())
}

async fn verify(settings: impl Fn() -> Result<Settings, ConfigError>, arguments: &Verify) -> Result<ExitCode, Failure> {
    let keys = arguments
        .key
        .iter()
        .map(|key| read_key(key))
        .collect::<Result<Vec<_>, _>>()?;
    let mut checkpoints = Vec::new();
    for file in &arguments.checkpoint {
        let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let read = Checkpoint::parse_all(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        checkpoints.extend(read);
    }
    let (is_whole, document) = if let Some(file) = &arguments.proof {
        verify_proof(file, &checkpoints, &keys)?
    } else if let Some(file) = &arguments.export {
        let is_pinned = !keys.is_empty();
        let lines = open(file)?.lines().map(|line| line.map_err(Failure::from));
        let found = verify_export(lines, &checkpoints, &keys)?;
        let mut document = described(&found.verdict);
        document.insert("first_leaf".to_owned(), json!(found.first_leaf));
        document.insert(
            "key".to_owned(),
            json!(
                found
                    .keys
                    .iter()
                    .map(VerifierKey::to_string)
                    .collect::<Vec<_>>()
                    .join(" ")
            ),
        );
        document.insert("key_given".to_owned(), json!(is_pinned));
        (found.verdict.is_whole(), Value::Object(document))
    } else {
        let operator = Operator::open(&settings()?).await?;
        let report = operator.vault.verify_trail(&checkpoints).await?;
        let mut document = described(&report.verdict);
        document.insert("key".to_owned(), json!(operator.vault.verifier_key().to_string()));
        document.insert("not_sealed".to_owned(), json!(report.unsealed));
        document.insert("checkpoints_before_pruning".to_owned(), json!(report.too_old));
        (
            report.verdict.is_whole() && report.unsealed.is_none(),
            Value::Object(document),
        )
    };
    arguments.output.format.print(&document)?;
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A proof holds when its path leads to the root of a checkpoint that the key has signed.
fn verify_proof(file: &Path, checkpoints: &[Checkpoint], keys: &[VerifierKey]) -> Result<(bool, Value), Failure> {
    if keys.is_empty() {
        return Err("a proof needs --key: give the verifier key, as `pushvault audit key` prints it".into());
    }
    let mut text = String::new();
    open(file)?.read_to_string(&mut text)?;
    let proof = Proof::parse(&text)?;
    let is_same = |kept: &Checkpoint| kept.size() != proof.checkpoint.size() || kept.root() == proof.checkpoint.root();
    let leaf: Value = serde_json::from_str(&proof.leaf)?;
    let authenticity = leaf.get("authenticity").and_then(Value::as_str);
    let problem = if !keys.iter().any(|key| proof.checkpoint.is_signed_by(key)) {
        Some("the checkpoint is not signed by the key: it is forged")
    } else if !proof.holds() {
        Some("the event is not in the tree of the checkpoint")
    } else if !checkpoints.iter().all(is_same) {
        Some("the checkpoint is not the one that was kept")
    } else if matches!(authenticity, Some("forged" | "missing") | None) {
        Some("the event is in the tree as one that was forged, or gone, when it was sealed")
    } else {
        None
    };
    let document = json!({
        "verified": problem.is_none(),
        "problem": problem,
        "leaf": proof.index(),
        "tree_size": proof.checkpoint.size(),
        "authenticity": authenticity,
        "event": leaf.get("event"),
    });
    Ok((problem.is_none(), document))
}

fn described(verdict: &Verdict) -> Map<String, Value> {
    let findings: Vec<_> = verdict
        .findings
        .iter()
        .map(|finding| {
            json!({
                "leaf": finding.leaf,
                "account_sid": finding.account_sid,
                "event_sid": finding.event_sid,
                "problem": finding.problem.to_string(),
            })
        })
        .collect();
    let document = json!({
        "verified": verdict.is_whole(),
        "events": verdict.checked,
        "tree_size": verdict.tree_size,
        "covered_by_checkpoint": verdict.fits,
        "without_mac": verdict.unsigned,
        "findings": verdict.count,
        "first": findings.first(),
        "found": findings,
    });
    match document {
        Value::Object(document) => document,
        _ => Map::new(),
    }
}

fn read_key(text: &str) -> Result<VerifierKey, Failure> {
    if let Ok(key) = VerifierKey::parse(text) {
        return Ok(key);
    }
    let file = fs::read_to_string(text).map_err(|error| format!("--key is no verifier key, and no file: {error}"))?;
    Ok(VerifierKey::parse(&file)?)
}

fn open(file: &Path) -> Result<Box<dyn io::BufRead>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}
