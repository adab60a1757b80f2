//! Clients of every kind that never pause: each request is answered, whatever happens meanwhile.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use swapgate_tests::{SecureConfig, h2, wait_until};

use super::world::{BODY, World};

/// How long a client rests between two requests.
const PACE: Duration = Duration::from_millis(2);
/// How long one read may take before the request counts as lost.
const LIMIT: Duration = Duration::from_secs(30);
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// All of them, until they are stopped.
pub(crate) struct Clients {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
    lost: Mutex<Vec<String>>,
}

/// One kind of client: what it has open, and how it asks. It says whether the connection may be used again.
trait Kind: Send + 'static {
    type Open;
    fn name(&self) -> &'static str;
    fn open(&self) -> io::Result<Self::Open>;
    fn ask(&self, open: &mut Self::Open) -> io::Result<bool>;
}

impl Clients {
    /// Kept-alive and fresh connections over TCP, TLS, HTTP/2 and a Unix socket, and somebody who asks admin.
    pub(crate) fn start(world: &World) -> Self {
        let mut clients = Self {
            shared: Arc::default(),
            threads: Vec::new(),
        };
        let plain = world.gateway.address_of("plain");
        let secure = world.gateway.address_of("secure");
        let config = SecureConfig::new(&world.certificates.ca(), None);
        for keeps in [true, true, false] {
            clients.run(Plain { to: plain, keeps });
            let config = config.clone();
            clients.run(Tls {
                to: secure,
                config,
                keeps,
            });
            let path = world.unix();
            clients.run(Local { path, keeps });
        }
        clients.run(Http2(plain));
        clients.run(Http2(plain));
        clients.run(Admin(world.gateway.admin_address()));
        clients
    }

    fn run<K: Kind>(&mut self, kind: K) {
        let shared = Arc::clone(&self.shared);
        self.threads.push(thread::spawn(move || {
            let mut kept = None;
            while !shared.stop.load(Ordering::SeqCst) {
                let opened = kept.take().map_or_else(|| kind.open(), Ok);
                let asked = opened.and_then(|mut open| Ok((kind.ask(&mut open)?, open)));
                match asked {
                    Ok((again, open)) => {
                        kept = again.then_some(open);
                        shared.answered.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(error) => shared.loses(format!("{}: {error}", kind.name())),
                }
                thread::sleep(PACE);
            }
        }));
    }

    /// Waits until so many more requests are answered.
    pub(crate) fn wait_for_more(&self, count: u64) {
        let goal = self.shared.answered.load(Ordering::SeqCst) + count;
        wait_until("more answers", || {
            self.shared.answered.load(Ordering::SeqCst) >= goal || !self.lost().is_empty()
        });
    }

    /// What was lost so far.
    pub(crate) fn lost(&self) -> Vec<String> {
        let lost = self.shared.lost.lock();
        lost.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops all of them, and demands that nothing was lost; how many requests were answered.
    pub(crate) fn stop_without_loss(mut self) -> u64 {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client does not panic");
        }
        let lost = self.lost();
        assert!(lost.is_empty(), "{} lost: {lost:#?}", lost.len());
        self.shared.answered.load(Ordering::SeqCst)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn loses(&self, what: String) {
        let lost = self.lost.lock();
        lost.unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

struct Plain {
    to: SocketAddr,
    keeps: bool,
}

impl Kind for Plain {
    type Open = BufReader<TcpStream>;

    fn name(&self) -> &'static str {
        "plain"
    }

    fn open(&self) -> io::Result<Self::Open> {
        let stream = TcpStream::connect(self.to)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }

    fn ask(&self, open: &mut Self::Open) -> io::Result<bool> {
        open.get_mut().write_all(REQUEST.as_bytes())?;
        Ok(answer(open)? && self.keeps)
    }
}

struct Local {
    path: PathBuf,
    keeps: bool,
}

impl Kind for Local {
    type Open = BufReader<UnixStream>;

    fn name(&self) -> &'static str {
        "unix"
    }

    fn open(&self) -> io::Result<Self::Open> {
        let stream = UnixStream::connect(&self.path)?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(BufReader::new(stream))
    }

    fn ask(&self, open: &mut Self::Open) -> io::Result<bool> {
        open.get_mut().write_all(REQUEST.as_bytes())?;
        Ok(answer(open)? && self.keeps)
    }
}

struct Tls {
    to: SocketAddr,
    config: SecureConfig,
    keeps: bool,
}

impl Kind for Tls {
    type Open = swapgate_tests::Secure;

    fn name(&self) -> &'static str {
        "tls"
    }

    fn open(&self) -> io::Result<Self::Open> {
        self.config.connect(self.to, "a.test")
    }

    fn ask(&self, open: &mut Self::Open) -> io::Result<bool> {
        let answer = open.get("a.test", "/")?;
        if answer.status != 200 || answer.body != BODY.as_bytes() {
            return Err(io::Error::other(format!("{answer:?}")));
        }
        Ok(self.keeps && !answer.head.contains("connection: close"))
    }
}

struct Http2(SocketAddr);

impl Kind for Http2 {
    type Open = h2::Connection;

    fn name(&self) -> &'static str {
        "http2"
    }

    fn open(&self) -> io::Result<Self::Open> {
        // A refused connection is an error here, and a panic there.
        drop(TcpStream::connect(self.0)?);
        Ok(h2::Connection::open(self.0))
    }

    fn ask(&self, open: &mut Self::Open) -> io::Result<bool> {
        let answer = open.get("/");
        let answer = answer.map_err(|error| io::Error::other(error.to_string()))?;
        if answer.status != 200 {
            return Err(io::Error::other(format!("{answer:?}")));
        }
        Ok(open.seen().goaway.is_none())
    }
}

/// Asks whether the gateway is ready, each time on a connection of its own.
struct Admin(SocketAddr);

impl Kind for Admin {
    type Open = BufReader<TcpStream>;

    fn name(&self) -> &'static str {
        "admin"
    }

    fn open(&self) -> io::Result<Self::Open> {
        let stream = TcpStream::connect(self.0)?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(BufReader::new(stream))
    }

    fn ask(&self, open: &mut Self::Open) -> io::Result<bool> {
        let request = "GET /readyz HTTP/1.1\r\nHost: admin\r\n\r\n";
        open.get_mut().write_all(request.as_bytes())?;
        let (_, text) = whole(open)?;
        match text.contains("\"ready\": true") {
            true => Ok(false),
            false => Err(io::Error::other(text)),
        }
    }
}

/// Reads an answer of the upstream; whether the connection may be used again.
fn answer(from: &mut BufReader<impl Read>) -> io::Result<bool> {
    let (head, body) = whole(from)?;
    if body != BODY {
        return Err(io::Error::other(format!("{head}{body}")));
    }
    Ok(!head.contains("connection: close"))
}

/// Reads a head, and a body with a length; not a byte is an error as well.
fn whole(from: &mut BufReader<impl Read>) -> io::Result<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head)? == 0 {
            let text = format!("closed after {head:?}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    from.read_exact(&mut body)?;
    if !head.starts_with("http/1.1 200 ") {
        let body = String::from_utf8_lossy(&body);
        return Err(io::Error::other(format!("{head}{body}")));
    }
    Ok((head, String::from_utf8_lossy(&body).into_owned()))
}
