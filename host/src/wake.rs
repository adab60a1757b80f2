//! Waking from any thread.
//!
//! Each worker has an inbox. A wake token names the worker in its upper 16 bits, so that whoever holds one finds the
//! inbox without asking anybody; the inbox knows which tokens are alive, so that a late one is answered at once, and keeps
//! each at most once, so that a plugin that wakes in a loop costs no memory. Nothing here leads to a plugin: a token is
//! a number, and what it was for is found, or not, on the worker.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use swapgate_abi::{ExchangeTok, WakeTok};
use tokio::sync::Notify;

/// In which bits of a token its worker stands.
const WORKER_SHIFT: u32 = 48;

/// The inboxes of the process, by worker.
static INBOXES: RwLock<Vec<Weak<Inbox>>> = RwLock::new(Vec::new());

/// A name for an operation or a wake token; never 0, never used twice in a process, below 2^48 as long as a process lives.
#[must_use]
pub fn next_token() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What other threads have to say to one worker.
#[derive(Debug, Default)]
pub struct Inbox {
    tokens: Mutex<Tokens>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Tokens {
    alive: HashMap<WakeTok, Alive>,
    used: Vec<WakeTok>,
}

#[derive(Debug)]
struct Alive {
    exchange: ExchangeTok,
    used: bool,
}

/// The token belongs to nobody any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale;

/// Opens the inbox of a worker, for as long as the result lives.
#[must_use]
pub fn open(worker: usize) -> Arc<Inbox> {
    let inbox = Arc::new(Inbox::default());
    let mut inboxes = INBOXES.write().unwrap_or_else(PoisonError::into_inner);
    if inboxes.len() <= worker {
        inboxes.resize_with(worker + 1, Weak::new);
    }
    if let Some(place) = inboxes.get_mut(worker) {
        *place = Arc::downgrade(&inbox);
    }
    inbox
}

/// Makes a token that wakes an exchange.
///
/// # Errors
/// Its worker takes nothing any more.
pub fn issue(exchange: ExchangeTok) -> Result<WakeTok, Stale> {
    let inbox = inbox(exchange)?;
    let token = (exchange >> WORKER_SHIFT << WORKER_SHIFT) | next_token();
    let alive = Alive {
        exchange,
        used: false,
    };
    inbox.lock().alive.insert(token, alive);
    Ok(token)
}

/// Ends tokens: using one of them is [`Stale`] from here on.
pub fn retire(tokens: &[WakeTok]) {
    for token in tokens {
        if let Ok(inbox) = inbox(*token) {
            inbox.lock().alive.remove(token);
        }
    }
}

/// Uses a token, from any thread. Calls before the event are one event.
///
/// # Errors
/// It belongs to nobody any more.
pub fn wake(token: WakeTok) -> Result<(), Stale> {
    let inbox = inbox(token)?;
    let mut tokens = inbox.lock();
    let alive = tokens.alive.get_mut(&token).ok_or(Stale)?;
    if std::mem::replace(&mut alive.used, true) {
        return Ok(());
    }
    tokens.used.push(token);
    drop(tokens);
    inbox.notify.notify_one();
    Ok(())
}

impl Inbox {
    /// Waits until a token was used; then those that were, with the exchanges they belong to.
    pub async fn used(&self) -> Vec<(ExchangeTok, WakeTok)> {
        loop {
            let used = self.take();
            if !used.is_empty() {
                return used;
            }
            self.notify.notified().await;
        }
    }

    fn take(&self) -> Vec<(ExchangeTok, WakeTok)> {
        let mut tokens = self.lock();
        let used = std::mem::take(&mut tokens.used);
        let alive = used.into_iter().filter_map(|token| {
            let alive = tokens.alive.get_mut(&token)?;
            alive.used = false;
            Some((alive.exchange, token))
        });
        alive.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The inbox of the worker that a token names.
fn inbox(token: u64) -> Result<Arc<Inbox>, Stale> {
    let worker = usize::try_from(token >> WORKER_SHIFT)
        .ok()
        .and_then(|worker| worker.checked_sub(1))
        .ok_or(Stale)?;
    let inboxes = INBOXES.read().unwrap_or_else(PoisonError::into_inner);
    inboxes.get(worker).and_then(Weak::upgrade).ok_or(Stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_wakes_once_until_it_is_over() {
        // A worker of its own, because the inboxes belong to the process.
        let worker = 60_001;
        let exchange = ((worker as u64 + 1) << WORKER_SHIFT) | 7;
        assert_eq!(issue(exchange), Err(Stale), "no such worker yet");
        let inbox = open(worker);
        let token = issue(exchange).unwrap();
        assert_ne!(token, issue(exchange).unwrap());
        assert_eq!(wake(token), Ok(()));
        assert_eq!(wake(token), Ok(()));
        assert_eq!(inbox.take(), [(exchange, token)]);
        assert_eq!(inbox.take(), []);
        assert_eq!(wake(token), Ok(()), "it may be used again");
        retire(&[token]);
        assert_eq!(inbox.take(), [], "late, and nobody is told");
        assert_eq!(wake(token), Err(Stale));
        drop(inbox);
        assert_eq!(wake(token), Err(Stale));
    }
}
