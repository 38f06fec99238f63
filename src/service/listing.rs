//! The list of credentials, page by page.

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
    /// The token of the page before.
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
        let key = self.keyring.page_token_key();
        let request = PageRequest::parse(input, max_page_size, key, scope.account_sid())?;
        // One row more than the page holds tells whether there is another page.
        let mut credentials = self
            .store
            .credentials(scope, &request.position, i64::from(request.size) + 1)
            .await?;
        let size = usize::try_from(request.size).unwrap_or(usize::MAX);
        let overflows = credentials.len() > size;
        let (has_newer, has_older) = match request.position {
            Position::First => (false, overflows),
            Position::After(_) => (true, overflows),
            Position::Before(_) => (overflows, true),
        };
        if overflows {
            match request.position {
                // The row too many is the one farthest from where the page was asked from.
                Position::Before(_) => drop(credentials.remove(0)),
                Position::First | Position::After(_) => credentials.truncate(size),
            }
        }
        let token = |position: &Position| seal_token(position, key, scope.account_sid());
        let older_than = credentials.last().filter(|_| has_older);
        let newer_than = credentials.first().filter(|_| has_newer);
        Ok(CredentialPage {
            token: token(&request.position),
            next_token: older_than.and_then(|row| token(&Position::After(row.into()))),
            previous_token: newer_than.and_then(|row| token(&Position::Before(row.into()))),
            request,
            credentials,
        })
    }
}
