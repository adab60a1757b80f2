//! What can panic, and how often each of it did.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::names::PANICS;
use crate::metrics::page::{Family, Page};

/// What panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// One exchange: its sequence, its bodies, its tunnel, its operations.
    Exchange,
    /// A client's connection.
    Connection,
    /// Accepting connections.
    Listener,
    /// A connection to a target.
    Upstream,
    /// A function of the gateway that a plugin called.
    HostFunction,
    /// What a plugin waits for outside of exchanges.
    Background,
    /// The affairs of a worker.
    Worker,
    /// A change, on the control thread.
    Control,
    /// The admin listener.
    Admin,
    /// Look-ups of names.
    Discovery,
    /// Checks of targets.
    Health,
    /// Anything else; then nobody caught it, and its thread has ended.
    Other,
}

/// All of them, with their labels.
pub(super) const PARTS: [(Part, &str); 12] = [
    (Part::Exchange, "exchange"),
    (Part::Connection, "connection"),
    (Part::Listener, "listener"),
    (Part::Upstream, "upstream"),
    (Part::HostFunction, "host_function"),
    (Part::Background, "background"),
    (Part::Worker, "worker"),
    (Part::Control, "control"),
    (Part::Admin, "admin"),
    (Part::Discovery, "discovery"),
    (Part::Health, "health"),
    (Part::Other, "other"),
];

static COUNTS: [AtomicU64; PARTS.len()] = [const { AtomicU64::new(0) }; PARTS.len()];

/// How many panics there were in a part.
#[must_use]
pub fn count_of(part: Part) -> u64 {
    let at = PARTS.iter().position(|(known, _)| *known == part);
    let count = at.and_then(|at| COUNTS.get(at));
    count.map_or(0, |count| count.load(Ordering::Relaxed))
}

/// Shows them; a part is there from the beginning, so that its first panic is seen to be one.
pub fn show(page: &mut Page) {
    let mut family = Family::of(&PANICS);
    for ((_, label), count) in PARTS.iter().zip(&COUNTS) {
        family.count(&[label], count.load(Ordering::Relaxed));
    }
    page.add(family);
}

pub(super) fn count(part: Part) {
    let at = PARTS.iter().position(|(known, _)| *known == part);
    if let Some(count) = at.and_then(|at| COUNTS.get(at)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn label(part: Part) -> &'static str {
    let found = PARTS.iter().find(|(known, _)| *known == part);
    found.map_or("other", |(_, label)| label)
}
