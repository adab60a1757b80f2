//! What every thread that calls plugins is doing right now, cheap enough to write down round every hook.
//!
//! Each thread has one slot of a static table, so that two readers find it without asking the thread: the watchdog, from
//! outside, and the handler of a crash, on the thread itself and in the middle of anything. So a slot holds numbers only,
//! and names are looked up by them: plugin versions by whoever reads, in [`crate::fault::label`], routes in [`route`]. The one
//! pointer, to the id of the request, is for the crash handler alone: it is good for as long as the hook runs, and only there
//! that is sure.
//!
//! Here it is written down; `word` says what the numbers mean, and `seen` is how others read them.

mod seen;
mod word;

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::context::Phase;

pub use seen::{Own, Seen, Worker, own_now, workers};
use word::What;
pub use word::route;

/// Threads that can be marked: workers, and those that make control calls.
const SLOTS: usize = 1280;

static TABLE: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// What threads beyond the table share: nobody reads it, for it says what any of them does.
static NOBODY: Slot = Slot::new();
/// Slots of threads that have ended.
static FREE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

thread_local! {
    /// Without a destructor, so that the handler of a crash may read it at any time.
    static OWN: Cell<Option<&'static Slot>> = const { Cell::new(None) };
    /// Gives the slot back when the thread ends.
    static CLAIM: RefCell<Option<Claim>> = const { RefCell::new(None) };
}

/// One thread's slot; two cache lines of its own, so that threads never slow one another down.
#[repr(align(128))]
struct Slot {
    /// Counts calls, which tells one that lasts from another of the same kind.
    calls: AtomicU64,
    /// Label, hook and route; 0 while no plugin runs.
    what: AtomicU64,
    /// The token of the exchange.
    token: AtomicU64,
    request: AtomicUsize,
    request_len: AtomicUsize,
    /// The thread, as the system numbers it.
    thread: AtomicI32,
    /// The worker, from 1; 0 for a thread that makes control calls.
    worker: AtomicUsize,
    /// Counts how often the worker came round to its own affairs.
    beats: AtomicU64,
}

/// Lasts as long as the call; then the mark of before holds again.
#[must_use]
pub struct Mark {
    slot: &'static Slot,
    what: u64,
    token: u64,
    request: usize,
    request_len: usize,
}

impl Slot {
    const fn new() -> Self {
        Self {
            calls: AtomicU64::new(0),
            what: AtomicU64::new(0),
            token: AtomicU64::new(0),
            request: AtomicUsize::new(0),
            request_len: AtomicUsize::new(0),
            thread: AtomicI32::new(0),
            worker: AtomicUsize::new(0),
            beats: AtomicU64::new(0),
        }
    }

    fn enter(&'static self, what: What, token: u64, request: &[u8]) -> Mark {
        // One writer: a load and a store do without a locked instruction.
        let calls = self.calls.load(Ordering::Relaxed).wrapping_add(1);
        let before = Mark {
            slot: self,
            what: self.what.load(Ordering::Relaxed),
            token: self.token.load(Ordering::Relaxed),
            request: self.request.load(Ordering::Relaxed),
            request_len: self.request_len.load(Ordering::Relaxed),
        };
        self.calls.store(calls, Ordering::Relaxed);
        self.token.store(token, Ordering::Relaxed);
        self.request
            .store(request.as_ptr().expose_provenance(), Ordering::Relaxed);
        self.request_len.store(request.len(), Ordering::Relaxed);
        // Last, so that whoever sees it sees the rest.
        self.what.store(what.0, Ordering::Release);
        before
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let slot = self.slot;
        slot.token.store(self.token, Ordering::Relaxed);
        slot.request.store(self.request, Ordering::Relaxed);
        slot.request_len.store(self.request_len, Ordering::Relaxed);
        slot.what.store(self.what, Ordering::Release);
    }
}

/// Marks a call of a hook of the plugin version with this label. `request` is the id of the request and must stay where it is until the mark is dropped.
pub fn enter(label: u32, phase: Phase, route: u32, token: u64, request: &[u8]) -> Mark {
    own().enter(What::hook(label, phase, route), token, request)
}

/// Marks a control call.
pub fn enter_control(label: u32, hook: &str) -> Mark {
    own().enter(What::control(label, hook), 0, &[])
}

/// Says that this thread is a worker, from 0.
pub fn enter_worker(worker: usize) {
    own().worker.store(worker + 1, Ordering::Relaxed);
}

/// Says that this thread is no worker any more.
pub fn leave_worker() {
    own().worker.store(0, Ordering::Relaxed);
}

/// Says that this worker came round to its own affairs.
pub fn beat() {
    let slot = own();
    let beats = slot.beats.load(Ordering::Relaxed).wrapping_add(1);
    slot.beats.store(beats, Ordering::Relaxed);
}

fn own() -> &'static Slot {
    OWN.with(|own| match own.get() {
        Some(slot) => slot,
        None => claim(own),
    })
}

#[cold]
fn claim(own: &Cell<Option<&'static Slot>>) -> &'static Slot {
    let freed = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let slot = match freed.or_else(|| TABLE.get(TAKEN.fetch_add(1, Ordering::Relaxed))) {
        Some(slot) => {
            // A thread that is ending already gives nothing back.
            let _ = CLAIM.try_with(|claim| claim.replace(Some(Claim(slot))));
            slot
        }
        None => &NOBODY,
    };
    let thread = rustix::thread::gettid().as_raw_nonzero().get();
    slot.thread.store(thread, Ordering::Relaxed);
    own.set(Some(slot));
    slot
}

/// A slot while its thread lives.
struct Claim(&'static Slot);

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = OWN.try_with(|own| own.set(None));
        self.0.worker.store(0, Ordering::Relaxed);
        self.0.what.store(0, Ordering::Release);
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_share_says_nothing_of_any_of_them() {
        let thread = std::thread::spawn(|| {
            OWN.with(|own| own.set(Some(&NOBODY)));
            beat();
            assert!(own_now().is_none());
        });
        thread.join().expect("the thread ends well");
    }

    #[test]
    fn a_mark_lasts_as_long_as_the_call() {
        let thread = std::thread::spawn(|| {
            let label = 4711;
            enter_worker(7000);
            let found = || workers().find(|one| one.worker == 7000).expect("a worker");
            assert!(found().call.is_none());
            let number = route("a route of the test of marks");
            let outer = enter(label, Phase::Access, number, 5, b"id");
            let first = found().call.expect("a call");
            assert_eq!(
                (first.label, first.hook, first.route),
                (label, "access", "a route of the test of marks")
            );
            drop(enter_control(label, "destroy"));
            assert_eq!(found().call.expect("a call").hook, "access");
            let own = own_now().expect("marked before");
            assert_eq!(
                (own.token, own.request.1),
                (5, 2),
                "those of the outer call"
            );
            assert_eq!(own.worker, 7001);
            drop(outer);
            assert!(found().call.is_none());
        });
        thread.join().expect("the thread ends well");
    }
}
