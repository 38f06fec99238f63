//! Verifying an export, without the vault.

use super::checkpoint::{Checkpoint, VerifierKey};
use super::error::TrailError;
use super::export::{ExportLine, ExportReader};
use super::problem::{Problem, of_leaf};
use super::verifier::{Verdict, Verifier};

/// What an export was found to be.
pub struct ExportVerdict {
    /// What was found.
    pub verdict: Verdict,
    /// The keys that the checkpoints were held against.
    pub keys: Vec<VerifierKey>,
    /// The index of the first leaf.
    pub first_leaf: u64,
}

/// Verifies an export line by line against the checkpoint in it, and against others. Where no key is given, the one in the
/// export is taken: then it is for the reader to compare it with one that came another way.
pub fn verify_export<E: From<TrailError>>(
    mut lines: impl Iterator<Item = Result<String, E>>,
    checkpoints: &[Checkpoint],
    keys: &[VerifierKey],
) -> Result<ExportVerdict, E> {
    let first_line = lines.next().ok_or(TrailError::Line(1))??;
    let mut reader = ExportReader::new(&first_line)?;
    let keys = match keys {
        [] => vec![VerifierKey::parse(&reader.header.key)?],
        keys => keys.to_vec(),
    };
    let first_leaf = reader.header.first_leaf;
    let mut verifier = Verifier::new(first_leaf, &reader.left)?;
    for checkpoint in checkpoints {
        if is_signed(checkpoint, &keys) && checkpoint.size() < first_leaf {
            return Err(TrailError::Older {
                size: checkpoint.size(),
                first_leaf,
            }
            .into());
        }
        hold(&mut verifier, checkpoint, &keys)?;
    }
    let mut is_covered = false;
    for line in lines {
        match reader.read(&line?)? {
            ExportLine::Leaf(entry) => drop(verifier.take(&entry)?),
            ExportLine::Stray(account_sid, event_sid) => verifier.find_stray(account_sid, event_sid),
            ExportLine::Unsigned(size) => verifier.find_at(size.saturating_sub(1), Problem::Signature { size }),
            ExportLine::Checkpoint(checkpoint) => {
                hold(&mut verifier, &checkpoint, &keys)?;
                is_covered = true;
            }
        }
    }
    if !is_covered {
        return Err(TrailError::Uncovered.into());
    }
    Ok(ExportVerdict {
        verdict: verifier.finish(reader.header.is_everything),
        keys,
        first_leaf,
    })
}

fn is_signed(checkpoint: &Checkpoint, keys: &[VerifierKey]) -> bool {
    keys.iter().any(|key| checkpoint.is_signed_by(key))
}

fn hold(verifier: &mut Verifier, checkpoint: &Checkpoint, keys: &[VerifierKey]) -> Result<(), TrailError> {
    if is_signed(checkpoint, keys) {
        return verifier.expect(checkpoint);
    }
    let size = checkpoint.size();
    verifier.find(of_leaf(size.saturating_sub(1), Problem::Signature { size }));
    Ok(())
}
