//! The end of a connection that the network is at, below TLS. A client that takes too little of what is written is cut off
//! here, where it shows how much moves; and what an earlier request left in the buffer that is read into is wiped
//! here, as soon as there is nothing more to read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How much a client takes at least, in the time that it has for that, unless there is less to take. With the default of
/// `limits.stall_seconds` that is 546 bytes in a second.
const LEAST: usize = 16 * 1024;

/// A socket whose client has to take what it is sent.
pub(super) struct Socket<T> {
    io: T,
    /// In which time it takes [`LEAST`].
    stall_time: Duration,
    stall: Option<Stall>,
}

/// A client that has not taken everything at once.
struct Stall {
    ends: Pin<Box<Sleep>>,
    taken: usize,
}

impl<T> Socket<T> {
    pub(super) fn new(io: T, stall_time: Duration) -> Self {
        Self {
            io,
            stall_time,
            stall: None,
        }
    }

    pub(super) fn io(&self) -> &T {
        &self.io
    }

    /// What a write came to, unless the client has taken too little for too long.
    fn unless_stalled(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => {
                self.stall = self.stall.take().and_then(|stall| stall.unless_taken(count));
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                let time = self.stall_time;
                let stall = self.stall.get_or_insert_with(|| Stall {
                    ends: Box::pin(sleep(time)),
                    taken: 0,
                });
                ready!(stall.ends.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl Stall {
    /// Goes on, unless the client has taken enough with these bytes.
    fn unless_taken(mut self, count: usize) -> Option<Self> {
        self.taken = self.taken.saturating_add(count);
        (self.taken < LEAST).then_some(self)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.get_mut().io).poll_read(context, buffer);
        if result.is_pending() {
            // TLS decrypts where it has read, and keeps the place.
            buffer.initialize_unfilled().fill(0);
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Socket<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.unless_stalled(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(context, slices);
        this.unless_stalled(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever writes asks for this once everything was taken.
        let this = self.get_mut();
        this.stall = None;
        Pin::new(&mut this.io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    const STALL_TIME: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let (near, _far) = duplex(7);
        let begun = Instant::now();
        let error = Socket::new(near, STALL_TIME).write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), STALL_TIME);
    }

    #[tokio::test]
    async fn what_was_read_earlier_is_wiped_when_there_is_nothing_more() {
        let (near, _far) = duplex(7);
        let mut socket = Socket::new(near, STALL_TIME);
        let mut bytes = *b"left over";
        let mut buffer = ReadBuf::new(&mut bytes);
        buffer.set_filled(4);
        std::future::poll_fn(|context| {
            assert!(Pin::new(&mut socket).poll_read(context, &mut buffer).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(&bytes, b"left\0\0\0\0\0");
    }

    /// What comes of writing to a client that takes so much, again and again, in four fifths of its time.
    async fn written_to_one_that_takes(count: usize) -> io::Result<()> {
        let (near, mut far) = duplex(count);
        let reader = async move {
            let mut buffer = vec![0; count];
            while far.read_exact(&mut buffer).await.is_ok() {
                sleep(STALL_TIME * 4 / 5).await;
            }
        };
        let sender = async move { Socket::new(near, STALL_TIME).write_all(&vec![0; 20 * count]).await };
        tokio::join!(reader, sender).1
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_a_few_bytes_now_and_then_is_cut_off_and_one_that_takes_enough_is_not() {
        let error = written_to_one_that_takes(7).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        written_to_one_that_takes(LEAST).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_one_answer_does_not_run_on_in_the_next() {
        let (near, mut far) = duplex(7);
        let mut socket = Socket::new(near, STALL_TIME);
        let reader = async move {
            for _ in 0..2 {
                sleep(STALL_TIME * 4 / 5).await;
                far.read_exact(&mut [0; 14]).await.unwrap();
            }
        };
        let sender = async move {
            for _ in 0..2 {
                socket.write_all(&[0; 14]).await?;
                socket.flush().await?;
            }
            io::Result::Ok(())
        };
        tokio::join!(reader, sender).1.unwrap();
    }
}
