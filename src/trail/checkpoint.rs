//! Checkpoints: the head of the tree, signed (C2SP `tlog-checkpoint` and `signed-note`).

use std::fmt;

use pushvault_crypto::{SignaturePublicKey, SigningKey};

use super::error::TrailError;
use super::tree::{Hash, Tree};

/// No tree is larger: its positions must fit into 63 bits.
pub const MOST_LEAVES: u64 = 1 << 61;

/// How a signature line begins.
const SIGNATURE: &str = "\u{2014} ";

/// A signed head of the tree.
#[derive(Clone)]
pub struct Checkpoint {
    note: String,
    size: u64,
    root: Hash,
}

/// The public half of a key that signs checkpoints, with the name that they bear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: SignaturePublicKey,
}

impl Checkpoint {
    /// Signs the head of a tree. The name of the key is the origin of the log.
    pub fn sign(name: &str, key: &SigningKey, tree: &Tree) -> Result<Self, TrailError> {
        let (size, root) = (tree.size(), tree.root()?);
        let body = tlog_tiles::Checkpoint::new(name, size, root, "").map_err(|_| TrailError::Checkpoint)?;
        let body = String::from_utf8(body.to_bytes()).map_err(|_| TrailError::Checkpoint)?;
        let note = key.sign_note(name, &body)?;
        Ok(Self { note, size, root })
    }

    /// Reads a checkpoint; whether it is signed by the right key, [`Self::is_signed_by`] says.
    pub fn parse(note: &str) -> Result<Self, TrailError> {
        let (body, _) = parts(note).ok_or(TrailError::Checkpoint)?;
        let read = tlog_tiles::Checkpoint::from_bytes(body.as_bytes()).map_err(|_| TrailError::Checkpoint)?;
        if read.size() == 0 || read.size() > MOST_LEAVES {
            return Err(TrailError::Checkpoint);
        }
        Ok(Self {
            note: note.to_owned(),
            size: read.size(),
            root: *read.hash(),
        })
    }

    /// Reads one checkpoint after the other.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, TrailError> {
        let (mut notes, mut note) = (Vec::new(), String::new());
        for line in text.split_inclusive('\n') {
            // What follows a signature and is none begins the next note.
            if !line.starts_with(SIGNATURE) && note.lines().last().is_some_and(|last| last.starts_with(SIGNATURE)) {
                notes.push(Self::parse(&std::mem::take(&mut note))?);
            }
            if !(note.is_empty() && line.trim().is_empty()) {
                note.push_str(line);
            }
        }
        if !note.is_empty() {
            notes.push(Self::parse(&note)?);
        }
        if notes.is_empty() {
            return Err(TrailError::Checkpoint);
        }
        Ok(notes)
    }

    /// Whether the key has signed it, beside whoever else has.
    pub fn is_signed_by(&self, key: &VerifierKey) -> bool {
        let Some((body, signatures)) = parts(&self.note) else {
            return false;
        };
        body.starts_with(&format!("{}\n", key.name))
            && signatures
                .lines()
                .any(|line| key.key.verify_note(&key.name, &format!("{body}\n{line}\n")) == Ok(body))
    }

    /// The text, with its signatures.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// How many leaves the tree had.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash of the tree.
    pub fn root(&self) -> Hash {
        self.root
    }
}

/// What was signed, and the lines of the signatures.
fn parts(note: &str) -> Option<(&str, &str)> {
    let end = note.find(&format!("\n\n{SIGNATURE}"))?;
    let (body, signatures) = (note.get(..=end)?, note.get(end + 2..)?);
    (signatures.ends_with('\n') && signatures.lines().all(|line| line.starts_with(SIGNATURE)))
        .then_some((body, signatures))
}

impl VerifierKey {
    /// A key with its name.
    pub fn new(name: &str, key: SignaturePublicKey) -> Self {
        Self {
            name: name.to_owned(),
            key,
        }
    }

    /// A key of these bytes with its name.
    pub fn of(name: &str, key: [u8; 32]) -> Self {
        Self::new(name, SignaturePublicKey::from_bytes(key))
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Result<Self, TrailError> {
        SignaturePublicKey::parse_verifier_key(text.trim())
            .map(|(name, key)| Self::new(name, key))
            .map_err(|_| TrailError::VerifierKey)
    }

    /// The id of the key: the name and the beginning of its hash.
    pub fn id(&self) -> String {
        self.key.id(&self.name)
    }

    /// The name: the origin of the checkpoints.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.key.verifier_key(&self.name))
    }
}
