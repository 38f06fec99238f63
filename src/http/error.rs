//! Errors as the wire contract has them: one table of codes, one body.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::domain::audit::Outcome;
use crate::domain::right::MissingRight;
use crate::domain::validation::ValidationError;
use crate::service::VaultError;

/// What a caller is told to wait before it tries again what failed with 503.
const RETRY_AFTER_SECONDS: u64 = 2;

/// Every error that a caller can be told: Twilio's code, HTTP's status, and the text unless the error brings its own.
/// The table stands in `docs/api.md` too; `tests/tidy.rs` holds the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table below says what each means")]
pub enum ErrorCode {
    InvalidRequest,
    Unauthenticated,
    Suspended,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    TooSlow,
    IdempotencyKeyReused,
    PreconditionFailed,
    BodyTooLarge,
    UnsupportedMediaType,
    TooManyRequests,
    HeadTooLarge,
    Internal,
    Unavailable,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::Suspended,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooSlow,
        Self::IdempotencyKeyReused,
        Self::PreconditionFailed,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::TooManyRequests,
        Self::HeadTooLarge,
        Self::Internal,
        Self::Unavailable,
    ];

    const fn row(self) -> (u16, StatusCode, &'static str) {
        match self {
            Self::InvalidRequest => (20001, StatusCode::BAD_REQUEST, "Bad request"),
            Self::Unauthenticated => (20003, StatusCode::UNAUTHORIZED, "Authenticate"),
            Self::Suspended => (20005, StatusCode::FORBIDDEN, "Account is not active"),
            Self::Forbidden => (20403, StatusCode::FORBIDDEN, "Forbidden"),
            Self::NotFound => (20404, StatusCode::NOT_FOUND, "The requested resource was not found"),
            Self::MethodNotAllowed => (20004, StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
            Self::TooSlow => (
                20001,
                StatusCode::REQUEST_TIMEOUT,
                "The request did not come in time: send it again, without pauses",
            ),
            Self::IdempotencyKeyReused => (
                20409,
                StatusCode::CONFLICT,
                "Conflict: this Idempotency-Key belongs to another request; use a new key for a new request",
            ),
            Self::PreconditionFailed => (
                20412,
                StatusCode::PRECONDITION_FAILED,
                "Precondition Failed: the credential has changed; fetch it and send its present ETag as If-Match",
            ),
            Self::BodyTooLarge => (20413, StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            Self::UnsupportedMediaType => (
                20001,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported media type: send application/x-www-form-urlencoded or application/json",
            ),
            Self::TooManyRequests => (20429, StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"),
            Self::HeadTooLarge => (
                20001,
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "Request header fields too large: send fewer or shorter headers, and a shorter query",
            ),
            Self::Internal => (20500, StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            Self::Unavailable => (20503, StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        }
    }

    /// The error that stands for a status which the framework chose by itself.
    pub(super) fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::TooSlow,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::HeadTooLarge,
            status if status.is_client_error() => Self::InvalidRequest,
            _ => Self::Internal,
        }
    }

    /// Twilio's number.
    pub const fn number(self) -> u16 {
        self.row().0
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// The text, unless the error brings its own.
    pub const fn text(self) -> &'static str {
        self.row().2
    }
}

impl From<&VaultError> for ErrorCode {
    fn from(error: &VaultError) -> Self {
        match error {
            VaultError::Unauthenticated { .. } => Self::Unauthenticated,
            VaultError::Suspended(_) => Self::Suspended,
            VaultError::NotFound => Self::NotFound,
            VaultError::Invalid(_) | VaultError::Recovery(_) | VaultError::Destruction(_) => Self::InvalidRequest,
            VaultError::PreconditionFailed | VaultError::NotNow(_) | VaultError::NotWhole(_) => {
                Self::PreconditionFailed
            }
            VaultError::IdempotencyKeyReused => Self::IdempotencyKeyReused,
            VaultError::TooManyRequests { .. } => Self::TooManyRequests,
            VaultError::Unavailable(_)
            | VaultError::KeyProvider(_)
            | VaultError::OutcomeUnknown(_)
            | VaultError::TimedOut => Self::Unavailable,
            VaultError::Store(_)
            | VaultError::StaleKeys
            | VaultError::RootKey(_)
            | VaultError::Crypto(_)
            | VaultError::Trail(_)
            | VaultError::Interrupted => Self::Internal,
        }
    }
}

/// How a refusal or failure stands in the audit trail.
pub fn audit_outcome(error: &VaultError) -> Outcome {
    let number = ErrorCode::from(error).number();
    match error {
        VaultError::Unauthenticated { .. } | VaultError::Suspended(_) => Outcome::Denied(number),
        VaultError::OutcomeUnknown(_) | VaultError::TimedOut => Outcome::Unknown(number),
        _ => Outcome::Failed(number),
    }
}

/// An error on its way to the caller. The edge writes the body; the cause is for the log alone.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) code: ErrorCode,
    pub(super) message: Option<String>,
    pub(super) outcome: Outcome,
    /// When to try again, in whole seconds.
    pub(super) retry_after: Option<u64>,
    pub(super) cause: Option<VaultError>,
}

impl ApiError {
    /// An error of this layer.
    pub(super) fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            outcome: Outcome::Failed(code.number()),
            retry_after: (code == ErrorCode::Unavailable).then_some(RETRY_AFTER_SECONDS),
            cause: None,
        }
    }

    /// An error of this layer with a text of its own.
    pub(super) fn with_message(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::new(code)
        }
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        let code = ErrorCode::from(&error);
        Self {
            message: match &error {
                VaultError::Invalid(refusal) => Some(refusal.to_string()),
                _ => None,
            },
            outcome: audit_outcome(&error),
            retry_after: match &error {
                VaultError::TooManyRequests { retry_after, .. } => Some(whole_seconds(*retry_after)),
                _ => Self::new(code).retry_after,
            },
            code,
            cause: Some(error),
        }
    }
}

impl From<MissingRight> for ApiError {
    fn from(error: MissingRight) -> Self {
        let code = ErrorCode::Forbidden;
        Self {
            outcome: Outcome::Denied(code.number()),
            ..Self::with_message(code, error.to_string())
        }
    }
}

impl From<ValidationError> for ApiError {
    fn from(error: ValidationError) -> Self {
        VaultError::from(error).into()
    }
}

/// Rounded up: who waits as long as it was told gets in.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.code.number(), self.code.text())
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// Only the status: the edge takes the error out of the response and writes the body that belongs to it.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
