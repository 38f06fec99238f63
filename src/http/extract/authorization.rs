//! HTTP Basic (RFC 7617): Account SID and auth token, or API key SID and secret.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use data_encoding::BASE64;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::headers::{not_too_large, usable_host};
use crate::domain::audit::Outcome;
use crate::domain::principal::{AccountScope, Login};
use crate::http::error::{ApiError, ErrorCode, audit_outcome};
use crate::http::operation::Matched;
use crate::http::request_meta::{Caller, RequestMeta};
use crate::http::state::AppState;
use crate::service::{Limit, VaultError};

/// Lets the caller in, or not; either way the request's meta knows afterwards who it was. Whoever is in needs the right that
/// the route table names for what it asks, and is still told if the head of its request is none that can be served.
pub(in crate::http) async fn authenticate(
    request: &HttpRequest,
    meta: &RequestMeta,
    state: &AppState,
) -> Result<AccountScope, ApiError> {
    let (address, login) = (meta.source_address(), basic(meta));
    let result = state
        .run(move |vault| async move { vault.authenticate(address, login.as_ref()).await })
        .await;
    match &result {
        Ok(principal) | Err(VaultError::Suspended(principal)) => meta.set_caller(Caller::Known(principal.clone())),
        Err(VaultError::TooManyRequests { limit, .. }) => {
            meta.set_limit(limit.as_str());
            if let Limit::Account(principal) = limit {
                meta.set_caller(Caller::Known(principal.clone()));
            }
        }
        Err(VaultError::Unauthenticated { claimed }) => meta.set_caller(Caller::Unknown(claimed.clone())),
        Err(_) => {}
    }
    let principal = result.map_err(|error| ApiError {
        // Nothing had begun that could have been done after all.
        outcome: match audit_outcome(&error) {
            Outcome::Unknown(code) => Outcome::Failed(code),
            outcome => outcome,
        },
        ..ApiError::from(error)
    })?;
    let (right, _) = request
        .app_data::<Matched>()
        .and_then(|matched| matched.right(request.method()))
        .ok_or_else(|| ApiError::new(ErrorCode::Internal))?;
    let scope = principal.scope(right)?;
    not_too_large(request, meta, &state.limits)?;
    usable_host(meta)?;
    Ok(scope)
}

fn basic(meta: &RequestMeta) -> Option<Login> {
    let value = meta.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(BASE64.decode(encoded.trim().as_bytes()).ok()?);
    let (user_name, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(Login {
        user_name: user_name.to_owned(),
        secret: SecretString::from(secret),
    })
}
