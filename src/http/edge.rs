//! What every request passes on its way in and out: its SID, the audit of what was refused, the error body, the headers
//! of every answer, one line in the access log.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _};
use tracing::Instrument as _;

use super::activity::Activity;
use super::answer_body::AnswerBody;
use super::error::{ApiError, ErrorCode};
use super::extract::usable_host;
use super::forwarded::Ends;
use super::head::{may_stay_open, request_body};
use super::operation::{Matched, Place, known_method};
use super::request_meta::RequestMeta;
use super::room::NoRoom;
use super::shares::Share;
use super::state::AppState;
use super::trace;
use super::view::{self, ErrorView};
use crate::domain::sid::{AccountSid, CredentialSid, EventSid, RequestSid};
use crate::metrics::Stopwatch;
use crate::service::VaultError;
use crate::telemetry::{RequestSpan, chain};

const REQUEST_ID: HeaderName = HeaderName::from_static("twilio-request-id");
const REQUEST_DURATION: HeaderName = HeaderName::from_static("twilio-request-duration");
const CONCURRENT_REQUESTS: HeaderName = HeaderName::from_static("twilio-concurrent-requests");

/// How long the record of a refused mutation may take: a database that is down must not keep the caller waiting twice.
const RECORD_TIMEOUT: Duration = Duration::from_secs(1);

/// The middleware around every route.
pub(super) async fn edge<B: MessageBody + 'static>(
    state: Data<AppState>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let stopwatch = Stopwatch::start();
    let may_stay_open = may_stay_open(request.head());
    let activity = request.request().conn_data::<Activity>();
    let _under_way = activity.map(|activity| activity.begin(request_body(request.head())));
    let ends = Ends::of(request.head(), state.scheme, &state.server.trusted_proxies);
    if ends.has_disbelieved {
        state.warn_of_forgotten_proxy(ends.source);
    }
    let request_sid = RequestSid::generate().map_err(|error| ApiError::from(VaultError::from(error)))?;
    let headers = std::mem::take(request.headers_mut());
    let meta = RequestMeta::new(request_sid, ends, headers);
    request.extensions_mut().insert(meta.clone());
    let span = tracing::info_span!("request", request_sid = meta.request_sid.as_str());
    let trace = trace::begin(&state, &request, &meta);

    let answered = async {
        let mut response = next.call(request).await?.map_into_boxed_body();
        let mut refusal = None;
        if response.status().is_client_error() || response.status().is_server_error() {
            refusal = finish_error(&meta, &state, &response).await;
        }
        if let (Err(error), true) = (usable_host(&meta), is_open(&response)) {
            refusal = Some(error.into());
        }
        if let Some(error) = &refusal {
            response = answer(response, error);
        }
        response = match room(&meta, &state, &response) {
            Ok(room) => in_pieces(response, room),
            Err(NoRoom) => answer(response, refusal.insert(NoRoom.into())),
        };
        let error_code = refusal.map(|error| error.code.number());
        let duration = stopwatch.elapsed();
        let headers = response.headers_mut();
        put(headers, REQUEST_ID, meta.request_sid.as_str());
        put(headers, REQUEST_DURATION, &format!("{:.3}", duration.as_secs_f64()));
        put(headers, CONCURRENT_REQUESTS, &concurrent_requests(&state));
        put(headers, CACHE_CONTROL, "no-store");
        put(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
        // A client goes elsewhere with its next request, which must not meet the end of this connection. A body in chunks
        // ends its connection too: what is behind it is not carried out, whatever its last chunk was meant to be.
        if !may_stay_open || state.is_draining.load(Ordering::Relaxed) {
            let head = response.response_mut().head_mut();
            head.set_connection_type(ConnectionType::Close);
        }
        log_access(&meta, trace.as_ref(), &response, error_code, duration);
        Ok(response)
    }
    .instrument(span);
    let Some(trace) = &trace else {
        return answered.await;
    };
    let answer = trace.around(answered).await;
    if let Ok(response) = &answer {
        trace::end(trace, response);
    }
    answer
}

/// The error that the caller is told: logged where it is ours, recorded where a mutation was refused. None for an answer
/// that says itself what is wrong, as readiness does.
async fn finish_error(meta: &RequestMeta, state: &AppState, response: &ServiceResponse) -> Option<ApiError> {
    let status = response.status();
    let mut error = match response.response().error() {
        Some(error) => match error.as_error::<ApiError>() {
            Some(error) => ApiError {
                code: error.code,
                message: error.message.clone(),
                outcome: error.outcome,
                retry_after: error.retry_after,
                cause: None,
            },
            // The framework's own refusals are told in our words.
            None => ApiError::new(ErrorCode::from_status(status)),
        },
        None => return None,
    };
    if status.is_server_error() {
        let cause = response
            .response()
            .error()
            .and_then(Error::as_error::<ApiError>)
            .and_then(|error| error.cause.as_ref());
        tracing::error!(cause = cause.map(|cause| chain(cause)), "request failed");
    }
    if let Some(refusal) = record(meta, state, response, &error).await {
        error = refusal;
    }
    if error.code == ErrorCode::NotFound {
        error.message = Some(format!(
            "The requested resource {} was not found",
            response.request().path()
        ));
    }
    Some(error)
}

/// Records a refused mutation, and a read that was refused for want of a right. One that cannot be recorded is answered 503,
/// whatever else was wrong with it. One that a rate limit kept out was not looked at, and leaves no record: it is the limit
/// that bounds how fast the trail may grow.
async fn record(
    meta: &RequestMeta,
    state: &AppState,
    response: &ServiceResponse,
    error: &ApiError,
) -> Option<ApiError> {
    let request = response.request();
    if error.code == ErrorCode::TooManyRequests {
        return None;
    }
    let (_, action) = request.app_data::<Matched>()?.right(request.method())?;
    if action.is_read() && error.code != ErrorCode::Forbidden {
        return None;
    }
    let (context, account_sid, outcome) = (meta.context(), meta.account_sid(), error.outcome);
    let target_sid = request
        .match_info()
        .get("sid")
        .filter(|sid| CredentialSid::parse(sid).is_ok() || EventSid::parse(sid).is_ok())
        .map(str::to_owned);
    let recorded = state
        .run(move |vault| async move {
            let record = vault.record_refusal(&context, account_sid.as_ref(), action, target_sid, outcome);
            // The limit is inside the use case, so that a record that comes too late is not made after all.
            tokio::time::timeout(RECORD_TIMEOUT, record)
                .await
                .unwrap_or(Err(VaultError::TimedOut))
        })
        .await;
    let cause = match recorded {
        Ok(()) => return None,
        Err(cause) => chain(&cause),
    };
    tracing::error!(action = action.as_str(), cause, "a refusal could not be recorded");
    Some(ApiError::new(ErrorCode::Unavailable))
}

/// Whether anyone may ask for what was answered, or it is nothing of ours. Elsewhere whoever is let in is told what is wrong
/// with the head.
fn is_open(response: &ServiceResponse) -> bool {
    let request = response.request();
    let matched = request.app_data::<Matched>();
    matched.and_then(|matched| matched.right(request.method())).is_none()
}

/// The room that an answer takes up. What strangers are answered is small, or in memory once for everybody.
fn room(meta: &RequestMeta, state: &AppState, response: &ServiceResponse) -> Result<Option<Share<AccountSid>>, NoRoom> {
    match (response.response().body().size(), meta.account_sid()) {
        (BodySize::Sized(length), Some(account_sid)) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            state.room.for_answer(account_sid, length)
        }
        _ => Ok(None),
    }
}

/// The answer with a body that is given piece by piece, and holds its room until then.
fn in_pieces(response: ServiceResponse, room: Option<Share<AccountSid>>) -> ServiceResponse {
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(bytes) if !bytes.is_empty() => BoxBody::new(AnswerBody::new(bytes, room)),
        Ok(bytes) => BoxBody::new(bytes),
        Err(body) => body,
    })
}

/// Puts the one error body, and the headers that belong to its status, in the place of whatever the response had.
fn answer(response: ServiceResponse<BoxBody>, error: &ApiError) -> ServiceResponse<BoxBody> {
    let view = ErrorView::new(error.code, error.message.as_deref());
    let mut answer = view::json(error.code.status(), &view);
    if let Some(seconds) = error.retry_after {
        put(answer.headers_mut(), RETRY_AFTER, &seconds.to_string());
    }
    match error.code {
        ErrorCode::Unauthenticated => put(answer.headers_mut(), WWW_AUTHENTICATE, "Basic realm=\"Twilio API\""),
        // The client is still sending, or may be.
        ErrorCode::TooSlow => answer.head_mut().set_connection_type(ConnectionType::Close),
        ErrorCode::MethodNotAllowed => {
            if let Some(matched) = response.request().app_data::<Matched>() {
                put(answer.headers_mut(), ALLOW, &matched.allow());
            }
        }
        _ => {}
    }
    response.into_response(answer)
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn log_access(
    meta: &RequestMeta,
    trace: Option<&RequestSpan>,
    response: &ServiceResponse,
    error_code: Option<u16>,
    duration: Duration,
) {
    let request = response.request();
    // Probes come every few seconds; only one that fails is news.
    let is_probe = request
        .app_data::<Matched>()
        .is_some_and(|matched| matches!(matched.place, Place::Probe));
    if is_probe && response.status().is_success() {
        return;
    }
    tracing::info!(
        target: "access",
        // Only a method that HTTP knows, and the template, never the path: a caller may paste anything into either.
        method = known_method(request.method()).unwrap_or("other"),
        route = request.match_pattern(),
        status = response.status().as_u16(),
        error_code,
        limit = meta.limit(),
        account_sid = meta.account_sid().map(tracing::field::display),
        source_address = meta.source_address().map(tracing::field::display),
        trace_id = trace.and_then(RequestSpan::trace_id),
        duration_ms = duration.as_secs_f64() * 1000.0,
        "request"
    );
}

/// The requests of the API under way; where it is not one of them that asks, one all the same.
fn concurrent_requests(state: &AppState) -> String {
    state.metrics.http_requests_in_flight.get().max(1).to_string()
}
