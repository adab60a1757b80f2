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
mod hook;
mod part;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::time::Duration;

pub use self::hook::install;
use self::hook::{Inside, Seen, words};
pub use self::part::{Part, count_of, show};
use self::part::{count, label};

/// How long something rests that panicked before it begins anew, so that one which does so at once is no spin.
const PAUSE: Duration = Duration::from_millis(500);

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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::hook::{SEEN, see};
    use super::part::PARTS;
    use super::*;
    use crate::metrics::page::Page;

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
