//! Errors as the wire contract has them: one table of codes, one body.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::domain::audit::Outcome;
use crate::service::VaultError;

/// Every error that a caller can be told: Twilio's code, HTTP's status, and the text unless the error brings its own.
/// The table stands in `docs/api.md` too; `tests/tidy.rs` holds the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table below says what each means")]
pub enum ErrorCode {
    InvalidRequest,
    Unauthenticated,
    Suspended,
    NotFound,
    MethodNotAllowed,
    BodyTooLarge,
    UnsupportedMediaType,
    Internal,
    Unavailable,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::Suspended,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::Internal,
        Self::Unavailable,
    ];

    const fn row(self) -> (u16, StatusCode, &'static str) {
        match self {
            Self::InvalidRequest => (20001, StatusCode::BAD_REQUEST, "Bad request"),
            Self::Unauthenticated => (20003, StatusCode::UNAUTHORIZED, "Authenticate"),
            Self::Suspended => (20005, StatusCode::FORBIDDEN, "Account is not active"),
            Self::NotFound => (20404, StatusCode::NOT_FOUND, "The requested resource was not found"),
            Self::MethodNotAllowed => (20004, StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
            Self::BodyTooLarge => (20413, StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            Self::UnsupportedMediaType => (
                20001,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported media type: send application/x-www-form-urlencoded or application/json",
            ),
            Self::Internal => (20500, StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            Self::Unavailable => (20503, StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
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
            VaultError::Invalid(_) => Self::InvalidRequest,
            VaultError::Unavailable(_) | VaultError::OutcomeUnknown(_) | VaultError::TimedOut => Self::Unavailable,
            VaultError::Store(_) | VaultError::Crypto(_) | VaultError::Interrupted => Self::Internal,
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
    pub(super) cause: Option<VaultError>,
}

impl ApiError {
    /// An error of this layer.
    pub(super) fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            outcome: Outcome::Failed(code.number()),
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
        Self {
            code: ErrorCode::from(&error),
            message: match &error {
                VaultError::Invalid(refusal) => Some(refusal.to_string()),
                _ => None,
            },
            outcome: audit_outcome(&error),
            cause: Some(error),
        }
    }
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
