//! Connections whose bytes the tests choose themselves, and the answers on them, taken apart one by one.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Answer, Client, TestApp, TlsClient, Wire};

/// How long the service may stay silent.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// A connection to the service.
pub(crate) struct RawConnection {
    pub(crate) stream: Wire,
    received: Vec<u8>,
}

/// A request with these lines as its head, and this body.
pub(crate) fn raw_request(lines: &[&str], body: &str) -> Vec<u8> {
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

/// A request of a caller: its request line, further lines, and a form, which may be empty.
pub(crate) fn raw_request_of(client: &Client, line: &str, headers: &[&str], form: &str) -> Vec<u8> {
    let authorization = format!("Authorization: {}", client.authorization());
    let length = format!("Content-Length: {}", form.len());
    let mut lines = vec![line, &authorization];
    if !form.is_empty() {
        lines.extend(["Content-Type: application/x-www-form-urlencoded", &length]);
    }
    lines.extend(headers);
    raw_request(&lines, form)
}

impl TestApp {
    /// A connection, over TLS where the service speaks it.
    pub(crate) fn connect(&self) -> RawConnection {
        match self.tls_client() {
            None => RawConnection::new(Wire::Plain(self.socket())),
            Some(client) => self.connect_as(&client).expect("the service shakes hands"),
        }
    }

    /// A connection of this client.
    pub(crate) fn connect_as(&self, client: &TlsClient) -> std::io::Result<RawConnection> {
        client.connect(self.socket()).map(RawConnection::new)
    }

    /// A connection on which nothing has been said.
    pub(crate) fn connect_plain(&self) -> RawConnection {
        RawConnection::new(Wire::Plain(self.socket()))
    }

    fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.host()).unwrap();
        socket.set_read_timeout(Some(SILENCE_LIMIT)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    /// Sends one request on a connection of its own, and answers its answer.
    pub(crate) fn exchange(&self, request: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.send(request);
        connection.answer()
    }
}

impl RawConnection {
    pub(crate) fn new(stream: Wire) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends bytes. The service may refuse and hang up before it has read everything; what it said by then counts.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next answer, held against the rules for all of them.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let answer = self.read_answer();
        answer.keeps_the_rules_for_all_answers();
        answer
    }

    /// The next head, which is no answer yet: `100 Continue`.
    #[track_caller]
    pub(crate) fn interim(&mut self) -> String {
        self.read_head()
    }

    /// Asserts that the service has hung up and said no more.
    #[track_caller]
    pub(crate) fn is_closed(&mut self) {
        let mut rest = std::mem::take(&mut self.received);
        let result = self.stream.read_to_end(&mut rest);
        let text = String::from_utf8_lossy(&rest);
        assert!(rest.is_empty(), "after the last answer came {text}");
        result.expect("the connection ends well");
    }

    /// Asserts that the connection is cut within this time, however it is cut.
    #[track_caller]
    pub(crate) fn is_cut_within(&mut self, limit: Duration) {
        while self.look(limit).expect("the connection is still open") > 0 {}
    }

    /// Receives what comes within this time: how many bytes, or none where nothing came. Zero is the end, however it came.
    #[track_caller]
    pub(crate) fn look(&mut self, limit: Duration) -> Option<usize> {
        self.stream.socket().set_read_timeout(Some(limit)).unwrap();
        let mut buffer = [0; 16 * 1024];
        let result = self.stream.read(&mut buffer);
        self.stream.socket().set_read_timeout(Some(SILENCE_LIMIT)).unwrap();
        match result {
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                Some(count)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => None,
                ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => Some(0),
                _ => panic!("the connection fails: {error}"),
            },
        }
    }

    #[track_caller]
    fn read_answer(&mut self) -> Answer {
        let head = self.read_head();
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap();
        let status: u16 = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let length = match headers.get("content-length") {
            Some(length) => length.to_str().unwrap().parse().unwrap(),
            None => 0,
        };
        let body = self.take(length);
        Answer {
            status,
            headers,
            body: String::from_utf8(body).unwrap(),
        }
    }

    #[track_caller]
    fn read_head(&mut self) -> String {
        loop {
            let end = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                return String::from_utf8(self.take(end + 4)).unwrap();
            }
            self.read_more();
        }
    }

    #[track_caller]
    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            self.read_more();
        }
        let rest = self.received.split_off(count);
        std::mem::replace(&mut self.received, rest)
    }

    #[track_caller]
    fn read_more(&mut self) {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(count @ 1..) => self.received.extend_from_slice(&buffer[..count]),
            end => panic!(
                "the answer ends early ({end:?}): {:?}",
                String::from_utf8_lossy(&self.received)
            ),
        }
    }
}
