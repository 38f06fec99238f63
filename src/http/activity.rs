//! What a request tells the connection below it: that it began, how its body is framed, whether somebody reads that, and
//! that it was answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use super::framing::RequestBody;

/// What a request tells the connection below it.
#[derive(Clone, Default)]
pub(super) struct Activity(Rc<Request>);

#[derive(Default)]
struct Request {
    phase: Cell<Phase>,
    body: Cell<Option<RequestBody>>,
    wants_body: Cell<bool>,
    reader: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Awaited,
    UnderWay,
    Answered,
}

/// A request under way, for as long as this lives.
pub(super) struct UnderWay(Activity);

impl Activity {
    /// The request begins; its head says that its body is framed so.
    pub(super) fn begin(&self, body: RequestBody) -> UnderWay {
        self.0.body.set(Some(body));
        self.0.phase.set(Phase::UnderWay);
        UnderWay(self.clone())
    }

    /// How its body is framed, once it has begun.
    pub(super) fn body(&self) -> Option<RequestBody> {
        self.0.body.get()
    }

    /// Whether it is under way.
    pub(super) fn is_under_way(&self) -> bool {
        self.0.phase.get() == Phase::UnderWay
    }

    /// Asks for the whole of its body.
    pub(super) fn want_body(&self) {
        self.0.wants_body.set(true);
        if let Some(reader) = self.0.reader.take() {
            reader.wake();
        }
    }

    /// Whether somebody has asked for the whole of its body.
    pub(super) fn wants_body(&self) -> bool {
        self.0.wants_body.get()
    }

    /// Wakes this task when somebody asks for it.
    pub(super) fn wake_when_wanted(&self, reader: &Waker) {
        self.0.reader.replace(Some(reader.clone()));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.phase.set(Phase::Answered);
    }
}
