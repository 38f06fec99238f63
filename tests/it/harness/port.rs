//! Ports that belong to one test, although it listens there later, or again, or not at all.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port of loopback that the system gives to nobody who asks for any, for as long as this is kept. Who names it may listen
/// there, one after the other.
pub(crate) struct ReservedPort {
    address: SocketAddr,
    /// Bound, and never listening: who connects while nobody else listens is refused.
    _socket: Socket,
}

impl ReservedPort {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // As whoever listens beside it has set it too.
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        Self {
            address: socket.local_addr().unwrap().as_socket().unwrap(),
            _socket: socket,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn number(&self) -> u16 {
        self.address.port()
    }
}

#[test]
fn one_listens_at_a_reserved_port_again_and_again_and_in_between_nobody_does() {
    use std::net::{Shutdown, TcpListener, TcpStream};

    use socket2::SockRef;

    let port = ReservedPort::new();
    for _ in 0..3 {
        assert!(TcpStream::connect(port.address()).is_err());
        let listener = TcpListener::bind(port.address()).unwrap();
        TcpStream::connect(port.address()).unwrap();
        assert!(TcpListener::bind(port.address()).is_err(), "one at a time");
        // Not only dropped: a program that another test is starting has a copy for a moment, and would go on to listen.
        SockRef::from(&listener).shutdown(Shutdown::Both).unwrap();
        drop(listener);
    }
}
