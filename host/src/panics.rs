//! What happens if something panics all the same: it costs the one thing that panicked, is said once with the place in the
//! code, and counts in `swapgate_panics_total`.
//!
//! - [`caught`] runs a step, [`isolated`] a future; what panicked comes back as [`Panicked`], for whoever has a way to answer.
//! - [`contained`] is for tasks that nobody waits for, [`lasting`] for those that must go on: it begins anew.
//!
//! | what panics | what it costs |
//! |---|---|
//! | an exchange before the head of its answer | that exchange: 500; in HTTP/1.1 its connection ends with it |
//! | an exchange inside its answer | that answer breaks off: the connection in HTTP/1.1, the stream in HTTP/2 |
//! | a connection, to a client or to a target | that connection |
//! | a function that a plugin called | that call, which answers `SG_E_FAILED` |
//! | accepting, checks of targets, look-ups of names, the admin listener | nothing but time: they begin anew |
//! | the main loop of a worker, or a change on the control thread | the process: `/healthz` and `/readyz` say no, and with `--supervised` a new one takes its place |
//!
//! While a thread unwinds nothing of an exchange is ended: a hook that is called then would find half of a step done, and a
//! second panic would end the process. Whoever ends something in a destructor asks [`unwinding`] and puts it off.

pub mod fault;

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::pin::{Pin, pin};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics::names::PANICS;
use crate::metrics::page::{Family, Page};

/// How long something rests that panicked before it begins anew, so that one which does so at once is no spin.
const PAUSE: Duration = Duration::from_millis(500);

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
const PARTS: [(Part, &str); 12] = [
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

thread_local! {
    /// How many of the functions below wait for a panic on this thread.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
    /// What the hook saw last below the innermost of them, for that one.
    static SEEN: Cell<Option<Box<Seen>>> = const { Cell::new(None) };
}

/// What the hook knows and whoever catches a panic does not.
#[derive(Debug, Clone)]
struct Seen {
    text: String,
    backtrace: Option<String>,
}

/// Something panicked.
#[derive(Debug)]
#[must_use]
pub struct Panicked {
    part: Part,
    /// Where in the code, and with which words.
    text: String,
    backtrace: Option<String>,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            text, backtrace, ..
        } = self;
        write!(
            f,
            "panicked at {text}; this is a fault of the gateway, please report it"
        )?;
        backtrace
            .as_ref()
            .map_or(Ok(()), |trace| write!(f, "\n{trace}"))
    }
}

impl Panicked {
    /// Says it in the log, where nobody else does.
    pub fn say(self) {
        tracing::error!(target: "panic", part = label(self.part), "{self}");
    }
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

/// Runs a step, which may panic.
///
/// # Errors
/// It did.
pub fn caught<T>(part: Part, step: impl FnOnce() -> T) -> Result<T, Panicked> {
    let inside = Inside::enter();
    let result = catch_unwind(AssertUnwindSafe(step));
    let seen = inside.leave();
    result.map_err(|payload| panicked(part, payload, seen))
}

/// Runs a future, each step of which may panic; then it is not asked again.
///
/// # Errors
/// One did.
pub async fn isolated<F: Future>(
    part: Part,
    mut future: Pin<&mut F>,
) -> Result<F::Output, Panicked> {
    std::future::poll_fn(|cx| match caught(part, || future.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => std::task::Poll::Ready(Err(panicked)),
    })
    .await
}

/// Runs a future that nobody waits for; if it panics, that is said and counted.
pub async fn contained(part: Part, future: impl Future<Output = ()>) {
    if let Err(panicked) = isolated(part, pin!(future)).await {
        panicked.say();
    }
}

/// Runs what has to go on until it ends by itself: if it panics, it begins anew after a moment.
pub async fn lasting<F: Future<Output = ()>>(part: Part, mut begin: impl FnMut() -> F) {
    while let Err(panicked) = isolated(part, pin!(begin())).await {
        panicked.say();
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether this thread unwinds, so that nothing may be ended that calls plugins or takes what a step may hold.
#[must_use]
pub fn unwinding() -> bool {
    std::thread::panicking()
}

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

/// Says to the hook that somebody waits for a panic. It keeps what the hook saw for whoever waits further out, which is on its
/// way there if this begins in a destructor.
struct Inside {
    before: u32,
    outer: Option<Box<Seen>>,
}

impl Inside {
    fn enter() -> Self {
        let outer = SEEN.try_with(Cell::take).ok().flatten();
        Self {
            before: INSIDE.replace(INSIDE.get().saturating_add(1)),
            // Where nothing unwinds it is of a panic that somebody else caught.
            outer: outer.filter(|_| unwinding()),
        }
    }

    /// What the hook saw meanwhile.
    fn leave(self) -> Option<Box<Seen>> {
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
fn see(seen: Seen, inside: bool) -> Result<(), Seen> {
    if !inside {
        return Err(seen);
    }
    let first = SEEN.try_with(Cell::take).ok().flatten();
    let last = Box::new(seen.clone());
    let _ = SEEN.try_with(|known| known.set(Some(last)));
    // One that others than the functions here caught in between is taken for the first: said once too often rather than never.
    first.map_or(Ok(()), |_| Err(seen))
}

#[cold]
fn panicked(part: Part, payload: Box<dyn Any + Send>, seen: Option<Box<Seen>>) -> Panicked {
    count(part);
    let seen = seen.map_or_else(
        || Seen {
            text: words(&*payload).to_owned(),
            backtrace: None,
        },
        |seen| *seen,
    );
    // What a panic carries may have a destructor that panics as well, and nobody would be there to catch it.
    std::mem::forget(payload);
    Panicked {
        part,
        text: seen.text,
        backtrace: seen.backtrace,
    }
}

fn words(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no words)")
}

fn count(part: Part) {
    let at = PARTS.iter().position(|(known, _)| *known == part);
    if let Some(count) = at.and_then(|at| COUNTS.get(at)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn label(part: Part) -> &'static str {
    let found = PARTS.iter().find(|(known, _)| *known == part);
    found.map_or("other", |(_, label)| label)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    fn run<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn a_panic_comes_back_with_its_place_and_counts() {
        install();
        let before = count_of(Part::Background);
        let told = caught(Part::Background, || panic!("on {}", "purpose"));
        let text = told.map(|(): ()| ()).unwrap_err().to_string();
        assert!(text.contains("host/src/panics.rs:"), "{text}");
        assert!(text.contains("on purpose"), "{text}");
        assert_eq!(count_of(Part::Background), before + 1);
        assert_eq!(caught(Part::Background, || 7).unwrap(), 7);
        // Whoever catches one inside another gets its own.
        let outer = caught(Part::Background, || {
            let inner = caught(Part::Background, || panic!("inner")).unwrap_err();
            assert!(inner.to_string().contains("inner"));
            panic!("outer")
        });
        let text = outer.map(|(): ()| ()).unwrap_err().to_string();
        assert!(text.contains("outer"), "{text}");
    }

    /// Catches a panic of its own while another one unwinds.
    struct CatchesInDrop(Rc<RefCell<String>>);

    impl Drop for CatchesInDrop {
        fn drop(&mut self) {
            let inner = caught(Part::Discovery, || panic!("within"));
            let told = inner.map(|(): ()| ()).unwrap_err().to_string();
            *self.0.borrow_mut() = told;
        }
    }

    #[test]
    fn one_that_is_caught_while_another_unwinds_is_no_end_of_the_process() {
        install();
        let before = count_of(Part::Discovery);
        let inner = Rc::new(RefCell::new(String::new()));
        let ends = CatchesInDrop(Rc::clone(&inner));
        let outer = caught(Part::Health, move || {
            let _ends = ends;
            panic!("further out")
        });
        let outer = outer.map(|(): ()| ()).unwrap_err().to_string();
        // Each has the place in the code, which only the hook knows: neither took the other's, and neither was given back.
        for (told, words) in [(&*inner.borrow(), "within"), (&outer, "further out")] {
            assert!(told.contains("host/src/panics.rs:"), "{told}");
            assert!(told.contains(words), "{told}");
        }
        assert_eq!(count_of(Part::Discovery), before + 1);
        assert!(SEEN.take().is_none());
    }

    #[test]
    fn one_that_somebody_else_caught_is_forgotten_with_the_step() {
        install();
        let step = || {
            let _ = catch_unwind(|| panic!("caught by others"));
            let inner = caught(Part::Health, || panic!("ours"));
            assert!(inner.map(|(): ()| ()).unwrap_err().text.contains("ours"));
        };
        assert!(caught(Part::Health, step).is_ok());
        assert!(SEEN.take().is_none());
    }

    #[test]
    fn a_second_one_that_leaves_its_destructor_is_said_at_once() {
        let seen = |text: &str| Seen {
            text: text.to_owned(),
            backtrace: None,
        };
        assert!(see(seen("nobody waits"), false).is_err());
        assert!(see(seen("first"), true).is_ok());
        assert_eq!(see(seen("second"), true).unwrap_err().text, "second");
        assert_eq!(SEEN.take().unwrap().text, "second");
    }

    #[test]
    fn what_lasts_begins_anew_and_borrows_end_with_the_panic() {
        let tries = Rc::new(RefCell::new(0));
        run(lasting(Part::Background, || {
            let tries = Rc::clone(&tries);
            async move {
                let mut tries = tries.borrow_mut();
                *tries += 1;
                assert!(*tries > 2, "not yet");
            }
        }));
        assert_eq!(*tries.borrow(), 3);
    }

    #[test]
    fn every_part_has_a_label_and_a_count() {
        let labels: std::collections::BTreeSet<_> = PARTS.iter().map(|(_, label)| label).collect();
        assert_eq!(labels.len(), PARTS.len());
        let mut page = Page::default();
        show(&mut page);
        let text = page.text().unwrap();
        assert!(
            text.contains("swapgate_panics_total{where=\"exchange\"}"),
            "{text}"
        );
    }
}
