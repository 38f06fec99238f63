//! Answers for what the route table does not have.

use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::web::{Data, ReqData};
use actix_web::{HttpRequest, HttpResponse};

use crate::http::error::{ApiError, ErrorCode};
use crate::http::extract::not_too_large;
use crate::http::operation::Matched;
use crate::http::request_meta::RequestMeta;
use crate::http::state::AppState;

/// No resource has this path.
pub(in crate::http) async fn not_found(
    request: HttpRequest,
    meta: ReqData<RequestMeta>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    // The answer repeats the path.
    not_too_large(&request, &meta, &state.limits)?;
    Err(ApiError::new(ErrorCode::NotFound))
}

/// The resource does not have this method. OPTIONS is answered; the edge adds `Allow` to the refusal.
pub(in crate::http) async fn method_not_allowed(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    match request.app_data::<Matched>() {
        Some(matched) if request.method() == Method::OPTIONS => Ok(HttpResponse::NoContent()
            .insert_header((ALLOW, matched.allow()))
            .finish()),
        _ => Err(ApiError::new(ErrorCode::MethodNotAllowed)),
    }
}
