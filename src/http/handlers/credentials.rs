//! The credential resource: create, fetch, list, update, delete.

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderName, HeaderValue};
use actix_web::web::{self, Data, ReqData};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::credential::Credential;
use crate::domain::sid::CredentialSid;
use crate::http::error::ApiError;
use crate::http::extract::{authenticate, credential_input, idempotency_key, page_input, precondition};
use crate::http::request_meta::RequestMeta;
use crate::http::state::AppState;
use crate::http::view::{CredentialPageView, CredentialView, json};
use crate::http::whereabouts::Whereabouts;
use crate::service::VaultError;

/// Says that an earlier request with the same idempotency key made what is answered.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

pub(in crate::http) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let list_url = Whereabouts::of(&request, &meta, &state)?.list_url();
    let key = idempotency_key(&meta)?;
    let (input, _room) = credential_input(&request, &meta, payload, &state).await?;
    let context = meta.context();
    let created = state
        .run(|vault| async move { vault.create_credential(&context, &scope, input, key.as_ref()).await })
        .await?;
    let mut response = answer(StatusCode::CREATED, &created.credential, &list_url);
    if created.replayed {
        response
            .headers_mut()
            .insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

pub(in crate::http) async fn fetch(
    request: HttpRequest,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let list_url = Whereabouts::of(&request, &meta, &state)?.list_url();
    let sid = credential_sid(&request)?;
    let precondition = precondition(&meta)?;
    let credential = state
        .run(|vault| async move { vault.credential(&scope, &sid, &precondition).await })
        .await?;
    Ok(answer(StatusCode::OK, &credential, &list_url))
}

pub(in crate::http) async fn list(
    request: HttpRequest,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let place = Whereabouts::of(&request, &meta, &state)?;
    let max_page_size = place.surface.max_page_size;
    let input = page_input(&request, state.limits.parameters)?;
    let page = state
        .run(move |vault| async move { vault.credentials(&scope, &input, max_page_size).await })
        .await?;
    let view = CredentialPageView::new(&page, &place.list_url());
    Ok(json(StatusCode::OK, &view))
}

pub(in crate::http) async fn update(
    request: HttpRequest,
    payload: web::Payload,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let list_url = Whereabouts::of(&request, &meta, &state)?.list_url();
    let sid = credential_sid(&request)?;
    let precondition = precondition(&meta)?;
    let (input, _room) = credential_input(&request, &meta, payload, &state).await?;
    let context = meta.context();
    let credential = state
        .run(|vault| async move {
            vault
                .update_credential(&context, &scope, &sid, &precondition, input)
                .await
        })
        .await?;
    Ok(answer(StatusCode::OK, &credential, &list_url))
}

pub(in crate::http) async fn delete(
    request: HttpRequest,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let sid = credential_sid(&request)?;
    let precondition = precondition(&meta)?;
    let context = meta.context();
    state
        .run(|vault| async move { vault.delete_credential(&context, &scope, &sid, &precondition).await })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A credential as it is seen in the list at this URL, with its entity tag.
fn answer(status: StatusCode, credential: &Credential, list_url: &str) -> HttpResponse {
    let mut response = json(status, &CredentialView::new(credential, list_url));
    if let Ok(tag) = HeaderValue::from_str(&credential.entity_tag()) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// The SID in the path. A malformed one is not found, by the same path as a foreign one.
fn credential_sid(request: &HttpRequest) -> Result<CredentialSid, VaultError> {
    CredentialSid::parse(request.match_info().get("sid").unwrap_or_default()).map_err(|_| VaultError::NotFound)
}
