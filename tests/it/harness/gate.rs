//! A gate in front of the database, which tests shut to see what the service does without it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use reqwest::Url;
use sqlx::postgres::PgConnectOptions;

use super::TestDatabase;

/// A listener that passes bytes on to the database for as long as it is open.
pub(crate) struct Gate {
    address: SocketAddr,
    url: String,
    state: Arc<State>,
}

struct State {
    target: Mutex<Target>,
    is_shut: AtomicBool,
    is_gone: AtomicBool,
    passing: Mutex<Vec<TcpStream>>,
    /// Of the connections from now on.
    held: Mutex<Arc<Held>>,
}

/// Whether bytes are held back, for those who wait to pass them on.
#[derive(Default)]
struct Held {
    is_held: Mutex<bool>,
    changed: Condvar,
}

/// Where the database is.
enum Target {
    Socket(PathBuf),
    Tcp(String, u16),
}

impl Gate {
    /// An open gate in front of a database.
    pub(crate) fn before(database: &TestDatabase) -> Self {
        Self::before_url(database.url())
    }

    /// An open gate in front of the database with that address.
    pub(crate) fn before_url(url: &str) -> Self {
        let state = Arc::new(State {
            target: Mutex::new(Target::of(url)),
            is_shut: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            passing: Mutex::default(),
            held: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut url = Url::parse(url).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(address.port())).unwrap();
        let keeper = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if keeper.is_gone.load(Ordering::SeqCst) {
                    break;
                }
                if let Ok(stream) = stream {
                    keeper.let_pass(stream);
                }
            }
        });
        Self {
            address,
            url: url.to_string(),
            state,
        }
    }

    /// The address of the database behind the gate.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Breaks every connection and lets no new one through.
    pub(crate) fn shut(&self) {
        let mut passing = self.state.passing.lock().unwrap();
        self.state.is_shut.store(true, Ordering::SeqCst);
        for stream in passing.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Keeps every connection and passes nothing on: a network that swallows packets, a machine that hangs.
    pub(crate) fn hold(&self) {
        self.state.held.lock().unwrap().set(true);
    }

    /// Forgets the present connections without a word to either side, and lets new ones through: a machine that died, and
    /// another one that took its address over.
    pub(crate) fn strand(&self) {
        self.hold();
        *self.state.held.lock().unwrap() = Arc::default();
    }

    /// Passes on again, what was held back first.
    pub(crate) fn release(&self) {
        self.state.held.lock().unwrap().set(false);
    }

    /// Leads new connections to the server with that address. Those that are there stay where they are.
    pub(crate) fn lead_to(&self, url: &str) {
        *self.state.target.lock().unwrap() = Target::of(url);
    }

    /// Lets new connections through again.
    pub(crate) fn open(&self) {
        self.state.is_shut.store(false, Ordering::SeqCst);
    }
}

impl Target {
    fn of(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        match options.get_socket() {
            Some(directory) => Self::Socket(directory.join(format!(".s.PGSQL.{}", options.get_port()))),
            None => Self::Tcp(options.get_host().to_owned(), options.get_port()),
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shut();
        self.release();
        self.state.is_gone.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees that nobody needs it any more.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn let_pass(&self, client: TcpStream) {
        let mut passing = self.passing.lock().unwrap();
        if self.is_shut.load(Ordering::SeqCst) {
            return;
        }
        let joined = client.try_clone().and_then(|copy| match &*self.target.lock().unwrap() {
            Target::Socket(path) => UnixStream::connect(path)
                .map(|server| self.join(copy, server, |server| server.shutdown(Shutdown::Both))),
            Target::Tcp(host, port) => TcpStream::connect((host.as_str(), *port))
                .map(|server| self.join(copy, server, |server| server.shutdown(Shutdown::Both))),
        });
        if joined.is_ok() {
            passing.push(client);
        }
    }

    /// Passes bytes on in both directions until one side ends, which ends the other.
    fn join<S>(&self, client: TcpStream, server: S, end: fn(&S) -> io::Result<()>)
    where
        S: Send + Sync + 'static,
        for<'a> &'a S: Read + Write,
    {
        let there = Arc::new((client, server));
        let held = Arc::clone(&self.held.lock().unwrap());
        let (back, also_held) = (Arc::clone(&there), Arc::clone(&held));
        thread::spawn(move || {
            let (client, server) = &*there;
            held.pass_on(client, server);
            let _ = end(server);
        });
        thread::spawn(move || {
            let (client, server) = &*back;
            also_held.pass_on(server, client);
            let _ = client.shutdown(Shutdown::Both);
        });
    }
}

impl Held {
    fn set(&self, is_held: bool) {
        *self.is_held.lock().unwrap() = is_held;
        self.changed.notify_all();
    }

    fn pass_on(&self, mut from: impl Read, mut to: impl Write) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let is_held = self.is_held.lock().unwrap();
            drop(self.changed.wait_while(is_held, |is_held| *is_held).unwrap());
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
    }
}
