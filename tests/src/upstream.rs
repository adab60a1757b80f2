//! The upstream: a real TCP server whose behaviour is a script, and which records every byte it receives.

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

pub use crate::conversation::Conversation;
use crate::eventually::{lock, wait_until};
use crate::message::Headers;
use crate::wire::WireError;

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
pub(crate) struct Shared {
    stopping: AtomicBool,
    pub(crate) record: Mutex<Record>,
}

/// What happened at an upstream so far.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) requests: Vec<Received>,
    pub(crate) broken: Vec<Vec<u8>>,
    /// A second handle of each connection ever accepted, by its number.
    pub(crate) streams: Vec<TcpStream>,
    /// How many conversations are over.
    pub(crate) ended: usize,
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
        Self::on(listener, script)
    }

    /// The same with a socket that listens already, such as one on another address.
    ///
    /// # Panics
    /// When the socket is none.
    pub fn on(
        listener: TcpListener,
        script: impl Fn(&mut Conversation) -> Result<(), WireError> + Send + Sync + 'static,
    ) -> Self {
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
