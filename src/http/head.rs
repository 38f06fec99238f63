//! What the heads of a request and of an answer say of their connection.

use actix_http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use actix_http::{Method, RequestHead};

use super::framing::RequestBody;

/// What ends the head of an answer.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What begins one; the last digit of the version comes next.
const HEAD_BEGIN: &[u8] = b"HTTP/1.";

/// Every answer of ours has it; the parser's do not.
const OUR_MARK: &str = "\r\ntwilio-request-id: ";

/// The bytes of a write, cut where the parser's bare answer begins. That is always the last thing on its connection, and
/// none of our bodies ends as a head does.
pub(super) fn bare_answer(bytes: &[u8]) -> Option<(&[u8], &str)> {
    if !bytes.ends_with(HEAD_END) {
        return None;
    }
    let begin = bytes
        .windows(HEAD_BEGIN.len())
        .rposition(|window| window == HEAD_BEGIN)?;
    let (before, head) = bytes.split_at_checked(begin)?;
    let head = std::str::from_utf8(head).ok()?;
    // An older client is answered in its own version.
    let is_refusal = matches!(
        head.as_bytes().get(HEAD_BEGIN.len()..),
        Some([b'0' | b'1', b' ', b'4' | b'5', ..])
    );
    (is_refusal && !head.contains(OUR_MARK)).then_some((before, head))
}

/// Whether the connection stays open after the answer whose head is here; none where there is none.
pub(super) fn stays_open(bytes: &[u8]) -> Option<bool> {
    let rest = bytes.strip_prefix(HEAD_BEGIN)?;
    let end = rest.windows(HEAD_END.len()).position(|window| window == HEAD_END)?;
    let (head, behind) = rest.split_at_checked(end)?;
    let says = |option: &[u8]| {
        let is_option = |text: &[u8]| text.trim_ascii().eq_ignore_ascii_case(option);
        let values = head.split(|byte| *byte == b'\n').filter_map(|line| {
            let (name, value) = line.split_at_checked(b"connection:".len())?;
            name.eq_ignore_ascii_case(b"connection:").then_some(value)
        });
        values
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(is_option)
    };
    match head {
        // An interim answer is none yet.
        [b'1', b' ', b'1', ..] => stays_open(behind.get(HEAD_END.len()..)?),
        [b'1', b' ', ..] => Some(!says(b"close")),
        _ => Some(says(b"keep-alive")),
    }
}

/// How the parser says that the body of a request is framed. It has refused a head that says two things at once.
pub(super) fn request_body(head: &RequestHead) -> RequestBody {
    let headers = &head.headers;
    let is_websocket = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    if headers.contains_key(TRANSFER_ENCODING) {
        return RequestBody::Chunked;
    }
    if head.method == Method::CONNECT || headers.get_all(UPGRADE).any(is_websocket) {
        return RequestBody::UntilEnd;
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    RequestBody::Length(length.and_then(|length| length.trim().parse().ok()).unwrap_or(0))
}

/// Whether the request has a body of known length and asks for no other protocol, so that the connection may stay open.
pub(super) fn may_stay_open(head: &RequestHead) -> bool {
    matches!(request_body(head), RequestBody::Length(_)) && !head.headers.contains_key(UPGRADE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_whether_its_connection_stays_open() {
        for (bytes, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Some(true)),
            ("HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n", Some(false)),
            ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", Some(false)),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", Some(true)),
            ("HTTP/1.1 200 OK\r\nconnection: close, upgrade\r\n\r\n", Some(false)),
            ("HTTP/1.1 100 Continue\r\n\r\n", None),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Some(true)),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
                Some(false),
            ),
            ("HTTP/1.1 200 OK\r\n", None),
            ("{}", None),
        ] {
            assert_eq!(stays_open(bytes.as_bytes()), expected, "{bytes}");
        }
    }
}
