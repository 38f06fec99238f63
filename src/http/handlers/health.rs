//! Liveness and readiness, for orchestrators. Neither tells anything about an account.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;

use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::http::view::{self, ChecksView, HealthView};

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
    let readiness = state.run(|vault| async move { Ok(vault.readiness().await) }).await?;
    let word = |ok: bool| if ok { "ok" } else { "failed" };
    let (status, text) = if readiness.is_ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    let view = HealthView {
        status: text,
        checks: Some(ChecksView {
            database: word(readiness.database),
            schema: word(readiness.schema),
            keyring: word(readiness.keyring),
        }),
    };
    Ok(view::json(status, &view))
}
