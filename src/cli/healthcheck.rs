//! `pushvault healthcheck`: for containers, which bring no curl.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::output::Failure;
use crate::config::Settings;

const TIMEOUT: Duration = Duration::from_secs(3);

/// The start of a good answer; no more of it is read.
const ALIVE: &[u8] = b"HTTP/1.1 200 ";

pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    let listen = match (settings.admin.listen, &settings.tls.files) {
        (Some(admin), _) => admin,
        (None, None) => settings.server.listen,
        // Its certificate is for the name that callers use, and it may ask for one of the client's.
        (None, Some(_)) => return Err("the service speaks TLS, and is asked in plain HTTP: set admin.listen".into()),
    };
    let address = reachable(listen);
    match ask(address) {
        Ok(answer) if answer == ALIVE => Ok(()),
        Ok(_) => Err(format!("{address} answers, but not that it is alive").into()),
        Err(error) => Err(format!("{address} does not answer: {error}").into()),
    }
}

/// The start of the answer.
fn ask(address: SocketAddr) -> io::Result<[u8; ALIVE.len()]> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = [0_u8; ALIVE.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// A service that listens on every address is asked on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
