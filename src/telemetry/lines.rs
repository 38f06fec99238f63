//! Places for lines: a stream of the process, or a file that is begun anew from time to time.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;

use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};

use super::queue::{Queue, Trouble};
use crate::config::{AuditFile, FileRotation};
use crate::metrics::Sink;

/// Where the log of a service goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Of `serve`.
    Stdout,
    /// Of `dev`, which greets on standard output.
    Stderr,
}

/// A place for lines. One that was cut off by an error is ended before the next one, which then is whole.
struct Lines<W> {
    place: W,
    is_torn: bool,
}

impl<W: Write> Lines<W> {
    fn new(place: W) -> Self {
        Self { place, is_torn: false }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.place.write_all(b"\n")?;
            self.is_torn = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.place.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.is_torn = !rest.is_empty();
        }
        Ok(())
    }

    fn write_all(&mut self, lines: &[Vec<u8>]) -> Result<(), Trouble> {
        let mut trouble: Option<Trouble> = None;
        for line in lines {
            if let Err(error) = self.write(line) {
                trouble.get_or_insert_with(|| Trouble::new(0, &error)).lost += 1;
            }
        }
        trouble.map_or(Ok(()), Err)
    }
}

/// A queue before a stream of the process.
pub(super) fn stream(stream: Stream) -> io::Result<Queue<Vec<u8>>> {
    // The stream itself, so that nobody who prints waits for the one who writes here.
    let stream = match stream {
        Stream::Stdout => io::stdout().as_fd().try_clone_to_owned(),
        Stream::Stderr => io::stderr().as_fd().try_clone_to_owned(),
    };
    let mut lines = Lines::new(File::from(stream?));
    Queue::begin(Sink::Log, move |batch: Vec<Vec<u8>>, tell| {
        if let Err(trouble) = lines.write_all(&batch) {
            tell(&trouble);
        }
    })
}

/// A queue before a file, which is made when there is the first line for it: a command that only reads makes none.
pub(super) fn file(settings: &AuditFile) -> io::Result<Queue<Vec<u8>>> {
    let settings = settings.clone();
    let mut lines = None;
    Queue::begin(Sink::AuditFile, move |batch: Vec<Vec<u8>>, tell| {
        let result = match &mut lines {
            Some(lines) => Lines::write_all(lines, &batch),
            None => open(&settings)
                .map_err(|error| Trouble::new(batch.len(), &error))
                .and_then(|file| lines.insert(Lines::new(file)).write_all(&batch)),
        };
        if let Err(trouble) = result {
            tell(&trouble);
        }
    })
}

/// Opens the file of the day, which is made if need be, and removes those that are too many.
pub(super) fn open(settings: &AuditFile) -> Result<RollingFileAppender, InitError> {
    // The appender makes room for a file that it is about to make, and does so too when the file of the day is there: with
    // one more than is wanted, it never removes one that is. Without rotation there is none but that of the day.
    let most = match (settings.rotation, settings.keep) {
        (FileRotation::Never, _) | (_, 0) => 0,
        (_, keep) => keep.saturating_add(1),
    };
    RollingFileAppender::builder()
        .rotation(match settings.rotation {
            FileRotation::Daily => Rotation::DAILY,
            FileRotation::Hourly => Rotation::HOURLY,
            FileRotation::Never => Rotation::NEVER,
        })
        .filename_prefix(&settings.name)
        .max_log_files(most)
        .build(&settings.directory)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// A place with so much room.
    struct Room(Vec<u8>, usize);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.1);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.extend(bytes.iter().take(taken));
            self.1 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_cut_off_spoils_no_other() {
        let mut lines = Lines::new(Room(Vec::new(), 7));
        let batch = ["first\n", "second\n", "third\n"].map(|line| line.as_bytes().to_vec());

        let trouble = lines.write_all(&batch).err().unwrap();

        assert_eq!(trouble.lost, 2);
        assert_eq!(lines.place.0, b"first\ns");
        lines.place.1 = 100;
        assert!(lines.write_all(&batch).is_ok());
        assert_eq!(lines.place.0, b"first\ns\nfirst\nsecond\nthird\n");

        // One that did not begin leaves no empty line behind.
        lines.place.1 = 0;
        assert_eq!(lines.write_all(&batch).err().unwrap().lost, 3);
        lines.place.1 = 6;
        assert_eq!(lines.write_all(&batch).err().unwrap().lost, 2);
        assert!(lines.place.0.ends_with(b"third\nfirst\n"));
    }
}
