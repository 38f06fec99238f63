//! The connection below HTTP, where things are done that nothing above it can do.
//!
//! A request head that cannot be read, or does not come, is refused by the HTTP parser itself: by a bare status line, which
//! no service or middleware ever sees. Such an answer is told here in our words, with a request SID and the error body.
//! The parser gives a time to the first head of a connection alone, and none to the rest of a body that nobody wants: here
//! they get one.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use zeroize::Zeroizing;

use super::activity::Activity;
use super::given::Given;
use super::head::{bare_answer, stays_open};

/// Makes the whole answer, head and body, from the bare head that the parser wrote.
pub(super) type Refusal = Rc<dyn Fn(&str) -> Vec<u8>>;

/// How long a client is waited for.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Until what it sends outside a request has become one.
    pub(super) head: Duration,
    /// Between two requests, and for the rest of one whose answer has gone out.
    pub(super) rest: Duration,
    /// After a refusal that it may not have read, while it still sends.
    pub(super) linger: Duration,
}

/// A connection.
pub(super) struct Connection<T> {
    io: T,
    patience: Patience,
    refusal: Refusal,
    activity: Activity,
    /// How many requests had begun when it was looked at last.
    begun: u64,
    /// Runs while no request is under way: shorter once there is something that no request has taken.
    unclaimed: Option<Pin<Box<Sleep>>>,
    /// Whether something was read that no request has taken.
    has_unclaimed: bool,
    /// Ends the connection as soon as nothing goes on; none once it has come.
    farewell: Option<Farewell>,
    told: Option<Told>,
    turn: TurnState,
    /// What was read to find out that the client says more.
    first: Option<u8>,
}

/// What a parser has done with the connection since it got it.
#[derive(Default)]
struct TurnState {
    given: Given,
    /// How many requests had begun before.
    begun: u64,
    /// Whether its answer leaves the connection open.
    stays_open: bool,
    /// Whether the parser has been let go.
    is_over: bool,
}

type Farewell = Pin<Box<dyn Future<Output = ()>>>;

/// What stands in the place of a bare answer.
struct Told {
    answer: Vec<u8>,
    written: usize,
    /// Runs once everything is written.
    lingers: Option<Pin<Box<Sleep>>>,
}

impl<T> Connection<T> {
    pub(super) fn new(io: T, patience: Patience, refusal: Refusal) -> Self {
        Self {
            io,
            patience,
            refusal,
            activity: Activity::default(),
            begun: 0,
            unclaimed: None,
            has_unclaimed: false,
            farewell: Some(Box::pin(pending())),
            told: None,
            turn: TurnState::default(),
            first: None,
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

    pub(super) fn activity(&self) -> Activity {
        self.activity.clone()
    }

    /// Whether the client has taken too long over something that is no request yet, or none any more. A request under way
    /// has limits of its own.
    fn is_too_slow(&mut self, context: &mut Context<'_>, has_read: bool) -> bool {
        let begun = self.activity.begun();
        let is_under_way = self.activity.under_way() > 0;
        if is_under_way || begun != self.begun {
            self.begun = begun;
            self.unclaimed = None;
            self.has_unclaimed = false;
        }
        self.has_unclaimed |= has_read;
        if is_under_way {
            return false;
        }
        let time = match (has_read, begun) {
            (true, _) => self.patience.head,
            (false, 0) => return false,
            (false, _) => self.patience.rest,
        };
        let fresh = sleep(time);
        let ends_sooner = |running: &Pin<Box<Sleep>>| fresh.deadline() < running.deadline();
        if self.unclaimed.as_ref().is_none_or(ends_sooner) {
            self.unclaimed = Some(Box::pin(fresh));
        }
        self.unclaimed
            .as_mut()
            .is_some_and(|unclaimed| unclaimed.as_mut().poll(context).is_ready())
    }
}

impl<T> Connection<T> {
    /// Whether it is time to end and nothing goes on.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let has_come = match &mut self.farewell {
            Some(farewell) => farewell.as_mut().poll(context).is_ready(),
            None => true,
        };
        if has_come {
            self.farewell = None;
        }
        has_come && !self.has_unclaimed && self.activity.under_way() == 0
    }
}

impl<T> Connection<T> {
    /// Whether the parser was let go and the connection goes on.
    pub(super) fn rests(&self) -> bool {
        self.turn.is_over
    }

    /// Lets the parser go, as if the client had ended, once nothing is left in its buffer that it has to do with: it was
    /// given one request, and that is answered. The rest of what it was given it would take with it.
    fn lets_the_parser_go(&mut self) -> bool {
        let (activity, turn) = (&self.activity, &mut self.turn);
        let is_answered = turn.stays_open && activity.under_way() == 0 && activity.begun() == turn.begun + 1;
        let is_whole = activity.body().is_some_and(|body| turn.given.is_one_request(body));
        turn.is_over = is_answered && is_whole;
        turn.is_over
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Rests until the client says more, and is then ready for another parser; or there is no more to come.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let result = Pin::new(&mut self.io).poll_read(context, &mut buffer);
        if result.is_pending() && !self.is_over(context) {
            return Poll::Pending;
        }
        self.first = buffer.filled().first().copied();
        self.turn = TurnState {
            begun: self.activity.begun(),
            ..TurnState::default()
        };
        Poll::Ready(self.first.is_some())
    }

    /// Ends the connection.
    pub(super) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    /// Tells what stands in the place of a bare answer, and waits until the client has read it.
    pub(super) fn tell(&mut self, context: &mut Context<'_>, bare_head: &str) -> Poll<io::Result<()>> {
        let mut told = self.told.take().unwrap_or_else(|| {
            // What the parser had read of the head lies on top of its pool, to be cleared by whoever takes it next.
            drop(Request::new());
            Told {
                answer: (self.refusal)(bare_head),
                written: 0,
                lingers: None,
            }
        });
        let result = self.go_on_telling(context, &mut told);
        self.told = Some(told);
        result
    }

    fn go_on_telling(&mut self, context: &mut Context<'_>, told: &mut Told) -> Poll<io::Result<()>> {
        while let Some(rest) = told.answer.get(told.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.io).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => told.written += count,
            }
        }
        // The parser drops the connection after this. With bytes of the client unread, that would be a reset, which may
        // overtake the answer.
        if told.lingers.is_none() {
            ready!(Pin::new(&mut self.io).poll_shutdown(context))?;
        }
        let linger_time = self.patience.linger;
        let lingers = told.lingers.get_or_insert_with(|| Box::pin(sleep(linger_time)));
        let mut buffer = Zeroizing::new([0; 4096]);
        while lingers.as_mut().poll(context).is_pending() {
            let mut unread = ReadBuf::new(buffer.as_mut_slice());
            let result = ready!(Pin::new(&mut self.io).poll_read(context, &mut unread));
            if result.is_err() || unread.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // An answer may be the last that happens here: from now on the client's time runs.
        let _ = this.is_too_slow(context, false);
        match bare_answer(bytes) {
            None => {
                let written = Pin::new(&mut this.io).poll_write(context, bytes);
                if let (Poll::Ready(Ok(_)), Some(stays_open)) = (&written, stays_open(bytes)) {
                    this.turn.stays_open = stays_open;
                    // The parser is to look whether it is let go, once it has written all.
                    context.waker().wake_by_ref();
                }
                written
            }
            Some(([], bare_head)) => {
                ready!(this.tell(context, bare_head))?;
                Poll::Ready(Ok(bytes.len()))
            }
            // The good answers before it go first; the rest comes again.
            Some((before, _)) => Pin::new(&mut this.io).poll_write(context, before),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A parser that was let go ends, and the connection does not.
        if self.turn.is_over {
            return Poll::Ready(Ok(()));
        }
        self.get_mut().poll_end(context)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled = buffer.filled().len();
        let result = match this.first.take() {
            Some(byte) => {
                buffer.put_slice(&[byte]);
                Poll::Ready(Ok(()))
            }
            None => Pin::new(&mut this.io).poll_read(context, buffer),
        };
        this.turn.given.add(buffer.filled().get(filled..).unwrap_or_default());
        if this.is_too_slow(context, buffer.filled().len() > filled) {
            // As if the client had ended here: what was answered is written, and the connection closed.
            buffer.set_filled(filled);
            return Poll::Ready(Ok(()));
        }
        // What has come is served first.
        if result.is_pending() && (this.is_over(context) || this.lets_the_parser_go()) {
            return Poll::Ready(Ok(()));
        }
        result
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

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(3),
        rest: Duration::from_secs(20),
        linger: Duration::from_secs(2),
    };

    /// What a client sees of these writes, through a pipe that takes only a few bytes at a time.
    async fn seen(writes: &[&[u8]]) -> Vec<u8> {
        let (near, mut far) = duplex(7);
        let mut connection = Connection::new(near, PATIENCE, Rc::new(refusal));
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
        let mut connection = Connection::new(near, PATIENCE, Rc::new(refusal));
        let begun = tokio::time::Instant::now();
        far.write_all(&[b'x'; 500]).await.unwrap();
        connection.write_all(BARE).await.unwrap();
        assert_eq!(begun.elapsed(), PATIENCE.linger);
        // Nothing that it sent is left over, which would reset the connection.
        far.write_all(&[b'x'; 1000]).await.unwrap();

        let (near, mut far) = duplex(1000);
        let mut connection = Connection::new(near, PATIENCE, Rc::new(refusal));
        let begun = tokio::time::Instant::now();
        far.write_all(&[b'x'; 500]).await.unwrap();
        far.shutdown().await.unwrap();
        connection.write_all(BARE).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_becomes_no_request_in_time_is_the_end_of_the_connection() {
        let (near, mut far) = duplex(7);
        let mut connection = Connection::new(near, PATIENCE, Rc::new(refusal));
        let activity = connection.activity();
        let begun = tokio::time::Instant::now();
        let mut buffer = [0; 7];

        far.write_all(b"GET").await.unwrap();
        assert_eq!(connection.read(&mut buffer).await.unwrap(), 3);
        let request = activity.begin(None);
        far.write_all(b"body").await.unwrap();
        assert_eq!(connection.read(&mut buffer).await.unwrap(), 4);
        let body = tokio::time::timeout(PATIENCE.head * 2, connection.read(&mut buffer));
        assert!(body.await.is_err(), "a request under way was ended");
        drop(request);
        let rest = tokio::time::timeout(PATIENCE.head * 2, connection.read(&mut buffer));
        assert!(rest.await.is_err(), "a connection that rests was ended");

        far.write_all(b"P").await.unwrap();
        assert_eq!(connection.read(&mut buffer).await.unwrap(), 1);
        far.write_all(b"O").await.unwrap();
        assert_eq!(connection.read(&mut buffer).await.unwrap(), 1);
        assert_eq!(connection.read(&mut buffer).await.unwrap(), 0);
        assert_eq!(begun.elapsed().as_secs(), 6 + 6 + 3);
    }
}
