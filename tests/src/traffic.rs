//! Load in which every request can be told from every other: what was sent, how long it took and what became of it.
//!
//! Unlike [`crate::Load`] it expects failures and writes them down; what they mean is for the test to judge.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::{Client, Response};
use crate::eventually::{lock, wait_until};
use crate::recorder::NONCE;
use crate::wire::WireError;

/// How long a client rests between two requests, so that a machine with few cores has time for the faults as well.
const PACE: Duration = Duration::from_millis(4);

/// What the clients send, one after the other. Half of it must not be sent twice.
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "POST"];

/// One request and what became of it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Tells it from every other request of this process.
    pub nonce: String,
    /// The method.
    pub method: &'static str,
    /// When it was sent.
    pub began: Instant,
    /// From then to its outcome.
    pub took: Duration,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The answer of a target, to this very request.
    Answered,
    /// An answer with another status, and the gateway's id of the request where it says one.
    Refused(u16, Option<String>),
    /// An answer to something else, or not as the target gave it.
    Wrong(String),
    /// An answer that broke off.
    Torn(String),
    /// The connection ended without a byte.
    Closed,
    /// Nothing came for as long as the client waits.
    TimedOut,
    /// The gateway took no connection.
    NotConnected,
}

/// Clients on kept-alive connections that run until they are stopped.
pub struct Traffic {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    /// How long a client waits for one piece of an answer.
    limit: Duration,
    stopping: AtomicBool,
    ended: AtomicU64,
    entries: Mutex<Vec<Entry>>,
}

impl Traffic {
    /// Starts so many clients; none waits longer than `limit` for anything.
    #[must_use]
    pub fn start(address: SocketAddr, clients: usize, limit: Duration) -> Self {
        let shared = Arc::new(Shared {
            address,
            limit,
            stopping: AtomicBool::new(false),
            ended: AtomicU64::new(0),
            entries: Mutex::default(),
        });
        let run = |client: usize| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(client))
        };
        Self {
            clients: (0..clients).map(run).collect(),
            shared,
        }
    }

    /// How many requests came to an end so far.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.shared.ended.load(Ordering::SeqCst)
    }

    /// Waits until so many more did.
    ///
    /// # Panics
    /// When they do not in time.
    #[track_caller]
    pub fn wait_for_more(&self, count: u64) {
        let goal = self.ended() + count;
        wait_until(&format!("{count} more requests to come to an end"), || {
            self.ended() >= goal
        });
    }

    /// Lets every client finish its request, and gives back all there were, in the order in which they ended.
    ///
    /// # Panics
    /// When a client panicked.
    #[must_use]
    #[track_caller]
    pub fn stop(mut self) -> Vec<Entry> {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            client.join().expect("a client writes down what it sees");
        }
        std::mem::take(&mut lock(&self.shared.entries))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        // A test that failed must not leave its load behind.
        self.shared.stopping.store(true, Ordering::SeqCst);
    }
}

/// Sends one request with this nonce on a connection, with a body so long where the method has one; the connection, if it
/// may be used again.
#[must_use]
pub fn exchange(
    mut client: Client,
    method: &'static str,
    nonce: &str,
    length: usize,
) -> (Entry, Option<Client>) {
    let length = if matches!(method, "GET" | "HEAD") {
        0
    } else {
        length
    };
    let began = Instant::now();
    let sent = client.try_send(request(method, nonce, length));
    // A server that has answered may have closed already: its answer counts.
    let answer = match client.read_response(method) {
        Err(WireError::Closed(got)) if got.is_empty() && sent.is_err() => {
            Err(WireError::Reset(got))
        }
        answer => answer,
    };
    let keeps = answer
        .as_ref()
        .is_ok_and(|answer| answer.header("connection").as_deref() != Some("close"));
    let entry = Entry {
        nonce: nonce.to_owned(),
        method,
        began,
        took: began.elapsed(),
        outcome: outcome(method, nonce, length, answer),
    };
    (entry, keeps.then_some(client))
}

impl Shared {
    fn run(&self, client: usize) {
        let mut connection = None;
        for number in 0.. {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let method = METHODS[(client + number) % METHODS.len()];
            let nonce = format!("{}-{client}-{number}", std::process::id());
            let length = if number % 16 < 2 { 20_000 } else { 100 };
            let entry = match connection.take().map_or_else(|| self.connect(), Ok) {
                Ok(open) => {
                    let (entry, kept) = exchange(open, method, &nonce, length);
                    connection = kept;
                    entry
                }
                Err(_) => Entry {
                    nonce,
                    method,
                    began: Instant::now(),
                    took: Duration::ZERO,
                    outcome: Outcome::NotConnected,
                },
            };
            lock(&self.entries).push(entry);
            self.ended.fetch_add(1, Ordering::SeqCst);
            thread::sleep(PACE);
        }
    }

    fn connect(&self) -> std::io::Result<Client> {
        let client = Client::try_connect(self.address)?;
        client.set_limit(self.limit)?;
        Ok(client)
    }
}

impl Entry {
    /// Whether the request may be sent again by whoever is between.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.method != "POST"
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} after {:?}: {:?}",
            self.method, self.nonce, self.took, self.outcome
        )
    }
}

fn request(method: &str, nonce: &str, length: usize) -> Vec<u8> {
    let framing = match method {
        "GET" | "HEAD" => String::new(),
        _ => format!("Content-Length: {length}\r\n"),
    };
    let head = format!(
        "{method} /load/{nonce} HTTP/1.1\r\nHost: test\r\n{NONCE}: {nonce}\r\n{framing}\r\n"
    );
    let body: Vec<u8> = nonce.bytes().cycle().take(length).collect();
    [head.into_bytes(), body].concat()
}

fn outcome(
    method: &str,
    nonce: &str,
    length: usize,
    answer: Result<Response, WireError>,
) -> Outcome {
    match answer {
        Ok(answer) if answer.status == 200 => {
            let expected = format!("{method} {nonce} {length}");
            let text = answer.text();
            if method == "HEAD" || text.lines().next() == Some(&*expected) {
                Outcome::Answered
            } else {
                Outcome::Wrong(text)
            }
        }
        Ok(answer) => {
            let id = answer.headers.all("x-request-id").pop();
            Outcome::Refused(answer.status, id)
        }
        Err(WireError::TimedOut(_)) => Outcome::TimedOut,
        Err(WireError::Closed(got) | WireError::Reset(got)) if got.is_empty() => Outcome::Closed,
        Err(error) => Outcome::Torn(error.to_string()),
    }
}
