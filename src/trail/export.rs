//! An export: a line that says what follows, one line for each leaf, and the checkpoint that covers them. Whoever has the
//! verifier key needs nothing else to verify it.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::checkpoint::Checkpoint;
use super::entry::Entry;
use super::error::TrailError;
use super::event::{Authenticity, EventRecord, Leaf};
use super::ocsf;
use super::tree::Hash;

/// How the events of an export are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// As the vault has them.
    Jsonl,
    /// As OCSF's API Activity (class 6003).
    Ocsf,
}

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportHeader {
    /// 1.
    pub pushvault_audit_export: u32,
    /// How the events are written.
    pub format: ExportFormat,
    /// Whose they are: the name of the key.
    pub origin: String,
    /// The verifier key. Who wants to know who signed compares it with one that came another way.
    pub key: String,
    /// The index of the first leaf.
    pub first_leaf: u64,
    /// The hashes of the full subtrees before it.
    pub left: Vec<String>,
    /// Whether nothing that is there was left out.
    pub is_everything: bool,
}

/// A line of an export, after the first.
pub enum ExportLine {
    /// A leaf.
    Leaf(Box<Entry>),
    /// An event that is in no leaf: its account and SID.
    Stray(String, String),
    /// A checkpoint.
    Checkpoint(Checkpoint),
    /// A checkpoint over so many leaves that nobody signed.
    Unsigned(u64),
}

/// Reads an export line by line.
pub struct ExportReader {
    /// What the first line says.
    pub header: ExportHeader,
    /// The hashes of the full subtrees before the first leaf.
    pub left: Vec<Hash>,
    line: usize,
}

/// A line of the leaf, as the vault has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeafLine {
    leaf: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    authenticity: Authenticity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<EventRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<Gone>,
}

/// An event whose row is gone.
#[derive(Serialize, Deserialize)]
struct Gone {
    account_sid: String,
    event_sid: String,
}

impl ExportHeader {
    /// The header of an export that begins with this leaf.
    pub fn new(format: ExportFormat, origin: &str, key: String, first_leaf: u64, left: &[Hash]) -> Self {
        Self {
            pushvault_audit_export: 1,
            format,
            origin: origin.to_owned(),
            key,
            first_leaf,
            left: left.iter().map(Hash::to_string).collect(),
            is_everything: true,
        }
    }
}

/// The first line.
pub fn header_line(header: &ExportHeader) -> Value {
    json!(header)
}

/// The line of a leaf.
pub fn leaf_line(format: ExportFormat, entry: &Entry) -> Result<Value, TrailError> {
    let Some(leaf) = &entry.leaf else {
        return Ok(json!({ "leaf": entry.index, "hash": entry.hash.map(|hash| hash.to_string()), "gone": true }));
    };
    let gone = || Gone {
        account_sid: leaf.account_sid.clone(),
        event_sid: leaf.event_sid.clone(),
    };
    let line = LeafLine {
        leaf: entry.index,
        hash: entry.hash.map(|hash| hash.to_string()),
        authenticity: leaf.authenticity,
        event: leaf.event.clone(),
        gone: leaf.event.is_none().then(gone),
    };
    match (&leaf.event, format) {
        (Some(event), ExportFormat::Ocsf) => {
            let LeafLine {
                leaf,
                hash,
                authenticity,
                ..
            } = line;
            ocsf::api_activity(
                event,
                &json!({ "leaf": leaf, "hash": hash, "authenticity": authenticity }),
            )
        }
        _ => Ok(json!(line)),
    }
}

/// The line of an event that is in no leaf.
pub fn stray_line(account_sid: &str, event_sid: &str) -> Value {
    json!({ "stray": { "account_sid": account_sid, "event_sid": event_sid } })
}

/// The line of a checkpoint over so many leaves that nobody signed.
pub fn unsigned_line(size: u64) -> Value {
    json!({ "unsigned_checkpoint": size })
}

/// The last line of the leaves.
pub fn checkpoint_line(checkpoint: &Checkpoint) -> Value {
    json!({ "checkpoint": checkpoint.note() })
}

impl ExportReader {
    /// Reads the first line.
    pub fn new(first_line: &str) -> Result<Self, TrailError> {
        let header: ExportHeader = serde_json::from_str(first_line).map_err(|_| TrailError::Line(1))?;
        let left = header
            .left
            .iter()
            .map(|hash| Hash::parse_hash(hash))
            .collect::<Result<_, _>>();
        if header.pushvault_audit_export != 1 || header.first_leaf > 1 << 61 {
            return Err(TrailError::Line(1));
        }
        Ok(Self {
            left: left.map_err(|_| TrailError::Line(1))?,
            header,
            line: 1,
        })
    }

    /// Reads the next line.
    pub fn read(&mut self, line: &str) -> Result<ExportLine, TrailError> {
        self.line += 1;
        Self::parse(line).ok_or(TrailError::Line(self.line))
    }

    fn parse(line: &str) -> Option<ExportLine> {
        let value: Value = serde_json::from_str(line).ok()?;
        if let Some(note) = value.get("checkpoint") {
            return Some(ExportLine::Checkpoint(Checkpoint::parse(note.as_str()?).ok()?));
        }
        if let Some(size) = value.get("unsigned_checkpoint") {
            return size.as_u64().map(ExportLine::Unsigned);
        }
        if let Some(stray) = value.get("stray") {
            let gone: Gone = serde_json::from_value(stray.clone()).ok()?;
            return Some(ExportLine::Stray(gone.account_sid, gone.event_sid));
        }
        if value.get("class_uid").is_some() {
            return Self::parse_ocsf(&value);
        }
        if value.get("gone").is_some_and(Value::is_boolean) {
            return Some(ExportLine::Leaf(Box::new(Entry {
                index: value.get("leaf")?.as_u64()?,
                hash: parse_hash(value.get("hash")?.as_str()),
                leaf: None,
                is_altered: false,
            })));
        }
        let line: LeafLine = serde_json::from_value(value).ok()?;
        entry(line, false)
    }

    /// An event that was mapped: what it was mapped from is in it, and must give what is there.
    fn parse_ocsf(value: &Value) -> Option<ExportLine> {
        let event: EventRecord = serde_json::from_str(value.get("raw_data")?.as_str()?).ok()?;
        let place = value.get("unmapped")?.get("pushvault")?;
        let is_altered = ocsf::api_activity(&event, place).ok()? != *value;
        let mut line: LeafLine = serde_json::from_value(place.clone()).ok()?;
        line.event = Some(event);
        entry(line, is_altered)
    }
}

fn entry(line: LeafLine, is_altered: bool) -> Option<ExportLine> {
    let (account_sid, event_sid) = match (&line.event, line.gone) {
        (Some(event), None) => (event.account_sid.clone(), event.event_sid.clone()),
        (None, Some(gone)) => (gone.account_sid, gone.event_sid),
        _ => return None,
    };
    Some(ExportLine::Leaf(Box::new(Entry {
        index: line.leaf,
        hash: parse_hash(line.hash.as_deref()),
        leaf: Some(Leaf {
            authenticity: line.authenticity,
            account_sid,
            event_sid,
            event: line.event,
        }),
        is_altered,
    })))
}

fn parse_hash(text: Option<&str>) -> Option<Hash> {
    let bytes = BASE64.decode(text?.as_bytes()).ok()?;
    Some(Hash(bytes.try_into().ok()?))
}
