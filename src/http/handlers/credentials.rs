//! The credential resource: create, fetch, list, update, delete.

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderName, HeaderValue};
use actix_web::web::{self, Data, ReqData};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::credential::Credential;
use crate::domain::sid::CredentialSid;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::extract::{authenticate, credential_input, idempotency_key, page_input, precondition};
use crate::http::operation::{Matched, Place};
use crate::http::request_meta::RequestMeta;
use crate::http::state::AppState;
use crate::http::surface::{Surface, on_bare_path};
use crate::http::transport::LocalAddress;
use crate::http::view::{CredentialPageView, CredentialView, json};
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
    let list_url = list_url(&request, &meta, &state)?;
    let key = idempotency_key(&meta)?;
    let input = credential_input(&meta, payload, &state.limits).await?;
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
    let list_url = list_url(&request, &meta, &state)?;
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
    let list_url = list_url(&request, &meta, &state)?;
    let max_page_size = surface(&request, &meta)?.max_page_size;
    let input = page_input(&request, state.limits.parameters)?;
    let page = state
        .run(move |vault| async move { vault.credentials(&scope, &input, max_page_size).await })
        .await?;
    let view = CredentialPageView::new(&page, &list_url);
    Ok(json(StatusCode::OK, &view))
}

pub(in crate::http) async fn update(
    request: HttpRequest,
    payload: web::Payload,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let list_url = list_url(&request, &meta, &state)?;
    let sid = credential_sid(&request)?;
    let precondition = precondition(&meta)?;
    let input = credential_input(&meta, payload, &state.limits).await?;
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

/// The surface that the request is on, by its path or else by its host.
fn surface(request: &HttpRequest, meta: &RequestMeta) -> Result<&'static Surface, ApiError> {
    match place(request)? {
        Place::Prefixed(surface) => Some(surface),
        Place::Bare(default) => on_bare_path(meta.host_product(), default),
        Place::Probe | Place::Document => None,
    }
    .ok_or_else(|| ApiError::new(ErrorCode::Internal))
}

/// The URL of the list that the request used, or is below of.
fn list_url(request: &HttpRequest, meta: &RequestMeta, state: &AppState) -> Result<String, ApiError> {
    let surface = surface(request, meta)?;
    let is_bare = matches!(place(request)?, Place::Bare(_));
    Ok(match &state.server.public_url {
        // What the host said is said by the path: the public URL has another host.
        Some(public_url) if is_bare && meta.host_product().is_none() => {
            format!("{public_url}{}", surface.bare_path())
        }
        Some(public_url) => format!("{public_url}{}", surface.path()),
        None => {
            let origin = meta.origin().or_else(|| {
                let LocalAddress(address) = request.conn_data()?;
                Some(format!("{}://{address}", state.scheme))
            });
            let origin = origin.ok_or_else(|| ApiError::new(ErrorCode::Internal))?;
            let path = if is_bare { surface.bare_path() } else { surface.path() };
            format!("{origin}{path}")
        }
    })
}

fn place(request: &HttpRequest) -> Result<Place, ApiError> {
    request
        .app_data::<Matched>()
        .map(|matched| matched.place)
        .ok_or_else(|| ApiError::new(ErrorCode::Internal))
}
