//! What is measured of every request of the API: that it came, how it was answered, how long it took. Labels are the
//! program's own words: the template of the route, a method that HTTP knows, a status.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::Data;

use super::operation::{Template, known_method};
use super::state::AppState;
use crate::metrics::{Metrics, Raised, Stopwatch};

/// The method that is none of HTTP's, and that of a request nothing is known of.
const OTHER: &str = "other";

/// The template of a path that no route has.
const NONE: &str = "none";

/// The middleware around every other.
pub(super) async fn measure<B: MessageBody + 'static>(
    state: Data<AppState>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let metrics = &state.metrics;
    let _under_way = Raised::new(&metrics.http_requests_in_flight);
    let (stopwatch, method) = (Stopwatch::start(), known_method(request.method()).unwrap_or(OTHER));
    let result = next.call(request).await;
    let (route, status) = match &result {
        Ok(response) => {
            let template = response.request().app_data::<Template>();
            (template.map_or(NONE, |template| template.0), response.status())
        }
        Err(error) => (NONE, error.as_response_error().status_code()),
    };
    count(metrics, method, route, status);
    metrics
        .http_request_duration
        .of([method.into(), route.into()])
        .observe(stopwatch.seconds());
    result
}

/// Counts a request whose head was not read.
pub(super) fn measure_unread(metrics: &Metrics, status: StatusCode) {
    count(metrics, OTHER, NONE, status);
}

fn count(metrics: &Metrics, method: &'static str, route: &'static str, status: StatusCode) {
    let labels = [method.into(), route.into(), status.as_u16().into()];
    metrics.http_requests.of(labels).inc();
}
