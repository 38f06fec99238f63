//! The list of credentials, page by page. A page names a page beside it only when there is a row on that one: an SDK takes
//! an empty page for the end.

use super::error::VaultError;
use super::vault::Vault;
use crate::domain::credential::Credential;
use crate::domain::page::{PageInput, PageRequest, Position, seal_token};
use crate::domain::principal::AccountScope;

/// A page of a list, and how to get to the ones beside it.
pub struct CredentialPage {
    /// What was asked for, after clamping.
    pub request: PageRequest,
    /// The credentials, newest first.
    pub credentials: Vec<Credential>,
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
    ) -> Result<CredentialPage, VaultError> {
        let keys = self.keyring.page_token_keys();
        let request = PageRequest::parse(input, max_page_size, &keys, scope.account_sid())?;
        let (credentials, has_more) = self.rows(scope, &request).await?;
        let (newer, older) = beside(&request.position, &credentials);
        // Where the client is going, the row too many has told. Where it comes from it saw rows once, and they may be
        // gone since.
        let (newer, older) = match request.position {
            Position::First => (None, older.filter(|_| has_more)),
            Position::After(_) => (self.unless_empty(scope, newer).await?, older.filter(|_| has_more)),
            Position::Before(_) => (newer.filter(|_| has_more), self.unless_empty(scope, older).await?),
        };
        let token = |position: &Position| seal_token(position, *keys.first()?, scope.account_sid());
        Ok(CredentialPage {
            token: token(&request.position),
            next_token: older.as_ref().and_then(token),
            previous_token: newer.as_ref().and_then(token),
            request,
            credentials,
        })
    }

    /// The rows of the page, and whether there are more of them in the direction that was asked for.
    async fn rows(&self, scope: &AccountScope, request: &PageRequest) -> Result<(Vec<Credential>, bool), VaultError> {
        // One row more than the page holds tells.
        let limit = i64::from(request.size) + 1;
        let mut credentials = self.store.credentials(scope, &request.position, limit).await?;
        let size = usize::try_from(request.size).unwrap_or(usize::MAX);
        let has_more = credentials.len() > size;
        if has_more {
            match request.position {
                // The row too many is the one farthest from where the page was asked from.
                Position::Before(_) => drop(credentials.remove(0)),
                Position::First | Position::After(_) => credentials.truncate(size),
            }
        }
        Ok((credentials, has_more))
    }

    /// The position, if a row is there.
    async fn unless_empty(
        &self,
        scope: &AccountScope,
        position: Option<Position>,
    ) -> Result<Option<Position>, VaultError> {
        let Some(position) = position else {
            return Ok(None);
        };
        let rows = self.store.credentials(scope, &position, 1).await?;
        Ok((!rows.is_empty()).then_some(position))
    }
}

/// Where the newer and the older page beside a page are.
fn beside(position: &Position, credentials: &[Credential]) -> (Option<Position>, Option<Position>) {
    match (position, credentials.first(), credentials.last()) {
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
