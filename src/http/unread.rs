//! The answer to a request whose head was not read: because it is no HTTP, is too long, or did not come in time. Nothing is
//! known of such a request but that it came.

use actix_web::http::StatusCode;

use super::error::ErrorCode;
use super::view::ErrorView;
use crate::domain::sid::RequestSid;

/// What is said of a request that is no HTTP.
const UNREADABLE: &str = "Bad request: this is not HTTP/1.1 as RFC 9112 has it";

/// The whole answer with its status, in the place of the bare head that the HTTP parser gives.
pub(super) fn refuse_unread(bare_head: &str) -> (StatusCode, Vec<u8>) {
    let mut lines = bare_head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| StatusCode::from_bytes(status.as_bytes()).ok())
        .unwrap_or(StatusCode::BAD_REQUEST);
    let date = lines.find(|line| line.starts_with("date: ")).unwrap_or("date: ");
    let code = ErrorCode::from_status(status);
    let message = (code == ErrorCode::InvalidRequest).then_some(UNREADABLE);
    let body = serde_json::to_vec(&ErrorView::new(code, message)).unwrap_or_default();
    let request_sid = RequestSid::generate().map(|sid| sid.to_string()).unwrap_or_default();
    tracing::info!(
        target: "access",
        request_sid,
        status = code.status().as_u16(),
        error_code = code.number(),
        "request"
    );
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\ncache-control: no-store\r\n\
         twilio-request-id: {request_sid}\r\ntwilio-request-duration: 0.000\r\ntwilio-concurrent-requests: 1\r\n\
         x-content-type-options: nosniff\r\ncontent-type: application/json; charset=utf-8\r\n{date}\r\n\r\n",
        status = code.status(),
        length = body.len(),
    );
    (code.status(), [head.into_bytes(), body].concat())
}
