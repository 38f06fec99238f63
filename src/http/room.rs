//! Room in memory for large bodies and large answers. What is small needs none: the bound on connections bounds that.

use std::sync::Arc;

use super::error::{ApiError, ErrorCode};
use super::shares::{Share, Shares};
use crate::config::LimitSettings;
use crate::domain::sid::AccountSid;

/// What takes up no more than this is small.
pub(super) const SMALL: usize = 8 * 1024;

/// An account's part of the whole is one of so many.
const PARTS: usize = 4;

/// Room for large bodies and large answers.
pub(super) struct Room {
    shares: Arc<Shares<AccountSid>>,
    body_bytes: usize,
}

/// There is no room now.
#[derive(Debug)]
pub(super) struct NoRoom;

impl From<NoRoom> for ApiError {
    fn from(_: NoRoom) -> Self {
        Self::new(ErrorCode::Unavailable)
    }
}

impl Room {
    pub(super) fn new(limits: &LimitSettings) -> Self {
        Self {
            shares: Shares::new(limits.buffer_bytes, limits.buffer_bytes / PARTS),
            body_bytes: limits.body_bytes,
        }
    }

    /// Room for the body of a request that turned out not to be small, of that length, if it is known: as it comes, and
    /// decoded.
    pub(super) fn for_body(
        &self,
        account_sid: Option<AccountSid>,
        length: Option<usize>,
    ) -> Result<Share<AccountSid>, NoRoom> {
        // Of a longer one no more is read.
        let length = length.unwrap_or(usize::MAX).min(self.body_bytes);
        self.take(account_sid, length * 2)
    }

    /// Room for an answer.
    pub(super) fn for_answer(
        &self,
        account_sid: AccountSid,
        length: usize,
    ) -> Result<Option<Share<AccountSid>>, NoRoom> {
        if length <= SMALL {
            return Ok(None);
        }
        self.take(Some(account_sid), length).map(Some)
    }

    fn take(&self, account_sid: Option<AccountSid>, amount: usize) -> Result<Share<AccountSid>, NoRoom> {
        self.shares.take(account_sid, amount).map_err(|_| NoRoom)
    }
}
