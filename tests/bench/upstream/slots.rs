//! Slots: an upstream that can do so much at once and no more, as one with a pool of threads or of database connections.
//!
//! It counts what it sees, so that a test knows from it, and not from the gateway, how much was let through.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use swapgate_bench::alarm::Alarm;
use swapgate_bench::{Arguments, Outcome};
use tokio::sync::Semaphore;

/// The slots, and what was seen of requests.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Semaphore,
    /// How long each request holds one.
    work: Duration,
    inside: AtomicU64,
    most_inside: AtomicU64,
    seen: AtomicU64,
    answered: AtomicU64,
}

/// A request, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Visit<'a>(&'a Slots);

impl Slots {
    /// What the command line says, if it says something.
    pub(crate) fn read(arguments: &mut Arguments) -> Outcome<Option<Self>> {
        let work = arguments.value("--work-us")?.unwrap_or(10_000);
        let slots = arguments.value("--slots")?;
        Ok(slots.map(|slots| Self::of(slots, Duration::from_micros(work))))
    }

    fn of(slots: usize, work: Duration) -> Self {
        Self {
            free: Semaphore::new(slots),
            work,
            inside: AtomicU64::new(0),
            most_inside: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        }
    }

    /// A request has come.
    pub(crate) fn enter(&self) -> Visit<'_> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inside.fetch_max(inside, Ordering::SeqCst);
        self.seen.fetch_add(1, Ordering::SeqCst);
        Visit(self)
    }

    /// How many requests there were, how many were answered, and how many were there at once at the most; in a slot or
    /// waiting for one.
    pub(crate) fn report(&self) -> Bytes {
        let report = json!({
            "inside": self.inside.load(Ordering::SeqCst),
            "most_inside": self.most_inside.load(Ordering::SeqCst),
            "seen": self.seen.load(Ordering::SeqCst),
            "answered": self.answered.load(Ordering::SeqCst),
        });
        Bytes::from(format!("{report}\n"))
    }
}

impl Visit<'_> {
    /// Waits for a slot and holds it for as long as the work takes.
    pub(crate) async fn work(self) {
        let slots = self.0;
        // Nobody closes the slots, and where the system has no clock left nothing can be measured anyway.
        let _slot = slots.free.acquire().await;
        if let Ok(alarm) = Alarm::new() {
            let _ = alarm.wait(Instant::now() + slots.work).await;
        }
        slots.answered.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::Slots;

    #[test]
    fn what_comes_is_counted() {
        let slots = Slots::of(1, Duration::ZERO);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let visits = [slots.enter(), slots.enter(), slots.enter()];
        runtime.block_on(async {
            for visit in visits.into_iter().take(2) {
                visit.work().await;
            }
        });
        let report: Value = serde_json::from_slice(&slots.report()).unwrap();
        assert_eq!(report["most_inside"], 3);
        assert_eq!(
            (&report["seen"], &report["answered"]),
            (&3.into(), &2.into())
        );
        assert_eq!(report["inside"], 0);
    }
}
