//! Upstreams that hold their answers back, and what refusals look like.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use swapgate_tests::eventually::LIMIT;
use swapgate_tests::{Client, Gateway, Response, Upstream};

/// What every upstream here answers.
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An upstream that holds every answer back until it is told to let some go, and knows how many it holds.
pub(crate) struct Slow {
    pub(crate) upstream: Upstream,
    held: Arc<Held>,
}

#[derive(Default)]
struct Held {
    now: AtomicUsize,
    most: AtomicUsize,
    /// How many may go.
    go: Mutex<usize>,
    changed: Condvar,
}

impl Slow {
    pub(crate) fn start() -> Self {
        let held = Arc::new(Held::default());
        let known = Arc::clone(&held);
        let upstream = Upstream::start(move |conversation| {
            loop {
                conversation.receive()?;
                known.hold();
                conversation.send(ANSWER)?;
            }
        });
        Self { upstream, held }
    }

    /// Lets so many answers go, those of requests that come later as well.
    pub(crate) fn let_go(&self, count: usize) {
        let mut go = self.held.go.lock().unwrap_or_else(PoisonError::into_inner);
        *go = go.saturating_add(count);
        self.held.changed.notify_all();
    }

    /// How many requests it has now.
    pub(crate) fn has(&self) -> usize {
        self.held.now.load(Ordering::SeqCst)
    }

    /// How many it had at once, at the most.
    pub(crate) fn had(&self) -> usize {
        self.held.most.load(Ordering::SeqCst)
    }
}

impl Held {
    fn hold(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let go = self.go.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut go, _) = self
            .changed
            .wait_timeout_while(go, LIMIT, |go| *go == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *go = go.saturating_sub(1);
        // Before the answer leaves: the next request may come with it.
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A request that is sent and not answered yet.
#[track_caller]
pub(crate) fn sent(gateway: &Gateway, path: &str) -> Client {
    let mut client = gateway.client();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    client
}

/// Demands that an answer says that there is too much to do, and when to come again; gives back the latter.
#[track_caller]
pub(crate) fn refused(answer: &Response) -> u64 {
    assert_eq!(answer.status, 503, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind.as_deref(), Some("application/problem+json"));
    assert_eq!(answer.json()["status"], 503);
    let after = answer.header("retry-after").expect("Retry-After");
    after.parse().expect("whole seconds")
}
