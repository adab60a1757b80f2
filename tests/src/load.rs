//! Constant load: clients on kept-alive connections that send the next request a moment after the answer is there and
//! checked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::client::{Client, Response};
use crate::eventually::{lock, wait_until};

/// Failures kept for the report; the rest is counted.
const KEPT_FAILURES: usize = 20;

/// How long a client rests between an answer and its next request. A test wants requests in flight at every moment of a
/// change, not a machine without a free core: the change itself would wait for minutes then.
const PACE: Duration = Duration::from_millis(3);

/// Load that runs until it is stopped.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    answered: AtomicU64,
    failed: AtomicU64,
    connections: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Requests whose answer passed the check.
    pub answered: u64,
    /// Requests without a whole answer, or whose answer did not pass.
    pub failed: u64,
    /// Connections that were opened; the number of clients, unless some were closed under them.
    pub connections: u64,
    /// The first failures, in words.
    pub failures: Vec<String>,
}

impl Load {
    /// Starts `clients` clients that send `request` (a request without body) over and over, each on a connection of its
    /// own, and give every answer to `check`.
    pub fn start(
        address: SocketAddr,
        clients: usize,
        request: &str,
        check: impl Fn(&Response) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let check = Arc::new(check);
        let clients = (0..clients).map(|_| {
            let (shared, check) = (Arc::clone(&shared), Arc::clone(&check));
            let request = request.to_owned();
            thread::spawn(move || shared.run_client(address, &request, &*check))
        });
        Self {
            clients: clients.collect(),
            shared,
        }
    }

    /// How many requests were answered well so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Waits until this many more requests were answered well.
    ///
    /// # Panics
    /// When they are not in time.
    #[track_caller]
    pub fn wait_for_more(&self, count: u64) {
        let goal = self.answered() + count;
        wait_until(&format!("{count} more answers under load"), || {
            self.answered() >= goal
        });
    }

    /// Lets every client finish its request, and tells what became of all of them.
    ///
    /// # Panics
    /// When the check panicked in a client.
    #[must_use]
    #[track_caller]
    pub fn stop(mut self) -> Outcome {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            client.join().expect("a check returns and does not panic");
        }
        Outcome {
            answered: self.answered(),
            failed: self.shared.failed.load(Ordering::SeqCst),
            connections: self.shared.connections.load(Ordering::SeqCst),
            failures: lock(&self.shared.failures).clone(),
        }
    }

    /// Stops, and demands that no request failed and no connection was closed.
    ///
    /// # Panics
    /// When one was; the first failures are in the text.
    #[track_caller]
    pub fn stop_without_failure(self) -> Outcome {
        let clients = self.clients.len() as u64;
        let outcome = self.stop();
        assert_eq!(outcome.failed, 0, "requests failed: {:#?}", outcome);
        assert_eq!(
            outcome.connections, clients,
            "connections were closed under their clients: {outcome:#?}"
        );
        outcome
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // After `stop` nobody is left to tell; a test that failed must not leave its load behind.
        self.shared.stopping.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn run_client(
        &self,
        address: SocketAddr,
        request: &str,
        check: &(dyn Fn(&Response) -> Result<(), String> + Send + Sync),
    ) {
        let method = request.split(' ').next().unwrap_or_default();
        let mut connection: Option<Client> = None;
        while !self.stopping.load(Ordering::SeqCst) {
            let mut client = match connection.take().map_or_else(|| self.connect(address), Ok) {
                Ok(client) => client,
                Err(error) => {
                    self.fail(format!("cannot connect: {error}"));
                    continue;
                }
            };
            let answer = client
                .try_send(request)
                .and_then(|()| client.read_response(method));
            match answer {
                Ok(response) => {
                    match check(&response) {
                        Ok(()) => {
                            self.answered.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(why) => self.fail(format!("{why}; the answer: {response:?}")),
                    }
                    if response.header("connection").as_deref() != Some("close") {
                        connection = Some(client);
                    }
                }
                Err(error) => self.fail(error.to_string()),
            }
            thread::sleep(PACE);
        }
    }

    fn connect(&self, address: SocketAddr) -> std::io::Result<Client> {
        self.connections.fetch_add(1, Ordering::SeqCst);
        Client::try_connect(address)
    }

    fn fail(&self, why: String) {
        self.failed.fetch_add(1, Ordering::SeqCst);
        let mut failures = lock(&self.failures);
        if failures.len() < KEPT_FAILURES {
            failures.push(why);
        }
    }
}
