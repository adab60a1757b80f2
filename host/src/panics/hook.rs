//! The hook that sees every panic, and keeps what it saw for whoever catches it.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::panic::{PanicHookInfo, set_hook};
use std::sync::Once;

use super::part::{Part, count, label};
use super::unwinding;

thread_local! {
    /// How many of the functions of this room wait for a panic on this thread.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
    /// What the hook saw last below the innermost of them, for that one.
    pub(super) static SEEN: Cell<Option<Box<Seen>>> = const { Cell::new(None) };
}

/// What the hook knows and whoever catches a panic does not.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) text: String,
    pub(super) backtrace: Option<String>,
}

/// Has panics that are caught be said by whoever catches them, and the others here; once for the process.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        set_hook(Box::new(|info| {
            let seen = Seen::of(info);
            let inside = INSIDE.try_with(Cell::get).unwrap_or(0) > 0;
            let seen = match see(seen, inside) {
                Ok(()) => return,
                Err(seen) => seen,
            };
            count(Part::Other);
            let thread = std::thread::current();
            let thread = thread.name().unwrap_or("(unnamed)");
            let Seen { text, backtrace } = &seen;
            let backtrace = backtrace.as_deref().unwrap_or_default();
            tracing::error!(target: "panic", part = label(Part::Other), thread, "panicked at {text}; this is a fault of the gateway, please report it\n{backtrace}");
        }));
    });
}

/// Says to the hook that somebody waits for a panic. It keeps what the hook saw for whoever waits further out, which is on its
/// way there if this begins in a destructor.
pub(super) struct Inside {
    before: u32,
    outer: Option<Box<Seen>>,
}

impl Inside {
    pub(super) fn enter() -> Self {
        let outer = SEEN.try_with(Cell::take).ok().flatten();
        Self {
            before: INSIDE.replace(INSIDE.get().saturating_add(1)),
            // Where nothing unwinds it is of a panic that somebody else caught.
            outer: outer.filter(|_| unwinding()),
        }
    }

    /// What the hook saw meanwhile.
    pub(super) fn leave(self) -> Option<Box<Seen>> {
        INSIDE.set(self.before);
        let swapped = SEEN.try_with(|last| last.replace(self.outer));
        swapped.ok().flatten()
    }
}

impl Seen {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let words = words(info.payload());
        let text = match info.location() {
            Some(location) => format!("{location}: {words}"),
            None => format!("a place nobody knows: {words}"),
        };
        // Only where RUST_BACKTRACE asks for it.
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        Self {
            text,
            backtrace: captured.then(|| backtrace.to_string()),
        }
    }
}

/// Keeps what the hook saw for whoever waits for it; or gives it back, because nobody may be there to say it: a second panic
/// while the first unwinds may not leave its destructor, and ends the process.
pub(super) fn see(seen: Seen, inside: bool) -> Result<(), Seen> {
    if !inside {
        return Err(seen);
    }
    let first = SEEN.try_with(Cell::take).ok().flatten();
    let last = Box::new(seen.clone());
    let _ = SEEN.try_with(|known| known.set(Some(last)));
    // One that others than the functions here caught in between is taken for the first: said once too often rather than never.
    first.map_or(Ok(()), |_| Err(seen))
}

pub(super) fn words(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no words)")
}
