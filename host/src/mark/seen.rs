//! What threads are doing, as others see it: the watchdog from outside, and the handler of a crash on the thread itself.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use super::word::What;
use super::{NOBODY, OWN, SLOTS, Slot, TABLE, TAKEN};

/// A call as others see it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Tells it from other calls of the same thread.
    pub call: u64,
    /// The label of the plugin's version.
    pub label: u32,
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
    let what = What(slot.what.load(Ordering::Acquire));
    let call = slot.calls.load(Ordering::Relaxed);
    let label = what.label()?;
    Some(Seen {
        call,
        label,
        hook: what.hook_name(),
        route: what.route_name(),
    })
}

/// What this thread is doing, for the handler of a crash: reads memory that is always there and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    /// The label of the plugin's version.
    pub label: Option<u32>,
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
    let what = What(slot.what.load(Ordering::Acquire));
    Some(Own {
        label: what.label(),
        hook: what.hook_name(),
        route: what.route_name(),
        token: slot.token.load(Ordering::Relaxed),
        request: (
            slot.request.load(Ordering::Relaxed),
            slot.request_len.load(Ordering::Relaxed),
        ),
        worker: slot.worker.load(Ordering::Relaxed),
    })
}
