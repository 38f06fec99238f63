//! Liveness, readiness and metrics, for those who run the service. None of them tells anything about an account.

use std::sync::atomic::Ordering;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;

use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::http::view::{self, ChecksView, HealthView};
use crate::metrics::CONTENT_TYPE;
use crate::service::Check;

/// The process answers.
pub(in crate::http) async fn alive() -> HttpResponse {
    let view = HealthView {
        status: "alive",
        checks: None,
    };
    view::json(StatusCode::OK, &view)
}

/// A request could be served now; each thing that it would need is named.
pub(in crate::http) async fn ready(state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    if state.is_draining.load(Ordering::Relaxed) {
        let view = HealthView {
            status: "draining",
            checks: None,
        };
        return Ok(view::json(StatusCode::SERVICE_UNAVAILABLE, &view));
    }
    let readiness = state.run(|vault| async move { Ok(vault.readiness().await) }).await?;
    let word = |check| if readiness.has(check) { "ok" } else { "failed" };
    let (status, text) = if readiness.is_ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    let view = HealthView {
        status: text,
        checks: Some(ChecksView {
            database: word(Check::Database),
            schema: word(Check::Schema),
            keyring: word(Check::Keyring),
            audit: word(Check::Audit),
            clock: word(Check::Clock),
        }),
    };
    Ok(view::json(status, &view))
}

/// What is counted and measured, out of memory: the database is not asked, and cannot make a scrape wait.
pub(in crate::http) async fn metrics(state: Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(CONTENT_TYPE)
        .body(state.vault.measured())
}
