//! The same events in the shape of Twilio's Monitor.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ReqData};
use actix_web::{HttpRequest, HttpResponse};

use super::audit_events::{fetched, listed};
use crate::http::error::ApiError;
use crate::http::extract::{audit_query, authenticate};
use crate::http::filters::MONITOR_FILTERS;
use crate::http::monitor_view::{MonitorEventPageView, MonitorEventView};
use crate::http::request_meta::RequestMeta;
use crate::http::state::AppState;
use crate::http::view::json;
use crate::http::whereabouts::Whereabouts;

pub(in crate::http) async fn fetch(
    request: HttpRequest,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let place = Whereabouts::of(&request, &meta, &state)?;
    let event = fetched(&request, &state, scope).await?;
    Ok(json(StatusCode::OK, &MonitorEventView::new(&event, &place)))
}

pub(in crate::http) async fn list(
    request: HttpRequest,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let scope = authenticate(&request, &meta, &state).await?;
    let place = Whereabouts::of(&request, &meta, &state)?;
    let query = audit_query(&request, state.limits.parameters, &MONITOR_FILTERS)?;
    let page = listed(&state, scope, &query, place.surface.max_page_size).await?;
    Ok(json(
        StatusCode::OK,
        &MonitorEventPageView::new(&page, &place, &query.repeated),
    ))
}
