//! Exporting the sealed audit trail.

use std::io;

use serde_json::Value;
use time::OffsetDateTime;

use super::audit_trail::{BATCH, MOST_OVERDUE, nothing};
use super::error::VaultError;
use super::sealed::LostKey;
use super::vault::Vault;
use crate::trail::{
    Checkpoint, ExportFormat, ExportHeader, MOST_LEAVES, checkpoint_line, header_line, leaf_line, positions_of_edge,
    stray_line, unsigned_line,
};

/// Takes the lines of an export.
pub(super) type Write<'a> = &'a mut (dyn FnMut(&Value) -> io::Result<()> + Send);

/// Where an export begins.
struct Beginning {
    first: u64,
    /// How many leaves had been cut off by then.
    pruned: u64,
    /// The checkpoint that ends there.
    before: Option<Checkpoint>,
}

impl Vault {
    /// Writes the trail as an export, from the first event that is not from before a time. Answers why what waits is not in
    /// it, if so.
    pub async fn export_trail(
        &self,
        since: Option<OffsetDateTime>,
        format: ExportFormat,
        write: Write<'_>,
    ) -> Result<Option<String>, VaultError> {
        let mut put = |line: &Value| write(line).map_err(|error| not_written(&error));
        let unsealed = self.seal_if_it_fits().await?;
        let lost = self.lost_keys().await?;
        let overdue = self.store.waiting(MOST_OVERDUE).await?;
        let (_, covered) = self.store.extent().await?;
        let newest = self.signed_up_to(MOST_LEAVES, &lost).await?.ok_or_else(nothing)?;
        let beginning = self.beginning(since, &newest, &lost).await?;
        let first = beginning.first;
        let edge = self.store.hashes(&positions_of_edge(first)).await?;
        let left = edge.at(&positions_of_edge(first))?;
        let key = self.verifier_key();
        let mut header = ExportHeader::new(format, key.name(), key.to_string(), first, &left);
        header.is_everything = since.is_none();
        put(&header_line(&header))?;
        if let Some(before) = &beginning.before {
            put(&checkpoint_line(before))?;
        }
        let mut from = first;
        while from < newest.size() {
            let to = newest.size().min(from + BATCH);
            let found = self.entries(from, to, &lost).await?;
            for entry in &found.entries {
                put(&leaf_line(format, entry)?)?;
            }
            for (account_sid, event_sid) in &found.doubled {
                put(&stray_line(account_sid, event_sid))?;
            }
            from = to;
        }
        // Where nobody has signed what is said to be covered, nobody seals, and the tree does not grow.
        let covered = (covered > newest.size()).then_some(newest.size());
        let (unsealed, strays) = self.strays(unsealed, &overdue, covered).await?;
        for (account_sid, event_sid) in strays {
            put(&stray_line(&account_sid, &event_sid))?;
        }
        put(&checkpoint_line(&newest))?;
        // One that nobody signed is told of too, so that it is named wherever the export is verified.
        if let Some(size) = self.unsigned_checkpoint(&lost).await? {
            put(&unsigned_line(size))?;
        }
        if self.store.pruned().await? != beginning.pruned {
            return Err(VaultError::NotNow(
                "the audit trail was pruned in the meantime, and parts of this export are missing: export it again"
                    .to_owned(),
            ));
        }
        Ok(unsealed)
    }

    /// It begins where a checkpoint ends: who has that one can hold the export against it.
    async fn beginning(
        &self,
        since: Option<OffsetDateTime>,
        newest: &Checkpoint,
        lost: &[LostKey],
    ) -> Result<Beginning, VaultError> {
        let pruned = self.store.pruned().await?;
        let Some(since) = since else {
            return Ok(Beginning {
                first: pruned,
                pruned,
                before: None,
            });
        };
        let leaf = self.store.first_leaf_since(since).await?.unwrap_or(newest.size());
        let before = self.signed_up_to(leaf, lost).await?;
        let first = before.as_ref().map_or(0, Checkpoint::size).max(pruned);
        let key = self.verifier_key();
        Ok(Beginning {
            first,
            pruned,
            before: before.filter(|before| before.size() == first && before.is_signed_by(&key)),
        })
    }

    /// How many leaves the largest checkpoint is said to have, where nobody signed it.
    async fn unsigned_checkpoint(&self, lost: &[LostKey]) -> Result<Option<u64>, VaultError> {
        let Some((size, note)) = self.store.checkpoint_up_to(i64::MAX.unsigned_abs()).await? else {
            return Ok(None);
        };
        let checkpoint = Checkpoint::parse(&note).ok();
        let is_signed = checkpoint.is_some_and(|read| read.size() == size && self.is_signed(&read, lost));
        Ok((!is_signed).then_some(size))
    }
}

fn not_written(error: &io::Error) -> VaultError {
    VaultError::NotNow(format!("the export could not be written: {error}"))
}
