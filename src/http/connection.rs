//! The connection below HTTP, where two things are done that nothing above it can do.
//!
//! A request head that cannot be read, or does not come, is refused by the HTTP parser itself: by a bare status line, which
//! no service or middleware ever sees. Such an answer is told here in our words, with a request SID and the error body.
//! And a client that takes nothing of its answer is cut off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Makes the whole answer, head and body, from the bare head that the parser wrote.
pub(super) type Refusal = fn(bare_head: &str) -> Vec<u8>;

/// What ends the head of an answer.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What begins one.
const HEAD_BEGIN: &[u8] = b"HTTP/1.1 ";

/// Every answer of ours has it; the parser's do not.
const OUR_MARK: &str = "\r\ntwilio-request-id: ";

/// A connection.
pub(super) struct Connection<T> {
    io: T,
    refusal: Refusal,
    /// What stands in the place of a bare answer and is not written yet.
    pending: Vec<u8>,
    stall_time: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T: AsyncWrite + Unpin> Connection<T> {
    pub(super) fn new(io: T, stall_time: Duration, refusal: Refusal) -> Self {
        Self {
            io,
            refusal,
            pending: Vec::new(),
            stall_time,
            stalled: None,
        }
    }

    /// Writes, and gives up on a client that has taken nothing for too long.
    fn write(&mut self, context: &mut Context<'_>, bytes: Option<&[u8]>) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes.unwrap_or(&self.pending));
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.stall_time)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn write_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = ready!(self.write(context, None))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

/// The bytes of a write, cut where the parser's bare answer begins. That is always the last thing on its connection, and
/// none of our bodies ends as a head does.
fn bare_answer(bytes: &[u8]) -> Option<(&[u8], &str)> {
    if !bytes.ends_with(HEAD_END) {
        return None;
    }
    let begin = bytes
        .windows(HEAD_BEGIN.len())
        .rposition(|window| window == HEAD_BEGIN)?;
    let (before, head) = bytes.split_at_checked(begin)?;
    let head = std::str::from_utf8(head).ok()?;
    let is_refusal = matches!(head.as_bytes().get(HEAD_BEGIN.len()), Some(b'4' | b'5'));
    (is_refusal && !head.contains(OUR_MARK)).then_some((before, head))
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.write_pending(context))?;
        let Some((before, bare_head)) = bare_answer(bytes) else {
            return this.write(context, Some(bytes));
        };
        this.pending.extend_from_slice(before);
        this.pending.extend((this.refusal)(bare_head));
        // The bytes are taken over; what of them cannot be written now is written by a later call.
        match this.write_pending(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.write_pending(context))?;
        Pin::new(&mut this.io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.write_pending(context))?;
        Pin::new(&mut this.io).poll_shutdown(context)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(context, buffer)
    }
}

#[cfg(test)]
#[expect(clippy::string_slice, clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const OURS: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\ntwilio-request-id: RQ\r\n\r\n";

    fn refusal(bare_head: &str) -> Vec<u8> {
        format!("refused {}", &bare_head[9..12]).into_bytes()
    }

    /// What a client sees of these writes, through a pipe that takes only a few bytes at a time.
    async fn seen(writes: &[&[u8]]) -> Vec<u8> {
        let (near, mut far) = duplex(7);
        let mut connection = Connection::new(near, Duration::from_secs(5), refusal);
        let reading = async {
            let mut seen = Vec::new();
            far.read_to_end(&mut seen).await.unwrap();
            seen
        };
        let writing = async move {
            for bytes in writes {
                connection.write_all(bytes).await.unwrap();
            }
            connection.shutdown().await.unwrap();
        };
        tokio::join!(reading, writing).0
    }

    #[tokio::test]
    async fn a_bare_refusal_is_told_in_our_words_and_nothing_else_is_touched() {
        assert_eq!(seen(&[BARE]).await, b"refused 400");
        assert_eq!(seen(&[OURS]).await, OURS);
        assert_eq!(seen(&[OURS, BARE]).await, [OURS, b"refused 400"].concat());
        assert_eq!(seen(&[&[OURS, BARE].concat()]).await, [OURS, b"refused 400"].concat());
        let fine = b"HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n";
        assert_eq!(seen(&[fine]).await, fine);
        let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(seen(&[go_on]).await, go_on);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let (near, _far) = duplex(7);
        let mut connection = Connection::new(near, Duration::from_secs(5), refusal);
        let error = connection.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
