//! Lists, page by page. A page names a page beside it only when there is a row on that one: an SDK takes an empty page for
//! the end.

use super::error::VaultError;
use super::vault::Vault;
use crate::domain::audit_list::{AuditFilter, RecordedEvent};
use crate::domain::credential::Credential;
use crate::domain::page::{List, PageInput, PageRequest, Position, RowKey, seal_token};
use crate::domain::principal::AccountScope;
use crate::domain::sid::EventSid;
use crate::store::StoreError;

/// A page of a list, and how to get to the ones beside it.
pub struct Page<T> {
    /// What was asked for, after clamping.
    pub request: PageRequest,
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// The token of the page itself; the first page has none.
    pub token: Option<String>,
    /// The token of the next page, if there is a row on it.
    pub next_token: Option<String>,
    /// The token of the page before, if there is a row on it.
    pub previous_token: Option<String>,
}

impl Vault {
    /// A page of credentials, newest first.
    pub async fn credentials(
        &self,
        scope: &AccountScope,
        input: &PageInput,
        max_page_size: u32,
    ) -> Result<Page<Credential>, VaultError> {
        let request = self.page_request(List::Credentials, scope, input, max_page_size)?;
        let read = |position, limit| self.store.credentials(scope, position, limit);
        self.page(List::Credentials, scope, request, read).await
    }

    /// A page of the account's audit events, newest first.
    pub async fn audit_events(
        &self,
        scope: &AccountScope,
        input: &PageInput,
        filter: &AuditFilter,
        max_page_size: u32,
    ) -> Result<Page<RecordedEvent>, VaultError> {
        let request = self.page_request(List::AuditEvents, scope, input, max_page_size)?;
        let read = |position, limit| self.store.audit_events(scope, filter, position, limit);
        self.page(List::AuditEvents, scope, request, read).await
    }

    /// One of the account's audit events.
    pub async fn audit_event(&self, scope: &AccountScope, event_sid: &EventSid) -> Result<RecordedEvent, VaultError> {
        self.store
            .audit_event(scope, event_sid)
            .await?
            .ok_or(VaultError::NotFound)
    }

    fn page_request(
        &self,
        list: List,
        scope: &AccountScope,
        input: &PageInput,
        max_page_size: u32,
    ) -> Result<PageRequest, VaultError> {
        let keys = self.keyring.page_token_keys();
        Ok(PageRequest::parse(
            input,
            max_page_size,
            &keys,
            list,
            scope.account_sid(),
        )?)
    }

    async fn page<T, F>(
        &self,
        list: List,
        scope: &AccountScope,
        request: PageRequest,
        read: impl Fn(Position, i64) -> F,
    ) -> Result<Page<T>, VaultError>
    where
        F: Future<Output = Result<Vec<T>, StoreError>>,
        for<'a> RowKey: From<&'a T>,
    {
        let (rows, has_more) = rows(&request, &read).await?;
        let (newer, older) = beside(&request.position, &rows);
        // Where the client is going, the row too many has told. Where it comes from it saw rows once, and they may be
        // gone since.
        let (newer, older) = match request.position {
            Position::First => (None, older.filter(|_| has_more)),
            Position::After(_) => (unless_empty(newer, &read).await?, older.filter(|_| has_more)),
            Position::Before(_) => (newer.filter(|_| has_more), unless_empty(older, &read).await?),
        };
        let keys = self.keyring.page_token_keys();
        let token = |position: &Position| seal_token(position, *keys.first()?, list, scope.account_sid());
        Ok(Page {
            token: token(&request.position),
            next_token: older.as_ref().and_then(token),
            previous_token: newer.as_ref().and_then(token),
            request,
            rows,
        })
    }
}

/// The rows of the page, and whether there are more of them in the direction that was asked for.
async fn rows<T, F>(request: &PageRequest, read: impl Fn(Position, i64) -> F) -> Result<(Vec<T>, bool), StoreError>
where
    F: Future<Output = Result<Vec<T>, StoreError>>,
{
    // One row more than the page holds tells.
    let mut rows = read(request.position, i64::from(request.size) + 1).await?;
    let size = usize::try_from(request.size).unwrap_or(usize::MAX);
    let has_more = rows.len() > size;
    if has_more {
        match request.position {
            // The row too many is the one farthest from where the page was asked from.
            Position::Before(_) => drop(rows.remove(0)),
            Position::First | Position::After(_) => rows.truncate(size),
        }
    }
    Ok((rows, has_more))
}

/// The position, if a row is there.
async fn unless_empty<T, F>(
    position: Option<Position>,
    read: impl Fn(Position, i64) -> F,
) -> Result<Option<Position>, StoreError>
where
    F: Future<Output = Result<Vec<T>, StoreError>>,
{
    let Some(position) = position else {
        return Ok(None);
    };
    let rows = read(position, 1).await?;
    Ok((!rows.is_empty()).then_some(position))
}

/// Where the newer and the older page beside a page are.
fn beside<T>(position: &Position, rows: &[T]) -> (Option<Position>, Option<Position>)
where
    for<'a> RowKey: From<&'a T>,
{
    match (position, rows.first(), rows.last()) {
        (_, Some(newest), Some(oldest)) => (
            Some(Position::Before(newest.into())),
            Some(Position::After(oldest.into())),
        ),
        (Position::First, ..) => (None, None),
        // The rows behind the token are gone. The way back leads to those on its other side, and the token's own row is
        // one of them.
        (Position::After(row), ..) => (Position::ending_at(row), None),
        (Position::Before(row), ..) => (None, Position::starting_at(row)),
    }
}
