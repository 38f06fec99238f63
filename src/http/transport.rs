//! What a connection stands on: a socket, or TLS on one. It begins with a handshake, if it has one, and nobody else waits
//! for that.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::Error as TlsError;
use tokio_rustls::server::TlsStream;

use super::socket::Socket;
use super::state::AppState;
use crate::metrics::Metrics;
use crate::tls::Certificates;

/// A socket, or TLS on one.
pub(super) enum Transport {
    Plain(Socket<TcpStream>),
    Tls(Box<TlsStream<Socket<TcpStream>>>),
}

/// The address at this end of a connection, which a client without a word for it has called.
pub(super) struct LocalAddress(pub(super) SocketAddr);

impl Transport {
    pub(super) fn local_address(&self) -> Option<LocalAddress> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.get_ref().0,
        };
        socket.io().local_addr().ok().map(LocalAddress)
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(tls) => match Pin::new(tls).poll_read(context, buffer) {
                // Many clients hang up without saying so in TLS. That nothing is missing, HTTP knows by itself.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                result => result,
            },
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

/// How connections begin.
pub(super) struct Entrance {
    certificates: Option<Arc<Certificates>>,
    /// How long a handshake may take.
    patience: Duration,
    /// How long a client may take nothing of what it is sent.
    stall: Duration,
    failures: Failures,
}

/// What comes in.
pub(super) enum Arrival {
    /// A connection that HTTP can be spoken on.
    Ready(Transport),
    /// A client that speaks plain HTTP where TLS is spoken.
    Astray(Transport),
    /// Nobody: the handshake failed, or never began.
    Nobody,
}

impl Entrance {
    /// With certificates, connections begin with a handshake.
    pub(super) fn new(certificates: Option<Arc<Certificates>>, state: &AppState) -> Self {
        Self {
            certificates,
            patience: state.limits.head_time,
            stall: state.limits.stall_time,
            failures: Failures::new(Arc::clone(&state.metrics)),
        }
    }

    /// Takes in a connection.
    pub(super) async fn admit(&self, io: TcpStream) -> Arrival {
        let Some(certificates) = &self.certificates else {
            return Arrival::Ready(Transport::Plain(Socket::new(io, self.stall)));
        };
        let source = io.peer_addr().ok().map(|address| address.ip().to_canonical());
        match timeout(self.patience, self.shake_hands(certificates, io)).await {
            Ok(Ok(arrival)) => return arrival,
            Ok(Err(error)) => self.failures.count(reason(&error), source),
            Err(_) => self.failures.count("too_slow", source),
        }
        Arrival::Nobody
    }

    async fn shake_hands(&self, certificates: &Certificates, io: TcpStream) -> io::Result<Arrival> {
        let mut first = [0];
        if io.peek(&mut first).await? == 0 {
            // A balancer that looks whether the port is open.
            return Ok(Arrival::Nobody);
        }
        let socket = Socket::new(io, self.stall);
        let [first] = first;
        // Every method of HTTP begins with a letter, and no handshake does.
        if first.is_ascii_alphabetic() {
            return Ok(Arrival::Astray(Transport::Plain(socket)));
        }
        let tls = TlsAcceptor::from(certificates.current()).accept(socket).await?;
        Ok(Arrival::Ready(Transport::Tls(Box::new(tls))))
    }
}

/// Handshakes that failed: counted, and logged once in a minute at most.
struct Failures {
    metrics: Arc<Metrics>,
    untold: AtomicU64,
    limiter: DefaultDirectRateLimiter,
}

impl Failures {
    fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            untold: AtomicU64::new(0),
            limiter: RateLimiter::direct(Quota::per_minute(NonZeroU32::MIN)),
        }
    }

    fn count(&self, reason: &'static str, source: Option<IpAddr>) {
        self.metrics.tls_handshakes_failed.of([reason.into()]).inc();
        self.untold.fetch_add(1, Ordering::Relaxed);
        if self.limiter.check().is_ok() {
            tracing::warn!(
                failed = self.untold.swap(0, Ordering::Relaxed),
                reason,
                source_address = source.map(tracing::field::display),
                "TLS handshakes failed; reason and address are those of the last one"
            );
        }
    }
}

/// Why a handshake failed, in words of ours: the library's could repeat what a caller has made up.
fn reason(error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<TlsError>()) else {
        return "hung_up";
    };
    match error {
        TlsError::NoCertificatesPresented => "no_client_certificate",
        TlsError::InvalidCertificate(_) => "client_certificate_refused",
        TlsError::AlertReceived(_) => "ended_by_client",
        TlsError::PeerIncompatible(_) | TlsError::NoApplicationProtocol => "nothing_in_common",
        _ => "not_tls",
    }
}
