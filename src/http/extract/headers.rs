//! The request headers that change what an operation does.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue, IF_MATCH};

use crate::domain::idempotency::IdempotencyKey;
use crate::domain::precondition::Precondition;
use crate::domain::validation::ValidationError;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `Idempotency-Key`; one that comes more than once is refused, because nobody can say which is meant.
pub(in crate::http) fn idempotency_key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, ValidationError> {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY);
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
pub(in crate::http) fn precondition(request: &HttpRequest) -> Result<Precondition, ValidationError> {
    Precondition::parse(request.headers().get_all(IF_MATCH).map(HeaderValue::as_bytes))
}
