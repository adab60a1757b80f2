//! The upstream: a real TCP server whose behaviour is a script, and which records every byte it receives.

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::eventually::{lock, wait_until};
use crate::wire::{Framing, Headers, Wire, WireError, framing, parse_request_head};

/// One request as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// The head, with the empty line.
    pub head: Vec<u8>,
    /// The body as it was framed: chunk sizes and all.
    pub raw_body: Vec<u8>,
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The minor version of HTTP/1.
    pub version: u8,
    /// The header fields.
    pub headers: Headers,
    /// The body without its transfer coding.
    pub body: Vec<u8>,
}

impl Received {
    /// The request line, without its line end.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {} HTTP/1.{}", self.method, self.target, self.version)
    }

    /// What the echo upstream answers: the request as JSON.
    #[must_use]
    pub fn to_answer(&self) -> Vec<u8> {
        let headers: Vec<_> = self
            .headers
            .0
            .iter()
            .map(|(name, value)| json!([name, value.escape_ascii().to_string()]))
            .collect();
        let body = json!({
            "connection": self.connection,
            "method": self.method,
            "target": self.target,
            "headers": headers,
            "body": String::from_utf8_lossy(&self.body),
        })
        .to_string();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nserver: echo/1\r\ncontent-length: {length}\r\n\r\n"
        );
        // The answer to HEAD is the head alone, with the length the body would have had (RFC 9110, 9.3.2).
        let body = if self.method == "HEAD" { "" } else { &body };
        [head.as_bytes(), body.as_bytes()].concat()
    }
}

/// A server on a free port of the loopback interface. Dropping it closes its listener and all connections.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    requests: Vec<Received>,
    broken: Vec<Vec<u8>>,
    streams: Vec<TcpStream>,
    ended: usize,
}

/// One accepted connection, as the script sees it.
pub struct Conversation {
    wire: Wire,
    number: usize,
    shared: Arc<Shared>,
}

impl Upstream {
    /// A server that runs `script` for each connection, on a thread of its own. The connection closes when the script
    /// returns, whatever it returns.
    ///
    /// # Panics
    /// When the system gives no port.
    pub fn start(
        script: impl Fn(&mut Conversation) -> Result<(), WireError> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has one");
        let shared = Arc::new(Shared::default());
        let (accepting, script) = (Arc::clone(&shared), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let Some(mut conversation) = Conversation::begin(stream, &accepting) else {
                    continue;
                };
                let script = Arc::clone(&script);
                thread::spawn(move || {
                    // How a script ends is the script's business; what arrived has been recorded.
                    let _ = script(&mut conversation);
                    conversation.end();
                });
            }
        });
        Self { address, shared }
    }

    /// A server that answers each request with what it received, as JSON, and keeps its connections.
    #[must_use]
    pub fn echo() -> Self {
        Self::answering(Received::to_answer)
    }

    /// A server that answers each request with these bytes, and keeps its connections.
    #[must_use]
    pub fn fixed(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::answering(move |_| answer.clone())
    }

    /// A server that answers each request with the bytes `answer` makes for it, and keeps its connections.
    pub fn answering(answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |conversation| {
            loop {
                let request = conversation.receive()?;
                conversation.send(answer(&request))?;
            }
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.shared.record).streams.len()
    }

    /// How many of them are still open on this side.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        let record = lock(&self.shared.record);
        record.streams.len() - record.ended
    }

    /// The requests received whole so far, in the order in which they ended.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        lock(&self.shared.record).requests.clone()
    }

    /// The same, and forgets them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Received> {
        std::mem::take(&mut lock(&self.shared.record).requests)
    }

    /// What arrived of requests that never became whole, one entry a connection, and forgets it.
    #[must_use]
    pub fn take_broken(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut lock(&self.shared.record).broken)
    }

    /// Waits for this many whole requests, counted from the start or from the last [`Upstream::take_requests`].
    ///
    /// # Panics
    /// When they do not come.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) {
        wait_until(&format!("{count} requests at the upstream"), || {
            lock(&self.shared.record).requests.len() >= count
        });
    }

    /// Closes every connection that is open, as a server does that restarts, and goes on listening.
    pub fn close_connections(&self) {
        for stream in &lock(&self.shared.record).streams {
            // Those that are closed already stay so.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // The accepting thread looks at the flag when a connection comes; this is that connection.
        let _ = TcpStream::connect(self.address);
        self.close_connections();
    }
}

impl Conversation {
    fn begin(stream: TcpStream, shared: &Arc<Shared>) -> Option<Self> {
        let mut record = lock(&shared.record);
        let number = record.streams.len();
        record.streams.push(stream.try_clone().ok()?);
        Some(Self {
            wire: Wire::new(stream).ok()?,
            number,
            shared: Arc::clone(shared),
        })
    }

    fn end(self) {
        lock(&self.shared.record).ended += 1;
        // The record keeps a second handle, so dropping ours would not close the connection.
        if let Some(stream) = lock(&self.shared.record).streams.get(self.number) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Which connection this is, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Reads one request and records it.
    ///
    /// # Errors
    /// When the connection ends, or what comes is no request; what had arrived is recorded as broken.
    pub fn receive(&mut self) -> Result<Received, WireError> {
        let received = self.read_request();
        let mut record = lock(&self.shared.record);
        match &received {
            Ok(request) => record.requests.push(request.clone()),
            Err(error) if !error.received().is_empty() => {
                record.broken.push(error.received().to_vec());
            }
            Err(_) => {}
        }
        received
    }

    /// Reads a head and nothing of the body, which the script then reads or leaves. Not recorded.
    ///
    /// # Errors
    /// When the connection ends before that.
    pub fn receive_head(&mut self) -> Result<Vec<u8>, WireError> {
        self.wire.read_head()
    }

    /// Sends exactly these bytes.
    ///
    /// # Errors
    /// When the gateway is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), WireError> {
        self.wire.send(bytes.as_ref())
    }

    /// Waits until the gateway closes or resets, and returns what it sent before.
    pub fn until_closed(&mut self) -> Vec<u8> {
        match self.wire.read_to_end() {
            Ok(rest) => rest,
            Err(error) => error.received().to_vec(),
        }
    }

    /// Makes the end of the script a reset instead of an orderly close.
    ///
    /// # Panics
    /// When the system refuses the socket option.
    pub fn reset_at_end(&mut self) {
        let mut record = lock(&self.shared.record);
        // Only closing the last handle resets, and a shutdown before it would be an orderly close. So the record lets
        // go of its own handle by taking another in its place.
        if let Some(stream) = record.streams.get_mut(self.number) {
            socket2::SockRef::from(&*stream)
                .set_linger(Some(std::time::Duration::ZERO))
                .expect("a TCP socket lets its linger time be set");
            *stream = unconnected();
        }
    }

    fn read_request(&mut self) -> Result<Received, WireError> {
        let head = self.wire.read_head()?;
        let malformed = |why: String| WireError::Malformed(why, head.clone());
        let (method, target, version, headers) = parse_request_head(&head).map_err(malformed)?;
        let (raw_body, body) = match framing(&headers).map_err(malformed)? {
            Framing::Chunked => self.wire.read_chunked(),
            Framing::Length(length) => self
                .wire
                .read_exact(length)
                .map(|body| (body.clone(), body)),
            Framing::Unsaid => Ok((Vec::new(), Vec::new())),
        }
        .map_err(|error| error.after(&head))?;
        Ok(Received {
            connection: self.number,
            head,
            raw_body,
            method,
            target,
            version,
            headers,
            body,
        })
    }
}

fn unconnected() -> TcpStream {
    Socket::new(Domain::IPV4, Type::STREAM, None)
        .expect("the system has sockets left")
        .into()
}

/// An address that refuses connections for as long as this lives: bound, so that nobody else gets the port, but not
/// listening.
pub struct Refusing {
    _socket: Socket,
    address: SocketAddr,
}

impl Refusing {
    /// Takes a free port.
    ///
    /// # Panics
    /// When the system gives none.
    #[must_use]
    pub fn new() -> Self {
        let (socket, address) = bound();
        Self {
            _socket: socket,
            address,
        }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Default for Refusing {
    fn default() -> Self {
        Self::new()
    }
}

/// An address that never answers a connection attempt: its queue is full, so Linux drops every further SYN.
pub struct Deaf {
    _listener: Socket,
    _queued: Vec<Socket>,
    address: SocketAddr,
}

impl Deaf {
    /// Takes a free port and fills its queue.
    ///
    /// # Panics
    /// When the system gives no port.
    #[must_use]
    pub fn new() -> Self {
        let (listener, address) = bound();
        listener.listen(0).expect("a bound socket listens");
        let fill = |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("a socket option");
            // In progress for ever, once the queue is full: that is the point.
            let _ = socket.connect(&address.into());
            socket
        };
        let queued = (0..8).map(fill).collect();
        Self {
            _listener: listener,
            _queued: queued,
            address,
        }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Default for Deaf {
    fn default() -> Self {
        Self::new()
    }
}

fn bound() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).expect("a free port");
    let address = socket.local_addr().ok().and_then(|bound| bound.as_socket());
    (socket, address.expect("a bound socket has an address"))
}
