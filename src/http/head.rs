//! What the heads of a request and of an answer say of their connection.

use actix_http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use actix_http::{Method, RequestHead};

/// What ends the head of an answer.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What begins one.
const HEAD_BEGIN: &[u8] = b"HTTP/1.1 ";

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
    let is_refusal = matches!(head.as_bytes().get(HEAD_BEGIN.len()), Some(b'4' | b'5'));
    (is_refusal && !head.contains(OUR_MARK)).then_some((before, head))
}

/// Whether the connection stays open after the answer that begins here; none where no answer begins.
pub(super) fn stays_open(bytes: &[u8]) -> Option<bool> {
    let rest = bytes.strip_prefix(b"HTTP/1.")?;
    let end = rest.windows(HEAD_END.len()).position(|window| window == HEAD_END)?;
    let head = rest.get(..end)?;
    // An interim answer is none yet, and an older client is answered in its own version.
    let ends = |line: &[u8]| line.trim_ascii().eq_ignore_ascii_case(b"connection: close");
    Some(head.starts_with(b"1 ") && !head.starts_with(b"1 1") && !head.split(|byte| *byte == b'\n').any(ends))
}

/// How long the body of a request is; none where only its end will tell.
pub(super) fn body_length(head: &RequestHead) -> Option<u64> {
    let headers = &head.headers;
    if head.method == Method::CONNECT || headers.contains_key(TRANSFER_ENCODING) || headers.contains_key(UPGRADE) {
        return None;
    }
    headers
        .get(CONTENT_LENGTH)
        .map_or(Some(0), |length| length.to_str().ok()?.parse().ok())
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
            ("HTTP/1.1 100 Continue\r\n\r\n", Some(false)),
            ("HTTP/1.1 200 OK\r\n", None),
            ("{}", None),
        ] {
            assert_eq!(stays_open(bytes.as_bytes()), expected, "{bytes}");
        }
    }
}
