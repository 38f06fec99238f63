//! The proof that an event is in the tree that a checkpoint signs (C2SP `tlog-proof`).

use data_encoding::BASE64;

use super::checkpoint::Checkpoint;
use super::error::TrailError;
use super::tree::{Hash, Hashes};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A proof with what it proves.
pub struct Proof {
    /// The bytes of the leaf.
    pub leaf: String,
    index: u64,
    path: Vec<Hash>,
    /// The checkpoint whose tree the leaf is in.
    pub checkpoint: Checkpoint,
}

/// The positions of the hashes that [`is_consistent`] needs.
pub fn consistency_positions(older: &Checkpoint, newer: &Checkpoint) -> Result<Vec<u64>, TrailError> {
    Hashes::needed(|positions| tlog_tiles::prove_tree(newer.size(), older.size(), positions))
}

/// Whether the tree of the newer checkpoint begins with that of the older one.
pub fn is_consistent(older: &Checkpoint, newer: &Checkpoint, hashes: &Hashes) -> bool {
    tlog_tiles::prove_tree(newer.size(), older.size(), hashes).is_ok_and(|proof| {
        tlog_tiles::check_tree(&proof, newer.size(), newer.root(), older.size(), older.root()).is_ok()
    })
}

impl Proof {
    /// The positions of the hashes that [`Self::new`] needs.
    pub fn positions(index: u64, checkpoint: &Checkpoint) -> Result<Vec<u64>, TrailError> {
        Hashes::needed(|positions| tlog_tiles::prove_record(checkpoint.size(), index, positions))
    }

    /// Proves that the leaf is at this place of the checkpoint's tree.
    pub fn new(leaf: String, index: u64, checkpoint: Checkpoint, hashes: &Hashes) -> Result<Self, TrailError> {
        let path = tlog_tiles::prove_record(checkpoint.size(), index, hashes)?;
        Ok(Self {
            leaf,
            index,
            path,
            checkpoint,
        })
    }

    /// Whether it proves what it says. Who signed the checkpoint is another question.
    pub fn holds(&self) -> bool {
        let hash = tlog_tiles::record_hash(self.leaf.as_bytes());
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        tlog_tiles::check_record(&self.path, size, root, self.index, hash).is_ok()
    }

    /// Which leaf it is.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The text, as other programs read it; the leaf itself is the extra data.
    pub fn text(&self) -> String {
        let path = self
            .path
            .iter()
            .fold(String::new(), |path, hash| path + &hash.to_string() + "\n");
        format!(
            "{FIRST_LINE}\nextra {}\nindex {}\n{path}\n{}",
            BASE64.encode(self.leaf.as_bytes()),
            self.index,
            self.checkpoint.note()
        )
    }

    /// Reads what [`Self::text`] writes.
    pub fn parse(text: &str) -> Result<Self, TrailError> {
        let (head, note) = text.split_once("\n\n").ok_or(TrailError::Proof)?;
        let mut lines = head.lines();
        let mut line = || lines.next().ok_or(TrailError::Proof);
        if line()? != FIRST_LINE {
            return Err(TrailError::Proof);
        }
        let extra = line()?.strip_prefix("extra ").ok_or(TrailError::Proof)?;
        let leaf = BASE64.decode(extra.as_bytes()).map_err(|_| TrailError::Proof)?;
        let index = line()?.strip_prefix("index ").and_then(|index| index.parse().ok());
        let path = lines.map(Hash::parse_hash).collect::<Result<_, _>>();
        Ok(Self {
            leaf: String::from_utf8(leaf).map_err(|_| TrailError::Proof)?,
            index: index.ok_or(TrailError::Proof)?,
            path: path.map_err(|_| TrailError::Proof)?,
            checkpoint: Checkpoint::parse(note).map_err(|_| TrailError::Proof)?,
        })
    }
}
