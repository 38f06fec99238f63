//! Where in the bytes of a connection a request ends (RFC 9112, sections 2 and 7). The connection hands the HTTP parser the
//! bytes of one request and none behind them.
//!
//! A head ends at its first empty line. How its body is framed the parser says, from the head that it read: nothing here
//! reads a header, so that the two cannot differ about a length.

use super::chunks::{Chunks, Part};

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestBody {
    /// It has so many bytes.
    Length(u64),
    /// It ends with a last chunk.
    Chunked,
    /// It is whatever comes before the end of the connection.
    UntilEnd,
}

/// How far a request has been read.
#[derive(Default)]
pub(super) struct Framing {
    stage: Stage,
    /// Bytes of the head, with the empty lines before it.
    head_bytes: usize,
    /// Bytes of the body, with what frames it.
    body_bytes: usize,
    has_begun: bool,
    is_at_line_begin: bool,
}

/// What the next byte belongs to.
#[derive(Default)]
pub(super) enum Stage {
    /// The head.
    #[default]
    Head,
    /// The body, of which the parser has not said yet how it is framed.
    Unframed,
    /// The body, which has so many bytes more.
    Length(u64),
    /// The body, in chunks.
    Chunks(Chunks),
    /// A body without an end.
    UntilEnd,
    /// Another request: this one is whole.
    Whole,
    /// Nothing: chunks were announced, and this is none.
    Malformed,
}

impl Framing {
    /// What the next byte belongs to.
    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// How many bytes the head has so far.
    pub(super) fn head_bytes(&self) -> usize {
        self.head_bytes
    }

    /// How many bytes the body has so far.
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Whether anything of a request has come.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether all of it has come.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.stage, Stage::Whole)
    }

    /// Says how the body is framed, once the head has been read.
    pub(super) fn frame_body(&mut self, body: RequestBody) {
        self.stage = match body {
            RequestBody::Length(0) => Stage::Whole,
            RequestBody::Length(length) => Stage::Length(length),
            RequestBody::Chunked => Stage::Chunks(Chunks::default()),
            RequestBody::UntilEnd => Stage::UntilEnd,
        };
    }

    /// How many of these bytes, which come next, belong to what is being read.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        let taken = match &mut self.stage {
            Stage::Head => return self.take_head(bytes),
            Stage::Length(length) => {
                let taken = bytes.len().min(usize::try_from(*length).unwrap_or(usize::MAX));
                *length -= u64::try_from(taken).unwrap_or_default();
                if *length == 0 {
                    self.stage = Stage::Whole;
                }
                taken
            }
            Stage::Chunks(chunks) => {
                let (taken, part) = chunks.take(bytes);
                match part {
                    Part::Going => {}
                    Part::End => self.stage = Stage::Whole,
                    Part::Malformed => self.stage = Stage::Malformed,
                }
                taken
            }
            Stage::Unframed | Stage::UntilEnd | Stage::Whole | Stage::Malformed => 0,
        };
        self.body_bytes = self.body_bytes.saturating_add(taken);
        taken
    }

    fn take_head(&mut self, bytes: &[u8]) -> usize {
        let mut taken = bytes.len();
        for (&byte, count) in bytes.iter().zip(1..) {
            match byte {
                // Empty lines may stand before a head; the first one after it has begun is its end.
                b'\n' if self.has_begun && self.is_at_line_begin => {
                    self.stage = Stage::Unframed;
                    taken = count;
                    break;
                }
                b'\n' => self.is_at_line_begin = true,
                b'\r' => {}
                _ => (self.has_begun, self.is_at_line_begin) = (true, false),
            }
        }
        self.head_bytes = self.head_bytes.saturating_add(taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes are the request's when they come in these parts, and whether it is whole then.
    fn taken(parts: &[&str], body: RequestBody) -> (usize, bool) {
        let mut framing = Framing::default();
        let mut taken = 0;
        for part in parts {
            let mut rest = part.as_bytes();
            loop {
                let count = framing.take(rest);
                taken += count;
                rest = rest.get(count..).unwrap_or_default();
                if matches!(framing.stage(), Stage::Unframed) {
                    framing.frame_body(body);
                } else {
                    break;
                }
            }
        }
        (taken, framing.is_whole())
    }

    #[test]
    fn a_request_ends_with_its_body_however_its_bytes_come() {
        let none = RequestBody::Length(0);
        let four = RequestBody::Length(4);
        for (parts, body, expected) in [
            (&["GET / HTTP/1.1\r\n\r\n"][..], none, (18, true)),
            (&["GET / HTTP/1.1\r\n\r\n", "GET /"], none, (18, true)),
            (&["GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"], none, (18, true)),
            (&["GET / HTTP/1.1\r\n\r\nbody\r\n"], four, (22, true)),
            (
                &["\r\n\r\nGET / HTTP/1.1\n", "Host: x\r", "\n\r", "\nbo", "dyGET"],
                four,
                (34, true),
            ),
            (&["GET / HTTP/1.1\nHost: x\n\nbody"], four, (28, true)),
            (&["GET / HTTP/1.1\r\n\r\nbod"], four, (21, false)),
            (&["\r\n\r\n"], none, (4, false)),
            (&["GET / HTTP/1.1\r\n"], none, (16, false)),
            (&["GET / HTTP/1.1\r\n\r\nab"], RequestBody::UntilEnd, (18, false)),
            (
                &["GET / HTTP/1.1\r\n\r\n4\r", "\nbody\r\n0\r\n", "\r\nGET"],
                RequestBody::Chunked,
                (32, true),
            ),
            (
                &["GET / HTTP/1.1\r\n\r\n4\r\nbody.\r\n"],
                RequestBody::Chunked,
                (25, false),
            ),
        ] {
            assert_eq!(taken(parts, body), expected, "{parts:?}");
        }
    }
}
