//! A target that counts nonces: how often each request arrived, which no answer can tell.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::eventually::lock;
use crate::message::{Framing, framing, parse_request_head};
use crate::wire::{Wire, WireError};

/// The header field in which requests carry their nonce.
pub const NONCE: &str = "x-nonce";

/// How often each request arrived, over all targets that share this.
#[derive(Debug, Clone, Default)]
pub struct Arrivals(Arc<Mutex<HashMap<Arrival, usize>>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Arrival {
    method: String,
    nonce: String,
}

impl Arrivals {
    /// Notes one.
    pub fn add(&self, method: &str, nonce: &str) {
        let arrival = Arrival {
            method: method.to_owned(),
            nonce: nonce.to_owned(),
        };
        *lock(&self.0).entry(arrival).or_default() += 1;
    }

    /// How often the request with this method and nonce arrived.
    #[must_use]
    pub fn of(&self, method: &str, nonce: &str) -> usize {
        let arrival = Arrival {
            method: method.to_owned(),
            nonce: nonce.to_owned(),
        };
        lock(&self.0).get(&arrival).copied().unwrap_or(0)
    }

    /// How many requests with this method arrived, each counted once.
    #[must_use]
    pub fn distinct(&self, method: &str) -> usize {
        let arrivals = lock(&self.0);
        arrivals.keys().filter(|one| one.method == method).count()
    }

    /// The nonces with this method that arrived more than once.
    #[must_use]
    pub fn repeated(&self, method: &str) -> Vec<String> {
        let arrivals = lock(&self.0);
        let repeated = arrivals
            .iter()
            .filter(|(one, count)| one.method == method && **count > 1);
        repeated.map(|(one, _)| one.nonce.clone()).collect()
    }
}

/// A server that answers everything well, counts the nonces of what it gets, and keeps its connections. Dropping it
/// closes all of them.
///
/// A request without a nonce (a check of its health, say) is answered as well and not counted.
pub struct Recorder {
    address: SocketAddr,
    arrivals: Arrivals,
    inside: Arc<Inside>,
}

#[derive(Default)]
struct Inside {
    stopping: AtomicBool,
    accepted: Mutex<usize>,
    open: Mutex<HashMap<usize, TcpStream>>,
}

impl Recorder {
    /// A server with a count of its own.
    #[must_use]
    pub fn start() -> Self {
        Self::sharing(&Arrivals::default())
    }

    /// A server that shares its count with others.
    ///
    /// # Panics
    /// When the system gives no port.
    #[must_use]
    pub fn sharing(arrivals: &Arrivals) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has one");
        let inside = Arc::<Inside>::default();
        let (accepting, counted) = (Arc::clone(&inside), arrivals.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let (inside, arrivals) = (Arc::clone(&accepting), counted.clone());
                thread::spawn(move || inside.serve(stream, &arrivals));
            }
        });
        Self {
            address,
            arrivals: arrivals.clone(),
            inside,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What arrived so far.
    #[must_use]
    pub fn arrivals(&self) -> &Arrivals {
        &self.arrivals
    }

    /// Connections that are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        lock(&self.inside.open).len()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.inside.stopping.store(true, Ordering::SeqCst);
        // The accepting thread looks at the flag when a connection comes; this is that connection.
        let _ = TcpStream::connect(self.address);
        for stream in lock(&self.inside.open).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Inside {
    /// Serves one connection until it ends.
    fn serve(&self, stream: TcpStream, arrivals: &Arrivals) {
        let Ok((mut wire, number)) = self.enter(stream) else {
            return;
        };
        while answer_one(&mut wire, arrivals).is_ok() {}
        lock(&self.open).remove(&number);
    }

    fn enter(&self, stream: TcpStream) -> io::Result<(Wire, usize)> {
        let wire = Wire::new(stream)?.without_limit()?;
        let mut accepted = lock(&self.accepted);
        *accepted += 1;
        lock(&self.open).insert(*accepted, wire.handle()?);
        Ok((wire, *accepted))
    }
}

fn answer_one(wire: &mut Wire, arrivals: &Arrivals) -> Result<(), WireError> {
    let head = wire.read_head()?;
    let malformed = |why: String| WireError::Malformed(why, head.clone());
    let (method, _, _, headers) = parse_request_head(&head).map_err(malformed)?;
    let nonce = headers.all(NONCE).pop().unwrap_or_default();
    if !nonce.is_empty() {
        // Before its body: whoever sends it again may break off in between.
        arrivals.add(&method, &nonce);
    }
    let body = match framing(&headers).map_err(malformed)? {
        Framing::Chunked => wire.read_chunked()?.1,
        Framing::Length(length) => wire.read_exact(length)?,
        Framing::Unsaid => Vec::new(),
    };
    wire.send(&answer_to(&method, &nonce, &body))
}

/// What every target of this harness answers to a request with a nonce; its body is long enough to break in the middle.
#[must_use]
pub fn answer_to(method: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    let got = body.len();
    let text = format!("{method} {nonce} {got}\n{}\n", "answer ".repeat(64));
    let length = text.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{NONCE}: {nonce}\r\ncontent-length: {length}\r\n\r\n"
    );
    let text = if method == "HEAD" { "" } else { &text };
    [head.as_bytes(), text.as_bytes()].concat()
}
