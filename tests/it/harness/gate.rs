//! A gate in front of the database: a proxy that tests cut, slow down, reset and silence, to see what the service does.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use reqwest::Url;
use socket2::SockRef;
use sqlx::postgres::PgConnectOptions;

use super::{ReservedPort, TestDatabase};

/// How long it may take to open or to shut.
const PATIENCE: Duration = Duration::from_secs(30);

/// A listener that passes bytes on to the database for as long as it is open.
pub(crate) struct Gate {
    port: ReservedPort,
    url: String,
    state: Arc<State>,
}

struct State {
    target: Mutex<Target>,
    door: Door,
    passing: Mutex<Vec<Arc<Passage>>>,
    traffic: Arc<Traffic>,
}

/// Whether there is a listener. The one who listens and the one who opens and shuts wait here for each other.
#[derive(Default)]
struct Door {
    is: Mutex<Is>,
    changed: Condvar,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Is {
    #[default]
    Open,
    Closing,
    Shut,
    Opening,
    Gone,
}

/// One connection: the client's end, and the database's.
struct Passage {
    client: TcpStream,
    server: Server,
    /// Nothing passes any more, and neither end hears of it.
    is_silent: AtomicBool,
    /// The client is not told in good order that this is the end.
    is_reset: AtomicBool,
}

enum Server {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// What happens to everything that passes.
#[derive(Default)]
struct Traffic {
    rules: Mutex<Rules>,
    changed: Condvar,
}

#[derive(Default, Clone, Copy)]
struct Rules {
    is_held: bool,
    delay: Duration,
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
            door: Door::default(),
            passing: Mutex::default(),
            traffic: Arc::default(),
        });
        let port = ReservedPort::new();
        let address = port.address();
        let listener = TcpListener::bind(address).unwrap();
        let mut url = Url::parse(url).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(port.number())).unwrap();
        let keeper = Arc::clone(&state);
        thread::spawn(move || keeper.keep(listener, address));
        Self {
            port,
            url: url.to_string(),
            state,
        }
    }

    /// The address of the database behind the gate.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends every connection and refuses every new one.
    pub(crate) fn shut(&self) {
        if self.state.door.is(Is::Open) {
            self.state.door.turn(Is::Closing);
            // Wakes the one who listens, so that he sees it.
            let _ = TcpStream::connect(self.port.address());
            self.state.door.wait_until(Is::Shut);
        }
        for passage in self.state.passing.lock().unwrap().drain(..) {
            passage.end();
        }
    }

    /// Lets new connections through again.
    pub(crate) fn open(&self) {
        if self.state.door.is(Is::Shut) {
            self.state.door.turn(Is::Opening);
            self.state.door.wait_until(Is::Open);
        }
    }

    /// Breaks every connection as a machine does that knows nothing of it, and lets new ones through.
    pub(crate) fn reset(&self) {
        for passage in self.state.passing.lock().unwrap().drain(..) {
            passage.reset();
        }
    }

    /// Forgets every connection without telling either end, as a firewall does, and lets new ones through.
    pub(crate) fn silence(&self) {
        for passage in self.state.passing.lock().unwrap().iter() {
            passage.is_silent.store(true, Ordering::SeqCst);
        }
    }

    /// Keeps every connection and passes nothing on: a network that swallows packets, a machine that hangs.
    pub(crate) fn hold(&self) {
        self.state.traffic.rule(|rules| rules.is_held = true);
    }

    /// Passes on again, what was held back first.
    pub(crate) fn release(&self) {
        self.state.traffic.rule(|rules| rules.is_held = false);
    }

    /// Passes everything on later by this much, in each direction.
    pub(crate) fn slow(&self, delay: Duration) {
        self.state.traffic.rule(|rules| rules.delay = delay);
    }

    /// Leads new connections to the server with that address. Those that are there stay where they are.
    pub(crate) fn lead_to(&self, url: &str) {
        *self.state.target.lock().unwrap() = Target::of(url);
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
        self.state.door.turn(Is::Gone);
    }
}

impl Door {
    fn is(&self, wanted: Is) -> bool {
        *self.is.lock().unwrap() == wanted
    }

    fn turn(&self, next: Is) {
        *self.is.lock().unwrap() = next;
        self.changed.notify_all();
    }

    fn wait_until(&self, wanted: Is) {
        let is = self.is.lock().unwrap();
        let ended = self.changed.wait_timeout_while(is, PATIENCE, |is| *is != wanted);
        assert!(!ended.unwrap().1.timed_out(), "the gate neither opens nor shuts");
    }

    /// Waits while it is shut; false when nobody needs it any more.
    fn wait_for_opening(&self) -> bool {
        let is = self.is.lock().unwrap();
        *self.changed.wait_while(is, |is| *is == Is::Shut).unwrap() == Is::Opening
    }
}

impl State {
    fn keep(&self, first: TcpListener, address: SocketAddr) {
        let mut listener = first;
        loop {
            while let Ok((client, _)) = listener.accept() {
                if self.door.is(Is::Closing) {
                    break;
                }
                self.let_pass(client);
            }
            // A program that is being started has a copy of it for a moment: it would go on to listen, and nobody could be let
            // in here again.
            let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
            drop(listener);
            self.door.turn(Is::Shut);
            if !self.door.wait_for_opening() {
                return;
            }
            listener = TcpListener::bind(address).unwrap();
            self.door.turn(Is::Open);
        }
    }

    fn let_pass(&self, client: TcpStream) {
        let server = match &*self.target.lock().unwrap() {
            Target::Socket(path) => UnixStream::connect(path).map(Server::Unix),
            Target::Tcp(host, port) => TcpStream::connect((host.as_str(), *port)).map(Server::Tcp),
        };
        let Ok(server) = server else { return };
        let passage = Arc::new(Passage {
            client,
            server,
            is_silent: AtomicBool::new(false),
            is_reset: AtomicBool::new(false),
        });
        self.passing.lock().unwrap().push(Arc::clone(&passage));
        let (there, back) = (Arc::clone(&passage), passage);
        let (traffic, also_traffic) = (Arc::clone(&self.traffic), Arc::clone(&self.traffic));
        thread::spawn(move || {
            traffic.pass_on(&there, &there.client, &there.server);
            there.server.shutdown();
        });
        thread::spawn(move || {
            also_traffic.pass_on(&back, &back.server, &back.client);
            if !back.is_reset.load(Ordering::SeqCst) && !back.is_silent.load(Ordering::SeqCst) {
                let _ = back.client.shutdown(Shutdown::Both);
            }
        });
    }
}

impl Passage {
    fn end(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        self.server.shutdown();
    }

    /// The last one who lets go of the client's end breaks it: no time is left for what is under way.
    fn reset(&self) {
        self.is_reset.store(true, Ordering::SeqCst);
        SockRef::from(&self.client).set_linger(Some(Duration::ZERO)).unwrap();
        // Wakes those who read, and tells the other end nothing.
        let _ = self.client.shutdown(Shutdown::Read);
        self.server.shutdown();
    }
}

impl Server {
    fn shutdown(&self) {
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for &Server {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Server::Unix(stream) => (&mut &*stream).read(buffer),
            Server::Tcp(stream) => (&mut &*stream).read(buffer),
        }
    }
}

impl Write for &Server {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Server::Unix(stream) => (&mut &*stream).write(bytes),
            Server::Tcp(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Traffic {
    fn rule(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().unwrap());
        self.changed.notify_all();
    }

    /// Passes bytes on in one direction until one side ends.
    fn pass_on(&self, passage: &Passage, mut from: impl Read, mut to: impl Write) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let rules = self.rules.lock().unwrap();
            let Rules { delay, .. } = *self.changed.wait_while(rules, |rules| rules.is_held).unwrap();
            thread::sleep(delay);
            if passage.is_silent.load(Ordering::SeqCst) {
                continue;
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
    }
}
