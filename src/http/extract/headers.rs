//! The head of a request: how large it may be, and the headers that change what an operation does.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue, IF_MATCH};

use crate::config::LimitSettings;
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::precondition::Precondition;
use crate::domain::validation::ValidationError;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::request_meta::RequestMeta;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `Idempotency-Key`; one that comes more than once is refused, because nobody can say which is meant.
pub(in crate::http) fn idempotency_key(meta: &RequestMeta) -> Result<Option<IdempotencyKey>, ValidationError> {
    let mut values = meta.headers().get_all(IDEMPOTENCY_KEY);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => IdempotencyKey::parse(value.as_bytes()).map(Some),
        (Some(_), Some(_)) => Err(ValidationError::with_message(
            IdempotencyKey::HEADER,
            "Invalid value for header Idempotency-Key: send it once",
        )),
    }
}

/// `If-Match`.
pub(in crate::http) fn precondition(meta: &RequestMeta) -> Result<Precondition, ValidationError> {
    Precondition::parse(meta.headers().get_all(IF_MATCH).map(HeaderValue::as_bytes))
}

/// Refuses a head that takes too much: the target, and the names and values of headers.
pub(in crate::http) fn not_too_large(
    request: &HttpRequest,
    meta: &RequestMeta,
    limits: &LimitSettings,
) -> Result<(), ApiError> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let headers = meta
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    if target + headers.sum::<usize>() > limits.head_bytes {
        return Err(ApiError::new(ErrorCode::HeadTooLarge));
    }
    Ok(())
}

/// Refuses a request for a host that is none (RFC 9112, section 3.2).
pub(in crate::http) fn usable_host(meta: &RequestMeta) -> Result<(), ValidationError> {
    if meta.has_unusable_host() {
        return Err(ValidationError::with_message(
            "Host",
            "Invalid value for header Host: send the name or address that you call, and its port",
        ));
    }
    Ok(())
}
