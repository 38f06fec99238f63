//! The audit events of the caller's account, in a shape of our own.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ReqData};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::audit_list::RecordedEvent;
use crate::domain::principal::AccountScope;
use crate::domain::sid::EventSid;
use crate::http::audit_view::{AuditEventPageView, AuditEventView};
use crate::http::error::ApiError;
use crate::http::extract::{AuditQuery, audit_query, authenticate};
use crate::http::filters::AUDIT_EVENT_FILTERS;
use crate::http::request_meta::RequestMeta;
use crate::http::state::AppState;
use crate::http::view::json;
use crate::http::whereabouts::Whereabouts;
use crate::service::{Page, VaultError};

pub(in crate::http) async fn fetch(
    request: HttpRequest,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let place = Whereabouts::of(&request, &meta, &state)?;
    let event = fetched(&request, &state, scope).await?;
    Ok(json(StatusCode::OK, &AuditEventView::new(&event, &place.list_url())))
}

pub(in crate::http) async fn list(
    request: HttpRequest,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let place = Whereabouts::of(&request, &meta, &state)?;
    let query = audit_query(&request, state.limits.parameters, &AUDIT_EVENT_FILTERS)?;
    let page = listed(&state, scope, &query, place.surface.max_page_size).await?;
    Ok(json(
        StatusCode::OK,
        &AuditEventPageView::new(&page, &place.list_url(), &query.repeated),
    ))
}

/// One of the account's events. A malformed SID is not found, by the same path as a foreign one.
pub(super) async fn fetched(
    request: &HttpRequest,
    state: &AppState,
    scope: AccountScope,
) -> Result<RecordedEvent, VaultError> {
    let sid = request.match_info().get("sid").unwrap_or_default();
    let sid = EventSid::parse(sid).map_err(|_| VaultError::NotFound)?;
    state
        .run(|vault| async move { vault.audit_event(&scope, &sid).await })
        .await
}

/// A page of them.
pub(super) async fn listed(
    state: &AppState,
    scope: AccountScope,
    query: &AuditQuery,
    max_page_size: u32,
) -> Result<Page<RecordedEvent>, VaultError> {
    let (page, filter) = (query.page.clone(), query.filter.clone());
    state
        .run(move |vault| async move { vault.audit_events(&scope, &page, &filter, max_page_size).await })
        .await
}
