//! Waiting for a condition, with a generous limit and a reason in the failure.
//!
//! No test sleeps for a length of time and hopes. What can be waited for by a channel or a socket is; the rest is polled
//! here, and this is the only place that pauses.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a condition may take before the test fails. It is no expectation about speed: a loaded machine with
/// few cores must be able to keep it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` finds something, and returns it.
///
/// # Panics
/// When nothing was found within [`LIMIT`], with `what` in the text.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < LIMIT,
            "waited {LIMIT:?} in vain for: {what}"
        );
        thread::sleep(PAUSE);
    }
}

/// Looks until `holds` says yes.
///
/// # Panics
/// When it did not within [`LIMIT`], with `what` in the text.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// Looks until an expression is true: `eventually!(upstream.connections() == 1)`.
#[macro_export]
macro_rules! eventually {
    ($condition:expr $(,)?) => {
        $crate::eventually::wait_until(stringify!($condition), || $condition)
    };
    ($condition:expr, $($what:tt)+) => {
        $crate::eventually::wait_until(&format!($($what)+), || $condition)
    };
}

/// Holds threads back until the test opens it: how a scripted upstream is slow for exactly as long as a test wants.
#[derive(Clone, Default)]
pub struct Gate {
    state: Arc<(Mutex<GateState>, Condvar)>,
}

#[derive(Default)]
struct GateState {
    open: bool,
    waiting: usize,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        let (state, changed) = &*self.state;
        lock(state).open = true;
        changed.notify_all();
    }

    /// Waits for somebody to stand before the gate.
    ///
    /// # Panics
    /// When nobody came within [`LIMIT`].
    #[track_caller]
    pub fn wait_for_arrival(&self) {
        wait_until("somebody to stand before the gate", || {
            lock(&self.state.0).waiting > 0
        });
    }

    /// Stands before the gate until it opens, or until [`LIMIT`] is over, so that no thread outlives a failed test.
    pub fn pass(&self) {
        let (state, changed) = &*self.state;
        let mut guard = lock(state);
        guard.waiting += 1;
        let (mut guard, _) = changed
            .wait_timeout_while(guard, LIMIT, |state| !state.open)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        guard.waiting -= 1;
    }
}

/// Locks, also after a thread panicked with the lock: the test that panicked has its own report.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_until_something_is_there() {
        let mut looks = 0;
        let found = wait_for("the third look", || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    fn a_gate_holds_until_it_is_opened() {
        let gate = Gate::new();
        let before = gate.clone();
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            before.pass();
            sender.send(()).unwrap();
        });
        gate.wait_for_arrival();
        assert!(receiver.try_recv().is_err(), "nobody passes a closed gate");
        gate.open();
        receiver.recv_timeout(LIMIT).unwrap();
        thread.join().unwrap();
    }
}
