//! Publishing checkpoints: the newest one goes to places that no operator of the database can reach. One that contradicts
//! the one that was published before it never takes its place.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::error::VaultError;
use super::sealed::Continuation;
use super::vault::Vault;
use crate::config::CheckpointSettings;
use crate::telemetry::{Poster, chain};
use crate::trail::Checkpoint;

/// How often the newest checkpoint is looked for.
const EVERY: Duration = Duration::from_secs(1);

/// Where checkpoints go, and what is there.
pub struct Publisher {
    file: Option<PathBuf>,
    url: Option<Poster>,
    /// The newest checkpoint that this process published.
    last: Option<Checkpoint>,
    /// How many leaves that covers which the address has.
    url_has: u64,
    /// What was told to the log.
    told: Option<String>,
}

/// Why a checkpoint was not published.
#[derive(Debug, thiserror::Error)]
enum Unpublished {
    #[error("the newest checkpoint cannot be read")]
    Vault(#[from] VaultError),
    #[error("checkpoint.file holds something else than a checkpoint: move it away, and look who put it there")]
    Foreign,
    #[error("checkpoint.file cannot be read or written")]
    File(#[source] io::Error),
    #[error("checkpoint.url did not take the checkpoint")]
    Url(#[source] crate::telemetry::PostError),
    #[error(
        "the newest checkpoint is not signed by the key in use: after a restore with another root key that passes by itself"
    )]
    Unsigned,
    #[error(
        "the checkpoint in checkpoint.file is older than what was pruned, and can be compared with nothing: move it away"
    )]
    Pruned,
    #[error(
        "the audit trail contradicts the checkpoint that was published before: it was changed, cut off, or restored from \
         before; see docs/runbooks.md, \"The audit trail is not whole\""
    )]
    Contradiction,
}

impl Publisher {
    /// Makes ready to publish.
    pub fn new(settings: &CheckpointSettings) -> Result<Self, crate::telemetry::PostError> {
        Ok(Self {
            file: settings.file.clone(),
            url: settings.url.as_ref().map(|url| Poster::new(url.as_str())).transpose()?,
            last: None,
            url_has: 0,
            told: None,
        })
    }
}

impl Vault {
    /// Publishes the newest checkpoint, for as long as it is polled.
    pub async fn keep_publishing(&self, mut publisher: Publisher) -> Infallible {
        if publisher.file.is_none() && publisher.url.is_none() {
            std::future::pending::<()>().await;
        }
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let result = self.publish(&mut publisher).await;
            let is_intact = !matches!(result, Err(Unpublished::Contradiction));
            self.metrics.audit_intact.of(["published".into()]).set(is_intact.into());
            let cause = result.err().map(|error| chain(&error));
            if let Some(cause) = cause.as_ref().filter(|_| publisher.told != cause) {
                tracing::error!(cause, "the checkpoint of the audit trail was not published");
            }
            publisher.told = cause;
        }
    }

    async fn publish(&self, publisher: &mut Publisher) -> Result<(), Unpublished> {
        // Every time, and before the newest one is asked for: other replicas write to the file too, and the slower of two
        // may have put an older one there.
        let in_file = match &publisher.file {
            Some(file) => self.counted("file", read(file).await),
            None => Ok(None),
        };
        let before = [publisher.last.as_ref(), in_file.as_ref().ok().and_then(Option::as_ref)];
        let newest = self.store.answer(self.store.newest_checkpoint()).await;
        let newest = newest.map_err(VaultError::from)?;
        let Some(newest) = newest else {
            let is_first = before.iter().all(Option::is_none);
            return if is_first {
                in_file.map(drop)
            } else {
                Err(Unpublished::Contradiction)
            };
        };
        if !newest.is_signed_by(&self.verifier_key()) {
            return Err(Unpublished::Unsigned);
        }
        let mut continued = Ok(());
        for last in before.into_iter().flatten() {
            continued = continued.and(self.require_continued(last, &newest).await);
        }
        if matches!(continued, Err(Unpublished::Pruned)) {
            // What the file holds decides from now on: who moves it away has the newest one there.
            publisher.last = None;
        }
        continued?;
        let size = newest.size();
        // Whatever one of them does, the other has it.
        let mut result = match (&publisher.file, in_file) {
            (Some(file), Ok(in_file)) if in_file.as_ref().map(Checkpoint::size) != Some(size) => {
                self.counted("file", write(file, newest.note()).await.map_err(Unpublished::File))
            }
            (_, in_file) => in_file.map(drop),
        };
        if let Some(url) = publisher.url.as_ref().filter(|_| publisher.url_has != size) {
            let posted = url.post("text/plain; charset=utf-8", newest.note().to_owned()).await;
            let posted = self.counted("url", posted.map_err(Unpublished::Url));
            publisher.url_has = if posted.is_ok() { size } else { publisher.url_has };
            result = result.and(posted);
        }
        publisher.last = Some(newest);
        result
    }

    /// The tree of the newest checkpoint has all that the one before has.
    async fn require_continued(&self, last: &Checkpoint, newest: &Checkpoint) -> Result<(), Unpublished> {
        match self.store.answer(self.continuation(last, newest)).await? {
            Continuation::Proven => Ok(()),
            Continuation::Pruned => Err(Unpublished::Pruned),
            Continuation::Contradicted => Err(Unpublished::Contradiction),
        }
    }

    fn counted<T>(&self, sink: &'static str, result: Result<T, Unpublished>) -> Result<T, Unpublished> {
        if result.is_err() {
            self.metrics.audit_publish_failures.of([sink.into()]).inc();
        }
        result
    }
}

/// The checkpoint in the file; none where there is no file.
async fn read(file: &Path) -> Result<Option<Checkpoint>, Unpublished> {
    match tokio::fs::read_to_string(file).await {
        Ok(text) => Checkpoint::parse(&text).map(Some).map_err(|_| Unpublished::Foreign),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unpublished::File(error)),
    }
}

/// Puts the checkpoint in the place of the one before: whoever reads the file sees one or the other.
async fn write(file: &Path, note: &str) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    // Several replicas may write to one volume, each in a container where its process has the same number.
    name.push(format!(".{}.new", Uuid::new_v4()));
    let new = file.with_file_name(name);
    let written = replace(file, &new, note).await;
    if written.is_err() {
        // Nothing to do about it if that fails too.
        let _ = tokio::fs::remove_file(&new).await;
    }
    written
}

async fn replace(file: &Path, new: &Path, note: &str) -> io::Result<()> {
    let mut output = tokio::fs::File::create_new(new).await?;
    output.write_all(note.as_bytes()).await?;
    output.sync_all().await?;
    tokio::fs::rename(new, file).await
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::write;

    #[tokio::test]
    async fn who_reads_the_file_while_several_replicas_write_it_sees_one_whole_checkpoint() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("checkpoint.txt");
        let notes = ["a".repeat(4096), "b".repeat(8192)];
        write(&file, &notes[0]).await.unwrap();
        let writers = notes.clone().map(|note| {
            let file = file.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    write(&file, &note).await.unwrap();
                }
            })
        });
        while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
            let seen = tokio::fs::read_to_string(&file).await.unwrap();
            assert!(notes.contains(&seen), "{} bytes", seen.len());
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
