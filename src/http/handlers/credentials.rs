//! The credential resource: create, fetch, list, update, delete.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, ReqData};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::credential::Credential;
use crate::domain::sid::CredentialSid;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::extract::{authenticate, credential_input, page_input};
use crate::http::operation::{Matched, Surface};
use crate::http::request_meta::{RequestMeta, origin};
use crate::http::state::AppState;
use crate::http::view::{CredentialPageView, CredentialView, json};
use crate::service::VaultError;

pub(in crate::http) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let input = credential_input(&request, payload, state.body_bytes).await?;
    let context = meta.context(&request);
    let credential = state
        .run(|vault| async move { vault.create_credential(&context, &scope, input).await })
        .await?;
    answer(StatusCode::CREATED, &credential, &request, &state)
}

pub(in crate::http) async fn fetch(
    request: HttpRequest,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let sid = credential_sid(&request)?;
    let credential = state
        .run(|vault| async move { vault.credential(&scope, &sid).await })
        .await?;
    answer(StatusCode::OK, &credential, &request, &state)
}

pub(in crate::http) async fn list(
    request: HttpRequest,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let surface = surface(&request)?;
    let (input, max_page_size) = (page_input(&request), surface.max_page_size);
    let page = state
        .run(move |vault| async move { vault.credentials(&scope, &input, max_page_size).await })
        .await?;
    let view = CredentialPageView::new(&page, &origin(&request, state.public_url()), surface);
    Ok(json(StatusCode::OK, &view))
}

pub(in crate::http) async fn update(
    request: HttpRequest,
    payload: web::Payload,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let sid = credential_sid(&request)?;
    let input = credential_input(&request, payload, state.body_bytes).await?;
    let context = meta.context(&request);
    let credential = state
        .run(|vault| async move { vault.update_credential(&context, &scope, &sid, input).await })
        .await?;
    answer(StatusCode::OK, &credential, &request, &state)
}

pub(in crate::http) async fn delete(
    request: HttpRequest,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let sid = credential_sid(&request)?;
    let context = meta.context(&request);
    state
        .run(|vault| async move { vault.delete_credential(&context, &scope, &sid).await })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A credential as the surface of the request shows it.
fn answer(
    status: StatusCode,
    credential: &Credential,
    request: &HttpRequest,
    state: &AppState,
) -> Result<HttpResponse, ApiError> {
    let origin = origin(request, state.public_url());
    Ok(json(
        status,
        &CredentialView::new(credential, &origin, surface(request)?),
    ))
}

/// The SID in the path. A malformed one is not found, by the same path as a foreign one.
fn credential_sid(request: &HttpRequest) -> Result<CredentialSid, VaultError> {
    CredentialSid::parse(request.match_info().get("sid").unwrap_or_default()).map_err(|_| VaultError::NotFound)
}

/// The surface that the route table put under this path.
fn surface(request: &HttpRequest) -> Result<&Surface, ApiError> {
    request
        .app_data::<Matched>()
        .and_then(|matched| matched.surface)
        .ok_or_else(|| ApiError::new(ErrorCode::Internal))
}
