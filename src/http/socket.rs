//! The end of a connection that the network is at, below TLS. A client that takes nothing of what is written is cut off
//! here, where it shows whether anything moves; and what an earlier request left in the buffer that is read into is wiped
//! here, as soon as there is nothing more to read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A socket with some patience.
pub(super) struct Socket<T> {
    io: T,
    /// How long the client may take nothing.
    patience: Duration,
    /// Runs while it does.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> Socket<T> {
    pub(super) fn new(io: T, patience: Duration) -> Self {
        Self {
            io,
            patience,
            stalled: None,
        }
    }

    pub(super) fn io(&self) -> &T {
        &self.io
    }

    /// What a write came to, unless the client has taken nothing for too long.
    fn unless_stalled<W>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<W>>) -> Poll<io::Result<W>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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
        Pin::new(&mut self.get_mut().io).poll_flush(context)
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

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let (near, _far) = duplex(7);
        let begun = Instant::now();
        let error = Socket::new(near, PATIENCE).write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), PATIENCE);
    }

    #[tokio::test]
    async fn what_was_read_earlier_is_wiped_when_there_is_nothing_more() {
        let (near, _far) = duplex(7);
        let mut socket = Socket::new(near, PATIENCE);
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

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_a_little_now_and_then_is_not() {
        let (near, mut far) = duplex(7);
        let reader = async move {
            let mut buffer = [0; 7];
            for _ in 0..10 {
                sleep(PATIENCE * 4 / 5).await;
                far.read_exact(&mut buffer).await.unwrap();
            }
        };
        let mut socket = Socket::new(near, PATIENCE);
        let ((), written) = tokio::join!(reader, socket.write_all(&[0; 70]));
        written.unwrap();
    }
}
