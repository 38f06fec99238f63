//! A connection and the HTTP parsers that have it, one after the other.
//!
//! A parser keeps the buffer that it reads into, with all that a request brought, for as long as its connection lasts. So
//! it has the connection for one request alone: then it is let go, its buffers are freed and wiped, and the connection
//! rests without one until the client says more.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_service::Service;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::activity::Activity;
use super::admission::Admitted;
use super::connection::Connection;
use super::transport::{LocalAddress, Transport};
use super::unread::too_large;

/// A connection that a parser has.
pub(super) struct Turn(Rc<RefCell<Connection<Transport>>>);

impl Turn {
    pub(super) fn activity(&self) -> Activity {
        self.0.borrow().activity()
    }

    pub(super) fn local_address(&self) -> Option<LocalAddress> {
        self.0.borrow().io().local_address()
    }
}

/// Serves a connection to its end. It may rest for `keep_alive`, unless it has to make way for another.
pub(super) async fn take_turns<S>(
    http: Rc<S>,
    connection: Connection<Transport>,
    peer: Option<SocketAddr>,
    keep_alive: Duration,
    admitted: &Admitted,
) -> Result<(), DispatchError>
where
    S: Service<(Turn, Option<SocketAddr>), Response = (), Error = DispatchError>,
{
    let connection = Rc::new(RefCell::new(connection));
    loop {
        http.call((Turn(Rc::clone(&connection)), peer)).await?;
        if connection.borrow().is_head_too_large() {
            let head = too_large();
            poll_fn(|context| connection.borrow_mut().tell(context, &head)).await?;
        }
        if !connection.borrow().rests() {
            return Ok(());
        }
        let next = poll_fn(|context| connection.borrow_mut().poll_next(context));
        let next = async { timeout(keep_alive, next).await.unwrap_or(false) };
        if !admitted.idle(next).await {
            poll_fn(|context| connection.borrow_mut().poll_end(context)).await?;
            return Ok(());
        }
    }
}

impl AsyncRead for Turn {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(context, buffer)
    }
}

impl AsyncWrite for Turn {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(context)
    }
}
