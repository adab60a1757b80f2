//! When requests are due.
//!
//! All connections share one schedule: whichever is free takes the next request. A request that no connection was free
//! for in time is sent late and counted from the time it was due.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The schedule.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Option<f64>,
    started: Instant,
    taken: Cell<u64>,
}

impl Pace {
    /// `rate` requests a second, evenly; without a rate, one as soon as a connection is free.
    pub(crate) fn new(rate: Option<f64>) -> Self {
        Self {
            rate,
            started: Instant::now(),
            taken: Cell::new(0),
        }
    }

    /// Takes the next request: when is it due?
    pub(crate) fn take(&self) -> Instant {
        let Some(rate) = self.rate else {
            return Instant::now();
        };
        let number = self.taken.replace(self.taken.get() + 1);
        self.started + Duration::from_secs_f64(number as f64 / rate)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pace;

    #[test]
    fn requests_are_due_at_even_times() {
        let pace = Pace::new(Some(4.0));
        let first = pace.take();
        assert_eq!(pace.take() - first, Duration::from_millis(250));
        assert_eq!(pace.take() - first, Duration::from_millis(500));
    }
}
