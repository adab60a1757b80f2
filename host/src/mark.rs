//! What every thread that calls plugins is doing right now, cheap enough to write down round every hook.
//!
//! Each thread has one slot of a static table, so that two readers find it without asking the thread: the watchdog, from
//! outside, and the handler of a crash, on the thread itself and in the middle of anything. So a slot holds numbers only,
//! and names are looked up by them: plugin versions in [`crate::fault::label`], routes in [`route`]. The one pointer, to the
//! id of the request, is for the crash handler alone: it is good for as long as the hook runs, and only there that is sure.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::context::Phase;
use crate::fault::label::{self, Label};

/// Threads that can be marked: workers, and those that make control calls.
const SLOTS: usize = 1280;
/// Names of routes that can be marked; later ones are called "(other)".
const ROUTES: usize = 1 << 16;

/// Hooks of an exchange by their numbers at the contract.
const HOOKS: [&str; 11] = [
    "(none)",
    "rewrite",
    "access",
    "request_body",
    "header_filter",
    "body_filter",
    "trailers",
    "log",
    "request_end",
    "on_event",
    "on_tick",
];
/// Where the numbers of control calls begin.
const CONTROL: u8 = 32;
const CONTROL_HOOKS: [&str; 15] = [
    "a control call",
    "a constructor",
    "sg_plugin_entry",
    "load",
    "configure",
    "start",
    "on_tick",
    "on_op_done",
    "memory",
    "a blocking function",
    "export_state",
    "import_state",
    "destroy",
    "unload",
    "a destructor",
];

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

/// What a call is, in one word: 24 bits of label, 8 of hook, 32 of route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct What(u64);

impl What {
    fn new(label: u32, hook: u8, route: u32) -> Self {
        Self((u64::from(label) << 40) | (u64::from(hook) << 32) | u64::from(route))
    }
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

/// Marks a call of a hook. `request` is the id of the request and must stay where it is until the mark is dropped.
pub fn enter(label: &Label, phase: Phase, route: u32, token: u64, request: &[u8]) -> Mark {
    let hook = u8::try_from(phase as u32).unwrap_or(0);
    own().enter(What::new(label.index, hook, route), token, request)
}

/// Marks a control call.
pub fn enter_control(label: &Label, hook: &str) -> Mark {
    let known = CONTROL_HOOKS.iter().position(|known| *known == hook);
    let hook = CONTROL + u8::try_from(known.unwrap_or(0)).unwrap_or(0);
    own().enter(What::new(label.index, hook, 0), 0, &[])
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

/// The number under which the name of a route is marked. Kept for the life of the process, so that the mark of a route that
/// is gone still has a name.
#[must_use]
pub fn route(name: &str) -> u32 {
    static NUMBERS: Mutex<Option<HashMap<Box<str>, u32>>> = Mutex::new(None);
    let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let numbers = numbers.get_or_insert_default();
    if let Some(number) = numbers.get(name) {
        return *number;
    }
    let number = numbers.len() + 1;
    let Some(place) = NAMES.get(number) else {
        return u32::MAX;
    };
    let _ = place.set(name.into());
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    numbers.insert(name.into(), number);
    number
}

static NAMES: [OnceLock<Box<str>>; ROUTES] = [const { OnceLock::new() }; ROUTES];

/// A call as others see it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Tells it from other calls of the same thread.
    pub call: u64,
    /// The plugin's version.
    pub label: &'static Label,
    /// The hook.
    pub hook: &'static str,
    /// The route; empty for a call that is not for one.
    pub route: &'static str,
}

/// What one worker is doing.
#[derive(Debug, Clone, Copy)]
pub struct Worker {
    /// Which one, from 0.
    pub worker: usize,
    /// Its thread, as the system numbers it.
    pub thread: i32,
    /// How often it came round to its own affairs.
    pub beats: u64,
    /// The call it is in.
    pub call: Option<Seen>,
}

/// What every worker is doing.
pub fn workers() -> impl Iterator<Item = Worker> {
    let taken = TAKEN.load(Ordering::Relaxed).min(SLOTS);
    TABLE.iter().take(taken).filter_map(|slot| {
        let worker = slot.worker.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Worker {
            worker,
            thread: slot.thread.load(Ordering::Relaxed),
            beats: slot.beats.load(Ordering::Relaxed),
            call: seen(slot),
        })
    })
}

fn seen(slot: &Slot) -> Option<Seen> {
    let what = slot.what.load(Ordering::Acquire);
    let call = slot.calls.load(Ordering::Relaxed);
    let label = label_of(what)?;
    Some(Seen {
        call,
        label,
        hook: hook_of(what),
        route: route_of(what),
    })
}

/// What this thread is doing, for the handler of a crash: reads memory that is always there and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    /// The plugin's version.
    pub label: Option<&'static Label>,
    /// The hook.
    pub hook: &'static str,
    /// The route.
    pub route: &'static str,
    /// The token of the exchange.
    pub token: u64,
    /// Where the id of the request stands, and how long it is; for as long as the hook runs.
    pub request: (usize, usize),
    /// The worker, from 1; 0 where it is none.
    pub worker: usize,
}

/// What the calling thread is doing; none if it never called a plugin, or has no slot of its own.
#[must_use]
pub fn own_now() -> Option<Own> {
    let slot = OWN.try_with(Cell::get).ok().flatten()?;
    if std::ptr::eq(slot, &raw const NOBODY) {
        return None;
    }
    let what = slot.what.load(Ordering::Acquire);
    Some(Own {
        label: label_of(what),
        hook: hook_of(what),
        route: route_of(what),
        token: slot.token.load(Ordering::Relaxed),
        request: (
            slot.request.load(Ordering::Relaxed),
            slot.request_len.load(Ordering::Relaxed),
        ),
        worker: slot.worker.load(Ordering::Relaxed),
    })
}

fn label_of(what: u64) -> Option<&'static Label> {
    label::find(u32::try_from(what >> 40).ok()?)
}

fn hook_of(what: u64) -> &'static str {
    let hook = usize::try_from((what >> 32) & 0xff).unwrap_or(0);
    let control = usize::from(CONTROL);
    let found = match hook.checked_sub(control) {
        Some(control) => CONTROL_HOOKS.get(control),
        None => HOOKS.get(hook),
    };
    found.copied().unwrap_or("(none)")
}

fn route_of(what: u64) -> &'static str {
    let route = usize::try_from(what & 0xffff_ffff).unwrap_or(0);
    match NAMES.get(route) {
        Some(name) => name.get().map_or("", |name| name),
        None => "(other)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::ffi::host::ImageIdentity;

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
            let label = label::of(&ImageIdentity {
                id: "demo".to_owned(),
                version: "1.0.0".to_owned(),
                digest: "aa01".to_owned(),
            });
            enter_worker(7000);
            let found = || workers().find(|one| one.worker == 7000).expect("a worker");
            assert!(found().call.is_none());
            let number = route("a route of the test of marks");
            let outer = enter(label, Phase::Access, number, 5, b"id");
            let first = found().call.expect("a call");
            assert_eq!(
                (first.label.index, first.hook, first.route),
                (label.index, "access", "a route of the test of marks")
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
