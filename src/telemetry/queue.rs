//! What is told waits in a queue for the place that it goes to, and a thread of that place's own takes it from there. A
//! place that is full, away or blocked costs what does not fit into its queue, and never keeps whoever tells: what is lost
//! is counted, and the log is told of it now and then.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;
use std::{io, thread};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::cause::chain;
use crate::metrics::{Sink, Stopwatch};

/// What waits, at most; what comes on top is lost.
const CAPACITY: usize = 8192;
/// How many are taken together, at most.
const BATCH: usize = 512;
/// How long the end of the process waits for what is still in the queues.
const FLUSH_TIME: Duration = Duration::from_secs(2);
/// How often the end looks whether there is room to say that it has come.
const PAUSE: Duration = Duration::from_millis(5);

/// The queues that there are, to be told of the end.
static QUEUES: Mutex<Vec<Ending>> = Mutex::new(Vec::new());

/// The way into a queue.
pub(super) struct Queue<T> {
    sink: Sink,
    sender: SyncSender<Message<T>>,
}

enum Message<T> {
    Item(T),
    End,
}

/// How a queue is told of the end, and how it tells that it has come to it.
struct Ending {
    /// Whether it could be told.
    tell: Box<dyn Fn() -> bool + Send>,
    ended: Receiver<()>,
}

/// Why items did not get where they belong, and how many. Of none: they may yet.
pub(super) struct Trouble {
    pub(super) lost: usize,
    pub(super) cause: String,
}

impl<T: Send + 'static> Queue<T> {
    /// Begins a queue whose items are brought to their place by `bring`, on a thread of its own, in batches. While it is at
    /// that, it may tell of trouble.
    pub(super) fn begin(
        sink: Sink,
        bring: impl FnMut(Vec<T>, &mut dyn FnMut(&Trouble)) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(CAPACITY);
        let (done, ended) = channel();
        thread::Builder::new()
            .name(format!("log {}", sink.name()))
            .spawn(move || {
                work(sink, &receiver, bring);
                // Nobody may be waiting for it any more.
                let _told = done.send(());
            })?;
        let queue = Self { sink, sender };
        let own = queue.clone();
        let tell = Box::new(move || !matches!(own.sender.try_send(Message::End), Err(TrySendError::Full(_))));
        if let Ok(mut queues) = QUEUES.lock() {
            queues.push(Ending { tell, ended });
        }
        Ok(queue)
    }

    /// Puts an item into the queue, or loses it. Waits for nobody.
    pub(super) fn give(&self, item: T) {
        if self.sender.try_send(Message::Item(item)).is_err() {
            self.sink.lose(1);
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            sink: self.sink,
            sender: self.sender.clone(),
        }
    }
}

/// Lines of the log, as the subscriber writes them: each in one piece.
impl io::Write for Queue<Vec<u8>> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.give(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Brings what is still in the queues to its places, and waits for that no longer than two seconds. What is told
/// afterwards is lost.
pub fn end() {
    let queues = QUEUES.lock().map(|mut queues| std::mem::take(&mut *queues));
    let queues = queues.unwrap_or_default();
    let since = Stopwatch::start();
    let mut untold: Vec<_> = queues.iter().collect();
    loop {
        untold.retain(|queue| !(queue.tell)());
        if untold.is_empty() || since.elapsed() >= FLUSH_TIME {
            break;
        }
        thread::sleep(PAUSE);
    }
    for queue in &queues {
        // A place that takes nothing is not waited for any longer.
        let _late = queue.ended.recv_timeout(FLUSH_TIME.saturating_sub(since.elapsed()));
    }
}

fn work<T>(sink: Sink, queue: &Receiver<Message<T>>, mut bring: impl FnMut(Vec<T>, &mut dyn FnMut(&Trouble))) {
    let mut teller = Teller::new(sink);
    let mut has_ended = false;
    while !has_ended {
        let Ok(Message::Item(first)) = queue.recv() else {
            return;
        };
        let mut batch = vec![first];
        while batch.len() < BATCH && !has_ended {
            match queue.try_recv() {
                Ok(Message::Item(item)) => batch.push(item),
                Ok(Message::End) => has_ended = true,
                Err(_) => break,
            }
        }
        // Now there is room for a line, in this queue too.
        teller.tell(None);
        bring(batch, &mut |trouble| {
            sink.lose(u64::try_from(trouble.lost).unwrap_or(u64::MAX));
            teller.tell(Some(&trouble.cause));
        });
    }
}

/// Tells the log of what one place loses.
struct Teller {
    sink: Sink,
    /// How much was lost when the log was last told.
    told: u64,
    /// How often the log is told.
    telling: DefaultDirectRateLimiter,
}

impl Teller {
    fn new(sink: Sink) -> Self {
        Self {
            sink,
            told: 0,
            telling: RateLimiter::direct(Quota::per_minute(NonZeroU32::MIN)),
        }
    }

    fn tell(&mut self, cause: Option<&str>) {
        let lost = self.sink.lost();
        if (cause.is_some() || lost > self.told) && self.telling.check().is_ok() {
            tracing::warn!(
                sink = self.sink.name(),
                lost = lost - self.told,
                cause,
                "a place that the log goes to does not take its lines; the audit trail in the database is whole, and the \
                 next line like this comes in a minute at the earliest"
            );
            self.told = lost;
        }
    }
}

impl Trouble {
    pub(super) fn new(lost: usize, error: &dyn std::error::Error) -> Self {
        Self {
            lost,
            cause: chain(error),
        }
    }
}
