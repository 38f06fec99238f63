//! What commands print: data on standard output, complaints on standard error.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use serde_json::Value;

/// Whatever went wrong, as text for a person.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The option `--format`, which every command has that prints data.
#[derive(Args)]
pub(super) struct Output {
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
}

impl Format {
    /// Prints a document: as it is, or as lines of `key: value`, with an empty line between the entries of a list.
    pub(super) fn print(self, document: &Value) -> io::Result<()> {
        match self {
            Self::Json => line(&format!("{document:#}")),
            Self::Text => line(text(document).trim_end()),
        }
    }
}

/// Prints a line.
pub(super) fn line(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()
}

/// Tells what went wrong. There is nothing left to do where even that fails.
pub(super) fn error(text: &str) {
    let _closed = writeln!(io::stderr(), "pushvault: {text}");
}

fn text(document: &Value) -> String {
    match document {
        Value::Array(entries) => entries.iter().map(|entry| text(entry) + "\n").collect(),
        Value::Object(fields) => fields.iter().fold(String::new(), |lines, (key, value)| {
            lines + key + ": " + &scalar(value) + "\n"
        }),
        other => scalar(other),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        // Names stand side by side, as a command line takes them.
        Value::Array(values) if !values.is_empty() && values.iter().all(Value::is_string) => {
            values.iter().map(scalar).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}
