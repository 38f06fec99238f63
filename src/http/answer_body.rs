//! The body of an answer on its way out. The HTTP parser copies what a body gives at once into its buffer: so a body gives
//! itself piece by piece, and a client that reads slowly holds a piece beside the body itself.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;

use super::shares::Share;
use crate::domain::sid::AccountSid;

const PIECE: usize = 8 * 1024;

/// A body that is given piece by piece.
pub(super) struct AnswerBody {
    rest: Bytes,
    /// The room that it takes up, until it is written.
    _room: Option<Share<AccountSid>>,
}

impl AnswerBody {
    /// A body that takes up memory of its own, for which there is this room.
    pub(super) fn new(bytes: Bytes, room: Option<Share<AccountSid>>) -> Self {
        Self {
            rest: bytes,
            _room: room,
        }
    }

    /// A body that is in memory once, for all who ask.
    pub(super) fn shared(bytes: &Bytes) -> Self {
        Self::new(bytes.clone(), None)
    }
}

impl MessageBody for AnswerBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}
