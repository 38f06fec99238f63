//! The span of a request, where requests are traced: what of a request gets into a trace is chosen here.

use actix_web::dev::{ServiceRequest, ServiceResponse};

use super::operation::{Untraced, known_method};
use super::request_meta::RequestMeta;
use super::routes;
use super::state::AppState;
use crate::telemetry::{RequestSpan, RequestStart};

/// The span of a request; none while traces are off. Probes and scrapes have none: they come every few seconds and tell
/// nothing.
pub(super) fn begin(state: &AppState, request: &ServiceRequest, meta: &RequestMeta) -> Option<RequestSpan> {
    let tracer = state.tracer.as_ref()?;
    if routes::is_probe(request.path()) || request.app_data::<Untraced>().is_some() {
        return None;
    }
    Some(tracer.begin(&RequestStart {
        method: known_method(request.method()).unwrap_or("_OTHER"),
        scheme: meta.scheme(),
        request_sid: meta.request_sid.as_str(),
        traceparent: meta.traceparent(),
    }))
}

/// Ends it. The route is the template, never the path: a caller may paste anything into that.
pub(super) fn end(span: &RequestSpan, response: &ServiceResponse) {
    let route = response.request().match_pattern();
    span.end(route.as_deref(), response.status().as_u16());
}
