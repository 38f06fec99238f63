//! What the HTTP parser was given of a connection since its buffer was empty, counted to know whether it is empty again.

/// Bytes that the parser was given, and where in them the first head ended.
#[derive(Default)]
pub(super) struct Given {
    bytes: u64,
    head: Option<u64>,
    has_begun: bool,
    is_at_line_begin: bool,
}

impl Given {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for (&byte, count) in bytes.iter().zip(1..) {
            if self.head.is_some() {
                break;
            }
            match byte {
                // Empty lines may stand before a head; the first one after it has begun is its end.
                b'\n' if self.has_begun && self.is_at_line_begin => self.head = Some(self.bytes + count),
                b'\n' => self.is_at_line_begin = true,
                b'\r' => {}
                _ => (self.has_begun, self.is_at_line_begin) = (true, false),
            }
        }
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }

    /// Whether it was one request with a body of that length, and nothing else.
    pub(super) fn is_one_request(&self, body: u64) -> bool {
        self.head.and_then(|head| head.checked_add(body)) == Some(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_one_request(parts: &[&str], body: u64) -> bool {
        let mut given = Given::default();
        for part in parts {
            given.add(part.as_bytes());
        }
        given.is_one_request(body)
    }

    #[test]
    fn a_request_is_whole_when_its_head_and_its_body_are_all_there_is() {
        assert!(is_one_request(&["GET / HTTP/1.1\r\n\r\n"], 0));
        assert!(is_one_request(&["GET / HTTP/1.1\r\nHost: x\r\n\r\nbody"], 4));
        assert!(is_one_request(
            &["\r\n\r\nGET / HTTP/1.1\n", "Host: x\r", "\n\r", "\nbo", "dy"],
            4
        ));
        assert!(is_one_request(&["GET / HTTP/1.1\nHost: x\n\nbody"], 4));
        assert!(!is_one_request(&[], 0));
        for (parts, body) in [
            (&["\r\n\r\n"][..], 0),
            (&["GET / HTTP/1.1\r\n"], 0),
            (&["GET / HTTP/1.1\r\n\r\n", "G"], 0),
            (&["GET / HTTP/1.1\r\n\r\nbod"], 4),
            (&["GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"], 0),
            (&["GET / HTTP/1.1\r\n\r\n"], u64::MAX),
        ] {
            assert!(!is_one_request(parts, body), "{parts:?} {body}");
        }
    }
}
