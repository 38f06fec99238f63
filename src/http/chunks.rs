//! Where a body that comes in chunks ends (RFC 9112, section 7.1). What is a chunk is decided as the HTTP parser decides
//! it, byte by byte; the test holds the two together.

/// How far the chunks of a body have been read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunks {
    state: State,
    /// What is left of the chunk.
    left: u64,
}

/// What was read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A part of the body, which goes on.
    Going,
    /// Its last byte.
    End,
    /// A byte that cannot come here.
    Malformed,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    FirstDigit,
    Digit,
    Space,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    /// The line after the last chunk, or after a trailer field.
    Line,
    TrailerField,
    TrailerLineFeed,
    EndLineFeed,
}

impl Chunks {
    /// How many of these bytes belong to the body, and what the last of them was. A byte that cannot come here is not
    /// counted.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Part) {
        let mut taken = 0;
        while let Some(&byte) = bytes.get(taken) {
            if matches!(self.state, State::Data) {
                let here = bytes.len() - taken;
                let count = here.min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= u64::try_from(count).unwrap_or_default();
                taken += count;
                if self.left == 0 {
                    self.state = State::DataReturn;
                }
                continue;
            }
            match self.step(byte) {
                Part::Going => taken += 1,
                Part::End => return (taken + 1, Part::End),
                Part::Malformed => return (taken, Part::Malformed),
            }
        }
        (taken, Part::Going)
    }

    fn step(&mut self, byte: u8) -> Part {
        self.state = match (self.state, byte) {
            (State::FirstDigit, _) if byte.is_ascii_hexdigit() => {
                self.left = digit(byte);
                State::Digit
            }
            (State::Digit, _) if byte.is_ascii_hexdigit() => {
                let Some(size) = self.left.checked_mul(16) else {
                    return Part::Malformed;
                };
                self.left = size + digit(byte);
                State::Digit
            }
            (State::Digit | State::Space, b'\t' | b' ') => State::Space,
            (State::Digit | State::Space | State::Extension, b'\r') => State::SizeLineFeed,
            (State::Digit | State::Space, b';') | (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => State::Extension,
            (State::SizeLineFeed, b'\n') if self.left > 0 => State::Data,
            (State::SizeLineFeed | State::TrailerLineFeed, b'\n') => State::Line,
            (State::DataReturn, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => State::FirstDigit,
            (State::Line, b'\r') => State::EndLineFeed,
            (State::TrailerField, b'\r') => State::TrailerLineFeed,
            (State::Line | State::TrailerField, _) => State::TrailerField,
            (State::EndLineFeed, b'\n') => return Part::End,
            _ => return Part::Malformed,
        };
        Part::Going
    }
}

/// The value of a hexadecimal digit.
fn digit(byte: u8) -> u64 {
    char::from(byte).to_digit(16).map(u64::from).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use actix_http::h1::{Codec, Message};
    use actix_web::web::BytesMut;
    use proptest::prelude::*;
    use tokio_util::codec::Decoder as _;

    const HEAD: &str = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    const BEHIND: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    /// What the parser takes of these bytes as a chunked body, and how it ends.
    fn parsed(body: &[u8]) -> (usize, Part) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        // The parser has a clock of its own.
        tokio::task::LocalSet::new().block_on(&runtime, async { parsed_here(body) })
    }

    fn parsed_here(body: &[u8]) -> (usize, Part) {
        let mut codec = Codec::default();
        let mut bytes = BytesMut::from(HEAD.as_bytes());
        assert!(matches!(codec.decode(&mut bytes), Ok(Some(Message::Item(_)))));
        bytes.extend_from_slice(body);
        loop {
            match codec.decode(&mut bytes) {
                Ok(Some(Message::Chunk(Some(_)))) => {}
                Ok(Some(Message::Chunk(None))) => return (body.len() - bytes.len(), Part::End),
                Ok(None) => return (body.len(), Part::Going),
                // It has taken the byte that cannot come there.
                Err(_) => return (body.len() - bytes.len() - 1, Part::Malformed),
                Ok(Some(Message::Item(_))) => panic!("a second request"),
            }
        }
    }

    fn taken(body: &[u8], piece: usize) -> (usize, Part) {
        let mut chunks = Chunks::default();
        let mut sum = 0;
        for bytes in body.chunks(piece) {
            let (count, part) = chunks.take(bytes);
            sum += count;
            if part != Part::Going {
                return (sum, part);
            }
        }
        (sum, Part::Going)
    }

    #[test]
    fn chunks_end_where_the_parser_says() {
        for body in [
            "0\r\n\r\n",
            "4\r\nbody\r\n0\r\n\r\n",
            "4 ;a=b\r\nbody\r\nA\r\n0123456789\r\n00\r\nX: y\r\nZ: z\r\n\r\n",
            "4\r\nbody",
            "g\r\n",
            "4;\u{1}\r\n",
            "4\r\nbodyx",
            "ffffffffffffffff0\r\n",
            "0\r\n\rx",
            "4\nbody",
            "",
        ] {
            let bytes = [body.as_bytes(), BEHIND].concat();
            for piece in [1, 3, bytes.len()] {
                assert_eq!(taken(&bytes, piece), parsed(&bytes), "{body:?} in pieces of {piece}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_as_chunks_ends_where_the_parser_says(
            parts in prop::collection::vec(prop_oneof![
                Just("\r\n".to_owned()), Just("0\r\n".to_owned()), Just("1\r\na".to_owned()), Just("2\r\nab\r\n".to_owned()),
                Just("X: y".to_owned()), Just(";x".to_owned()), Just("\r".to_owned()), Just(" ".to_owned()), "[ -~\r\n\t]{0,3}",
            ], 0..12),
            piece in 1_usize..9,
        ) {
            let bytes = parts.concat().into_bytes();
            prop_assert_eq!(taken(&bytes, piece), parsed(&bytes));
        }
    }
}
