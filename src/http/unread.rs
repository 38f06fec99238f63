//! The answer to a request whose head was not read: because it is no HTTP, is too long, or did not come in time. Nothing is
//! known of such a request but that it came.

use actix_web::http::StatusCode;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::error::ErrorCode;
use super::view::ErrorView;
use crate::domain::sid::RequestSid;

/// What is said of a request that is no HTTP.
const UNREADABLE: &str = "Bad request: this is not HTTP/1.1 as RFC 9112 has it";

/// What is said of one that came in plain HTTP to where TLS is spoken.
const PLAIN: &str = "Bad request: this port speaks TLS, begin the URL with https://";

/// When an answer was made, as HTTP writes it (RFC 9110, section 5.6.7).
const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// A request of which nothing is known but that it came.
#[derive(Clone, Copy)]
pub(super) enum Unread<'a> {
    /// The HTTP parser refused it with this bare head.
    Refused(&'a str),
    /// It came in plain HTTP to where TLS is spoken, and no parser has seen it.
    Plain,
}

/// The whole answer with its status.
pub(super) fn refuse_unread(unread: Unread<'_>) -> (StatusCode, Vec<u8>) {
    match unread {
        Unread::Refused(bare_head) => refuse(bare_head, UNREADABLE),
        Unread::Plain => refuse(&bare_head("400 Bad Request"), PLAIN),
    }
}

/// What the HTTP parser would write of a head that has too many bytes, which it has not seen all of.
pub(super) fn too_large() -> String {
    bare_head("431 Request Header Fields Too Large")
}

fn bare_head(status: &str) -> String {
    let date = OffsetDateTime::now_utc().format(DATE).unwrap_or_default();
    format!("HTTP/1.1 {status}\r\ndate: {date}\r\n")
}

fn refuse(bare_head: &str, unreadable: &str) -> (StatusCode, Vec<u8>) {
    let mut lines = bare_head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| StatusCode::from_bytes(status.as_bytes()).ok())
        .unwrap_or(StatusCode::BAD_REQUEST);
    let date = lines.find(|line| line.starts_with("date: ")).unwrap_or("date: ");
    let code = ErrorCode::from_status(status);
    let message = (code == ErrorCode::InvalidRequest).then_some(unreadable);
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
