//! The threads that serve connections, and the one place where connections come from.
//!
//! What comes in is served to its end: when it is time to stop, those connections that the system has already made for us
//! are taken too before the listener is closed, and what is under way is waited for.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_service::{Service as _, ServiceFactory};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use super::admission::{Admission, Admitted};

/// How long to wait with the next connection after one could not be had: there are too many open files, for one.
const BREATH: Duration = Duration::from_millis(100);

/// A connection that was let in.
type Incoming = (std::net::TcpStream, Admitted);

/// Threads, each with connections of its own.
pub(super) struct Workers {
    queues: Vec<mpsc::UnboundedSender<Incoming>>,
    next: usize,
    /// Ends the threads, whatever is under way.
    give_up: watch::Sender<bool>,
}

impl Workers {
    /// Starts threads, each with a service that `make` makes for it.
    pub(super) fn start<F>(name: &str, count: usize, make: impl Fn() -> F + Clone + Send + 'static) -> io::Result<Self>
    where
        F: ServiceFactory<(TcpStream, Admitted), Config = (), InitError = ()> + 'static,
        F::Service: 'static,
    {
        let (give_up, end) = watch::channel(false);
        let queues = (0..count)
            .map(|number| {
                let (queue, connections) = mpsc::unbounded_channel();
                let (make, mut end) = (make.clone(), end.clone());
                let runtime = Builder::new_current_thread().enable_all().build()?;
                thread::Builder::new().name(format!("{name} {number}")).spawn(move || {
                    LocalSet::new().block_on(&runtime, async move {
                        tokio::select! {
                            () = serve(make(), connections) => {}
                            _ = end.wait_for(|is_now| *is_now) => {}
                        }
                    });
                })?;
                Ok(queue)
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            queues,
            next: 0,
            give_up,
        })
    }

    /// Takes connections until `stop` is ready, and then those that are there already.
    pub(super) async fn accept(
        &mut self,
        listener: TcpListener,
        admission: Arc<Admission>,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => {
                    accepted.and_then(|(connection, peer)| Ok((connection.into_std()?, peer)))
                }
                () = &mut stop => break,
            };
            match accepted {
                Ok((connection, peer)) => self.take(connection, peer, &admission).await,
                Err(error) => {
                    tracing::warn!(cause = %error, "a connection could not be had");
                    sleep(BREATH).await;
                }
            }
        }
        let listener = listener.into_std()?;
        while let Ok((connection, peer)) = listener.accept() {
            connection.set_nonblocking(true)?;
            self.take(connection, peer, &admission).await;
        }
        Ok(())
    }

    /// Waits until every connection has ended, but not for longer than that.
    pub(super) async fn end(self, limit: Duration) {
        drop(self.queues);
        // The threads hold the other ends.
        if timeout(limit, self.give_up.closed()).await.is_err() {
            self.give_up.send_replace(true);
            self.give_up.closed().await;
        }
    }

    /// Gives a connection to a thread, or closes it where there are as many as there may be.
    async fn take(&mut self, connection: std::net::TcpStream, peer: SocketAddr, admission: &Arc<Admission>) {
        let Some(admitted) = admission.admit(peer.ip()).await else {
            return;
        };
        if let Some(queue) = self.queues.get(self.next) {
            // A thread that is gone has nobody to tell.
            let _ = queue.send((connection, admitted));
        }
        self.next = (self.next + 1) % self.queues.len().max(1);
    }
}

/// Serves connections until no more will come and all have ended.
async fn serve<F>(factory: F, mut incoming: mpsc::UnboundedReceiver<Incoming>)
where
    F: ServiceFactory<(TcpStream, Admitted), Config = (), InitError = ()>,
    F::Service: 'static,
{
    let Ok(service) = factory.new_service(()).await else {
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            connection = incoming.recv() => match connection.map(|(io, admitted)| Ok((TcpStream::from_std(io)?, admitted))) {
                Some(Ok(connection)) => {
                    let served = service.call(connection);
                    // How it ended is in the access log, or nothing had begun.
                    connections.spawn_local(async move { drop(served.await) });
                }
                Some(Err::<_, io::Error>(error)) => tracing::warn!(cause = %error, "a connection could not be had"),
                None => break,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    while connections.join_next().await.is_some() {}
}
