//! The connection below HTTP, where things are done that nothing above it can do.
//!
//! The HTTP parser gets the bytes of one request and none behind them: these wait in the kernel, but for what came in one
//! read with the end of the request. A head that has too many bytes is refused as they arrive.
//!
//! A request head that cannot be read, or does not come, is refused by the parser itself: by a bare status line, which no
//! service or middleware ever sees. Such an answer is told here in our words, with a request SID and the error body.
//!
//! A connection that fails is to the parser one whose client says no more: it drops no request that is under way.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zeroize::Zeroizing;

use super::activity::Activity;
use super::ending::Ending;
use super::exchange::{Exchange, Next};
use super::head::{bare_answer, stays_open};

/// How much is read at once while nobody knows where the request ends, at most. So much of what comes behind it may be held
/// here.
const READ_AHEAD: usize = 4096;

/// Makes the whole answer, head and body, from the bare head that the parser wrote.
pub(super) type Refusal = Rc<dyn Fn(&str) -> Vec<u8>>;

/// What a client may ask of a connection.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes of a request's head, as they come.
    pub(super) head_bytes: usize,
    /// How long what is not read is waited for at the end: a client that still sends would else never read its answer.
    pub(super) linger: Duration,
}

/// A connection.
pub(super) struct Connection<T> {
    io: T,
    head_bytes: usize,
    refusal: Refusal,
    /// Ends the connection as soon as nothing goes on; none once it has come.
    farewell: Option<Farewell>,
    exchange: Exchange,
    /// What was read and belongs to no request yet.
    read_ahead: Vec<u8>,
    /// Whether reading or writing failed.
    has_failed: bool,
    ending: Ending,
}

type Farewell = Pin<Box<dyn Future<Output = ()>>>;

impl<T> Connection<T> {
    pub(super) fn new(io: T, bounds: Bounds, refusal: Refusal) -> Self {
        Self {
            io,
            head_bytes: bounds.head_bytes,
            refusal,
            farewell: Some(Box::pin(pending())),
            exchange: Exchange::default(),
            read_ahead: Vec::new(),
            has_failed: false,
            ending: Ending::new(bounds.linger),
        }
    }

    /// Ends as soon as `farewell` is ready and nothing goes on.
    pub(super) fn until(mut self, farewell: impl Future<Output = ()> + 'static) -> Self {
        self.farewell = Some(Box::pin(farewell));
        self
    }

    /// What lies below.
    pub(super) fn io(&self) -> &T {
        &self.io
    }

    /// What the request under way, or the next one, tells of itself.
    pub(super) fn activity(&self) -> Activity {
        self.exchange.activity.clone()
    }

    /// Whether the parser was let go and the connection goes on.
    pub(super) fn rests(&self) -> bool {
        self.exchange.is_over
    }

    /// Whether the head of the request has more bytes than it may have. Nothing has been said about that.
    pub(super) fn is_head_too_large(&self) -> bool {
        self.exchange.is_head_too_large
    }

    /// Whether it is time to end. Asked where nothing goes on.
    fn is_farewell(&mut self, context: &mut Context<'_>) -> bool {
        let has_come = match &mut self.farewell {
            Some(farewell) => farewell.as_mut().poll(context).is_ready(),
            None => true,
        };
        if has_come {
            self.farewell = None;
        }
        has_come
    }

    /// Gives the connection up. The parser finds out the next time that it reads.
    fn fail(&mut self, context: &Context<'_>) {
        self.has_failed = true;
        context.waker().wake_by_ref();
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Rests until the client says more, and is then ready for another parser; or there is no more to come.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        loop {
            // Some clients send an empty line behind a body (RFC 9112, section 2.2). It begins no request.
            let empty = self.read_ahead.iter().take_while(|byte| b"\r\n".contains(byte));
            self.read_ahead = self.read_ahead.split_off(empty.count());
            if !self.read_ahead.is_empty() {
                self.exchange = Exchange::default();
                return Poll::Ready(true);
            }
            let mut bytes = Zeroizing::new([0; READ_AHEAD]);
            let mut buffer = ReadBuf::new(bytes.as_mut_slice());
            match Pin::new(&mut self.io).poll_read(context, &mut buffer) {
                Poll::Pending if !self.is_farewell(context) => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.read_ahead = buffer.filled().to_vec(),
                _ => return Poll::Ready(false),
            }
        }
    }

    /// Ends the connection.
    pub(super) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let framing = &self.exchange.framing;
        let is_cut_short = framing.has_begun() && !framing.is_whole();
        let is_awaited = is_cut_short || !self.read_ahead.is_empty();
        self.ending.end(&mut self.io, context, is_awaited)
    }

    /// Tells what stands in the place of a bare answer, and waits until the client has read it.
    pub(super) fn tell(&mut self, context: &mut Context<'_>, bare_head: &str) -> Poll<io::Result<()>> {
        let refusal = &self.refusal;
        self.ending.tell(&mut self.io, context, || {
            // What the parser had read of the head lies on top of its pool, to be cleared by whoever takes it next.
            drop(Request::new());
            refusal(bare_head)
        })
    }
}

impl<T: AsyncRead + Unpin> Connection<T> {
    /// Gives the parser at most so many bytes of what is read for it, and keeps what is behind it.
    fn poll_fill(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>, limit: usize) -> Poll<()> {
        let framing = &mut self.exchange.framing;
        if !self.read_ahead.is_empty() {
            let limit = limit.min(buffer.remaining()).min(self.read_ahead.len());
            let taken = framing.take(self.read_ahead.get(..limit).unwrap_or_default());
            let rest = self.read_ahead.split_off(taken);
            buffer.put_slice(&std::mem::replace(&mut self.read_ahead, rest));
            return Poll::Ready(());
        }
        let filled = buffer.filled().len();
        let mut unfilled = ReadBuf::new(buffer.initialize_unfilled_to(limit.min(buffer.remaining())));
        let result = ready!(Pin::new(&mut self.io).poll_read(context, &mut unfilled));
        if result.is_err() {
            self.has_failed = true;
        }
        let taken = framing.take(unfilled.filled());
        let behind = unfilled.filled_mut().get_mut(taken..).unwrap_or_default();
        self.read_ahead = behind.to_vec();
        behind.fill(0);
        buffer.set_filled(filled + taken);
        Poll::Ready(())
    }

    fn poll_head(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>, limit: usize) -> Poll<()> {
        let filled = buffer.filled().len();
        if self.poll_fill(context, buffer, limit.min(READ_AHEAD)).is_pending() {
            let is_over = !self.exchange.framing.has_begun() && self.is_farewell(context);
            return if is_over { Poll::Ready(()) } else { Poll::Pending };
        }
        if self.exchange.framing.head_bytes() > self.head_bytes {
            self.exchange.is_head_too_large = true;
            buffer.filled_mut().get_mut(filled..).unwrap_or_default().fill(0);
            buffer.set_filled(filled);
        }
        Poll::Ready(())
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.has_failed {
            return Poll::Ready(Ok(bytes.len()));
        }
        let bytes = match bare_answer(bytes) {
            None => bytes,
            Some(([], bare_head)) => {
                ready!(this.tell(context, bare_head))?;
                return Poll::Ready(Ok(bytes.len()));
            }
            // The good answers before it go first; the rest comes again.
            Some((before, _)) => before,
        };
        let Ok(written @ 1..) = ready!(Pin::new(&mut this.io).poll_write(context, bytes)) else {
            this.fail(context);
            return Poll::Ready(Ok(bytes.len()));
        };
        if this.exchange.stays_open.is_none()
            && let Some(stays_open) = stays_open(bytes)
        {
            this.exchange.stays_open = Some(stays_open);
            // The parser is to look whether it is let go, once it has written all.
            context.waker().wake_by_ref();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.has_failed && ready!(Pin::new(&mut this.io).poll_flush(context)).is_err() {
            this.fail(context);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A parser that was let go ends, and the connection does not; nor does one that has something to be told.
        if this.exchange.is_over || this.exchange.is_head_too_large || this.has_failed {
            return Poll::Ready(Ok(()));
        }
        this.poll_end(context)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.has_failed || this.exchange.is_head_too_large {
            return Poll::Ready(Ok(()));
        }
        match this.exchange.next(context) {
            Next::Head(limit) => ready!(this.poll_head(context, buffer, limit)),
            Next::Body(limit) => {
                let filled = buffer.filled().len();
                ready!(this.poll_fill(context, buffer, limit));
                this.exchange.given(buffer.filled().len() - filled);
            }
            Next::Nothing => return Poll::Pending,
            Next::End => {}
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
#[expect(clippy::string_slice, clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::http::framing::RequestBody;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const OLD_BARE: &[u8] = b"HTTP/1.0 431 Too Large\r\ncontent-length: 0\r\n\r\n";
    const OURS: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\ntwilio-request-id: RQ\r\n\r\n";

    const BOUNDS: Bounds = Bounds {
        head_bytes: 100,
        linger: Duration::from_secs(2),
    };

    fn refusal(bare_head: &str) -> Vec<u8> {
        format!("refused {}", &bare_head[9..12]).into_bytes()
    }

    fn connection<T>(io: T) -> Connection<T> {
        Connection::new(io, BOUNDS, Rc::new(refusal))
    }

    /// What a client sees of these writes, through a pipe that takes only a few bytes at a time.
    async fn seen(writes: &[&[u8]]) -> Vec<u8> {
        let (near, mut far) = duplex(7);
        let mut connection = connection(near);
        let reader = async {
            let mut seen = Vec::new();
            far.read_to_end(&mut seen).await.unwrap();
            seen
        };
        let sender = async move {
            for bytes in writes {
                connection.write_all(bytes).await.unwrap();
            }
            connection.shutdown().await.unwrap();
        };
        tokio::join!(reader, sender).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_bare_refusal_is_told_in_our_words_and_nothing_else_is_touched() {
        assert_eq!(seen(&[BARE]).await, b"refused 400");
        assert_eq!(seen(&[OLD_BARE]).await, b"refused 431");
        assert_eq!(seen(&[OURS]).await, OURS);
        assert_eq!(seen(&[OURS, BARE]).await, [OURS, b"refused 400"].concat());
        assert_eq!(seen(&[&[OURS, BARE].concat()]).await, [OURS, b"refused 400"].concat());
        let fine = b"HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n";
        assert_eq!(seen(&[fine]).await, fine);
        let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(seen(&[go_on]).await, go_on);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_client_has_some_time_to_read_the_answer_unless_it_is_gone() {
        let (near, mut far) = duplex(1000);
        let mut near = connection(near);
        let begun = tokio::time::Instant::now();
        far.write_all(&[b'x'; 500]).await.unwrap();
        near.write_all(BARE).await.unwrap();
        assert_eq!(begun.elapsed(), BOUNDS.linger);
        // Nothing that it sent is left over, which would reset the connection.
        far.write_all(&[b'x'; 1000]).await.unwrap();

        let (near, mut far) = duplex(1000);
        let mut near = connection(near);
        let begun = tokio::time::Instant::now();
        far.write_all(&[b'x'; 500]).await.unwrap();
        far.shutdown().await.unwrap();
        near.write_all(BARE).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    /// What the parser is given of what has come.
    async fn given<T: AsyncRead + AsyncWrite + Unpin>(connection: &mut Connection<T>) -> Vec<u8> {
        let mut given = vec![0; 1000];
        let read = tokio::time::timeout(Duration::from_secs(1), connection.read(&mut given));
        let count = read.await.map_or(0, Result::unwrap);
        given.truncate(count);
        given
    }

    #[tokio::test(start_paused = true)]
    async fn the_parser_is_given_one_request_and_what_is_behind_it_waits() {
        const HEAD: &[u8] = b"POST / HTTP/1.1\r\n\r\n";
        let (near, mut far) = duplex(1000);
        let mut near = connection(near);
        far.write_all(&[HEAD, b"body\r\n", HEAD, b"more"].concat())
            .await
            .unwrap();
        for body in [&b"body"[..], b"more"] {
            assert_eq!(given(&mut near).await, HEAD);
            assert!(given(&mut near).await.is_empty());
            let request = near.activity().begin(RequestBody::Length(4));
            assert_eq!(given(&mut near).await, body);
            assert!(given(&mut near).await.is_empty());
            drop(request);
            assert!(!near.rests());
            near.write_all(b"HTTP/1.1 200 OK\r\ntwilio-request-id: RQ\r\n\r\n")
                .await
                .unwrap();
            assert_eq!(near.read(&mut [0; 9]).await.unwrap(), 0);
            assert!(near.rests());
            let next = std::future::poll_fn(|context| near.poll_next(context));
            let is_there = tokio::time::timeout(Duration::from_secs(1), next).await;
            assert_eq!(is_there.unwrap_or_default(), body == b"body");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_refused_as_soon_as_it_has_too_many_bytes() {
        let (near, mut far) = duplex(1000);
        let mut near = connection(near);
        far.write_all(&[b'x'; 100]).await.unwrap();
        assert_eq!(given(&mut near).await, [b'x'; 100]);
        assert!(!near.is_head_too_large());
        far.write_all(b"x").await.unwrap();
        assert_eq!(near.read(&mut [0; 9]).await.unwrap(), 0);
        assert!(near.is_head_too_large());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_fails_is_one_whose_client_says_no_more() {
        let (near, far) = duplex(7);
        let mut near = connection(near);
        drop(far);
        near.write_all(OURS).await.unwrap();
        assert_eq!(near.read(&mut [0; 9]).await.unwrap(), 0);
        near.shutdown().await.unwrap();
    }
}
