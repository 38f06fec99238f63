//! A search through the whole memory of a process, for any fifteen bytes in a row of any canary.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use super::canaries::Canary;

const PIECE: usize = 8;
const PAGE: usize = 4096;
const PAGES_AT_ONCE: usize = 256;

/// The canaries, cut into pieces: whatever has fifteen bytes in a row of one has a whole piece of it.
pub(super) struct Pieces {
    names: Vec<String>,
    by_bytes: HashMap<u64, usize>,
    /// Most of what is in memory is sorted out by its first three bytes.
    beginnings: Vec<bool>,
}

impl Pieces {
    pub(super) fn of(canaries: &[Canary]) -> Self {
        let mut pieces = Self {
            names: canaries.iter().map(|canary| canary.name.clone()).collect(),
            by_bytes: HashMap::new(),
            beginnings: vec![false; 1 << 24],
        };
        for (index, canary) in canaries.iter().enumerate() {
            for piece in canary.bytes.chunks_exact(PIECE) {
                pieces.by_bytes.insert(number(piece), index);
                pieces.beginnings[beginning(piece)] = true;
            }
        }
        pieces
    }

    /// Gives up what a process has already: certificates are alike in places. That is next to nothing of it all.
    pub(super) fn without_what_is_in(mut self, process: u32) -> Self {
        let mut known = HashSet::new();
        self.search(process, |piece, _, _| {
            known.insert(piece);
        });
        assert!(
            known.len() * 20 < self.by_bytes.len(),
            "{} pieces are known",
            known.len()
        );
        self.by_bytes.retain(|piece, _| !known.contains(piece));
        self
    }

    /// Searches a process: what it has, and where.
    pub(super) fn found_in(&self, process: u32) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.search(process, |piece, place, map| {
            let name = &self.names[self.by_bytes[&piece]];
            found.insert(format!("{name} at {place:x} of {map}"));
        });
        found
    }

    fn search(&self, process: u32, mut tell: impl FnMut(u64, u64, &str)) {
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("the maps of the process can be read");
        let memory = File::open(format!("/proc/{process}/mem")).expect("the memory of the process can be read");
        let mut searched = 0;
        for map in maps.lines() {
            let fields: Vec<_> = map.split_whitespace().collect();
            let (begin, end) = fields[0].split_once('-').unwrap();
            let [begin, end] = [begin, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            let name = fields.get(5).copied().unwrap_or("anonymous memory");
            // What nobody may write is as it is in its file.
            let is_of_a_file = name.starts_with('/') && !fields[1].contains('w');
            if !fields[1].starts_with('r') || is_of_a_file || name.starts_with("[v") {
                continue;
            }
            let mut at = begin;
            while at < end {
                let wanted = usize::try_from(end - at).unwrap().min(PAGES_AT_ONCE * PAGE + PIECE);
                let mut bytes = vec![0; wanted];
                // A thread may have given memory back since the maps were read.
                let Ok(count) = memory.read_at(&mut bytes, at) else {
                    break;
                };
                searched += count;
                self.search_in(&bytes[..count], |piece, place| {
                    tell(piece, at + u64::try_from(place).unwrap(), map);
                });
                at += u64::try_from(PAGES_AT_ONCE * PAGE).unwrap();
            }
        }
        assert!(searched > 1 << 20, "so little memory was not searched in earnest");
    }

    fn search_in(&self, bytes: &[u8], mut tell: impl FnMut(u64, usize)) {
        let zeros = [0; PAGE];
        let mut at = 0;
        while at + PIECE <= bytes.len() {
            if at.is_multiple_of(PAGE) && bytes[at..].starts_with(&zeros) {
                at += PAGE - PIECE;
                continue;
            }
            let piece = &bytes[at..at + PIECE];
            if self.beginnings[beginning(piece)] && self.by_bytes.contains_key(&number(piece)) {
                tell(number(piece), at);
            }
            at += 1;
        }
    }
}

fn number(piece: &[u8]) -> u64 {
    u64::from_le_bytes(piece.try_into().unwrap())
}

fn beginning(piece: &[u8]) -> usize {
    usize::from(piece[0]) | usize::from(piece[1]) << 8 | usize::from(piece[2]) << 16
}
