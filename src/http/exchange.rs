//! One request and its answer on a connection: which bytes the HTTP parser may have next.

use std::task::Context;

use super::activity::Activity;
use super::framing::{Framing, Stage};

/// How many bytes the parser is given at once, so that it holds no more of a body than that and what the handler has not
/// taken yet.
const AT_ONCE: usize = 8 * 1024;

/// How much of a body the parser is given before anybody asks for it. So much a stranger may have kept before the login is
/// known; a body within it is read although the request is refused, and the connection stays open.
const UNASKED_BODY: usize = 8 * 1024;

/// One request and its answer.
#[derive(Default)]
pub(super) struct Exchange {
    pub(super) activity: Activity,
    pub(super) framing: Framing,
    /// Whether the answer leaves the connection open, once its head has been written.
    pub(super) stays_open: Option<bool>,
    /// Whether the head has more bytes than it may have.
    pub(super) is_head_too_large: bool,
    /// Whether the parser has been let go, and the connection goes on.
    pub(super) is_over: bool,
    was_asked: bool,
    since_pause: usize,
}

/// What the parser may have.
pub(super) enum Next {
    /// So many bytes at most, of the head.
    Head(usize),
    /// So many bytes at most, of the body.
    Body(usize),
    /// Nothing yet.
    Nothing,
    /// Nothing more.
    End,
}

impl Exchange {
    /// What the parser may have next. Where it is nothing yet, the task is woken when there may be more.
    pub(super) fn next(&mut self, context: &Context<'_>) -> Next {
        match self.framing.stage() {
            Stage::Head => return Next::Head(AT_ONCE),
            Stage::Unframed => match self.activity.body() {
                Some(body) => self.framing.frame_body(body),
                // The parser looks at what it has when it finds no more.
                None if !std::mem::replace(&mut self.was_asked, true) => return Self::pause(context),
                None => return Next::End,
            },
            _ => {}
        }
        if self.activity.is_under_way() {
            self.next_of_body(context)
        } else {
            self.after_the_answer()
        }
    }

    /// Notes that the parser was given so many bytes of the body.
    pub(super) fn given(&mut self, count: usize) {
        self.since_pause += count;
    }

    fn next_of_body(&mut self, context: &Context<'_>) -> Next {
        let left = match self.framing.stage() {
            Stage::Length(left) => usize::try_from(*left).unwrap_or(usize::MAX),
            Stage::Chunks(_) => usize::MAX,
            Stage::Malformed => return Next::End,
            Stage::Head | Stage::Unframed | Stage::UntilEnd | Stage::Whole => return Next::Nothing,
        };
        if self.since_pause >= AT_ONCE {
            self.since_pause = 0;
            return Self::pause(context);
        }
        let unasked = UNASKED_BODY.saturating_sub(self.framing.body_bytes());
        match (self.activity.wants_body(), unasked) {
            (true, _) => Next::Body(left.min(AT_ONCE)),
            (false, 0) => {
                self.activity.wake_when_wanted(context.waker());
                Next::Nothing
            }
            (false, unasked) => Next::Body(left.min(unasked)),
        }
    }

    /// Once it is answered, the parser gets no more, whatever is left of the body. It is let go without an end of the
    /// connection, if it has read all of the request and has said that the connection stays open.
    fn after_the_answer(&mut self) -> Next {
        let is_whole = self.framing.is_whole();
        match self.stays_open {
            // Writing the head of the answer wakes the task.
            None if is_whole => return Next::Nothing,
            stays_open => self.is_over = is_whole && stays_open == Some(true),
        }
        Next::End
    }

    fn pause(context: &Context<'_>) -> Next {
        context.waker().wake_by_ref();
        Next::Nothing
    }
}
