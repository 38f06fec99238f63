//! How a connection ends: the last answer is written, and what the client still sends is thrown away for a time. The operating
//! system resets a connection that is closed with bytes of the client unread, which may overtake the answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use zeroize::Zeroizing;

/// How a connection ends.
pub(super) struct Ending {
    /// How long the client is waited for.
    linger: Duration,
    /// Runs from the end of what is written.
    lingers: Option<Pin<Box<Sleep>>>,
    told: Option<Told>,
}

/// What stands in the place of a bare answer.
struct Told {
    answer: Vec<u8>,
    written: usize,
}

impl Ending {
    pub(super) fn new(linger: Duration) -> Self {
        Self {
            linger,
            lingers: None,
            told: None,
        }
    }

    /// Writes this as the last answer, and ends the connection.
    pub(super) fn tell<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        context: &mut Context<'_>,
        answer: impl FnOnce() -> Vec<u8>,
    ) -> Poll<io::Result<()>> {
        let told = self.told.get_or_insert_with(|| Told {
            answer: answer(),
            written: 0,
        });
        while let Some(rest) = told.answer.get(told.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut *io).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => told.written += count,
            }
        }
        self.end(io, context, true)
    }

    /// Ends the connection, on which more of the client is awaited or not.
    pub(super) fn end<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        context: &mut Context<'_>,
        is_awaited: bool,
    ) -> Poll<io::Result<()>> {
        let mut is_awaited = is_awaited || self.lingers.is_some();
        if self.lingers.is_none() {
            ready!(Pin::new(&mut *io).poll_shutdown(context))?;
        }
        let time = self.linger;
        let lingers = self.lingers.get_or_insert_with(|| Box::pin(sleep(time)));
        let mut bytes = Zeroizing::new([0; 4096]);
        while lingers.as_mut().poll(context).is_pending() {
            let mut unread = ReadBuf::new(bytes.as_mut_slice());
            match Pin::new(&mut *io).poll_read(context, &mut unread) {
                Poll::Pending if is_awaited => return Poll::Pending,
                Poll::Ready(Ok(())) if !unread.filled().is_empty() => is_awaited = true,
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
