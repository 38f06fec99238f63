//! The Merkle tree (RFC 6962), of which only the right edge is needed to grow it: full subtrees are stored, and read again
//! for proofs.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tlog_tiles::{HashReader, stored_hash_count, stored_hash_index, stored_hashes_for_record_hash, sub_tree_index};

use super::error::TrailError;

/// A hash of the tree.
pub use tlog_tiles::Hash;

/// Some hashes of a tree, by their positions.
#[derive(Default, Clone)]
pub struct Hashes(BTreeMap<u64, Hash>);

/// A tree that grows: how large it is, and the hashes of its right edge.
pub struct Tree {
    size: u64,
    edge: Hashes,
}

/// The positions of the hashes that make up the right edge of a tree: those of its largest full subtrees.
pub fn positions_of_edge(size: u64) -> Vec<u64> {
    sub_tree_index(0, size, Vec::new())
}

/// How many hashes are stored of a tree, and so the position of the first one of its next leaf.
pub fn hashes_before(size: u64) -> u64 {
    stored_hash_count(size)
}

impl Tree {
    /// The tree without leaves.
    pub fn empty() -> Self {
        Self {
            size: 0,
            edge: Hashes::default(),
        }
    }

    /// A tree of this size, with this right edge.
    pub fn new(size: u64, edge: Hashes) -> Result<Self, TrailError> {
        let tree = Self { size, edge };
        // A hash that is not there is noticed now and not in the middle.
        tree.root()?;
        Ok(tree)
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash of the whole tree.
    pub fn root(&self) -> Result<Hash, TrailError> {
        Ok(tlog_tiles::tree_hash(self.size, &self.edge)?)
    }

    /// Adds a leaf; answers the hashes that are to be stored, with their positions.
    pub fn push(&mut self, leaf: Hash) -> Result<Vec<(u64, Hash)>, TrailError> {
        let first = stored_hash_index(0, self.size);
        let stored: Vec<_> = (first..)
            .zip(stored_hashes_for_record_hash(self.size, leaf, &self.edge)?)
            .collect();
        self.edge.0.extend(stored.iter().copied());
        self.size += 1;
        let edge = positions_of_edge(self.size);
        self.edge.0.retain(|position, _| edge.contains(position));
        Ok(stored)
    }
}

impl Hashes {
    /// The positions of the hashes that a computation asks for.
    pub fn needed(
        compute: impl FnOnce(&Positions) -> Result<Vec<Hash>, tlog_tiles::Error>,
    ) -> Result<Vec<u64>, TrailError> {
        let positions = Positions::default();
        compute(&positions)?;
        Ok(positions.0.into_inner())
    }

    /// The hash at a position.
    pub fn get(&self, position: u64) -> Option<Hash> {
        self.0.get(&position).copied()
    }

    /// The hash of a leaf.
    pub fn of_leaf(&self, index: u64) -> Option<Hash> {
        self.get(stored_hash_index(0, index))
    }

    /// The hashes at these positions, in their order.
    pub fn at(&self, positions: &[u64]) -> Result<Vec<Hash>, TrailError> {
        Ok(self.read_hashes(positions)?)
    }
}

impl FromIterator<(u64, Hash)> for Hashes {
    fn from_iter<I: IntoIterator<Item = (u64, Hash)>>(hashes: I) -> Self {
        Self(hashes.into_iter().collect())
    }
}

impl HashReader for Hashes {
    fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let hash = |position| self.0.get(position).copied().ok_or(tlog_tiles::Error::IndexesNotInTree);
        positions.iter().map(hash).collect()
    }
}

/// Answers no hash, and notes which were asked for.
#[derive(Default)]
pub struct Positions(RefCell<Vec<u64>>);

impl HashReader for Positions {
    fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        self.0.borrow_mut().extend(positions);
        Ok(vec![Hash::default(); positions.len()])
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// The leaves and roots that logs of Certificate Transparency (RFC 6962) are tested with.
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn the_tree_is_that_of_rfc_6962_whatever_size_it_is_taken_up_at() {
        let mut stored = Hashes::default();
        for (size, (leaf, root)) in (1..).zip(LEAVES.iter().zip(ROOTS)) {
            // As a sealer does that knows nothing but what is stored.
            let edge = positions_of_edge(size - 1)
                .into_iter()
                .map(|position| (position, stored.get(position).unwrap()));
            let mut tree = Tree::new(size - 1, edge.collect()).unwrap();
            let leaf = HEXLOWER.decode(leaf.as_bytes()).unwrap();
            let hashes = tree.push(tlog_tiles::record_hash(&leaf)).unwrap();
            assert_eq!(hashes[0].0, hashes_before(size - 1));
            stored.0.extend(hashes);
            assert_eq!(HEXLOWER.encode(&tree.root().unwrap().0), root, "{size}");
            assert_eq!(stored.0.len(), usize::try_from(hashes_before(size)).unwrap());
        }
    }

    #[test]
    fn a_tree_whose_edge_is_incomplete_is_none() {
        assert!(Tree::new(3, Hashes::default()).is_err());
    }
}
