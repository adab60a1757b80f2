//! An attempt at a target that is running: it is counted, and its time is taken where the choice of targets goes by that.

use std::time::{Duration, Instant};

use super::balance::Seat;
use super::balance::ewma::Ewma;
use crate::metrics::traffic::{self, Attempt, Attempts};

/// An attempt at a target that is running; dropping it before it came to anything counts it as cancelled.
#[derive(Debug)]
pub struct Attempting<'a> {
    counted: traffic::Attempting<'a>,
    timed: Timed<'a>,
}

/// Since when, and who wants to know how long. Dropped before anybody was told, it says that an answer was given up.
#[derive(Debug)]
struct Timed<'a>(Option<(&'a Ewma, Instant)>);

impl<'a> Attempting<'a> {
    /// One begins; `timed` is who wants to know how long it takes.
    #[must_use]
    pub fn new(attempts: Option<&'a Attempts>, timed: Option<&'a Seat>) -> Self {
        Self {
            counted: traffic::Attempting::new(attempts),
            timed: Timed(timed.map(|seat| (&seat.ewma, Instant::now()))),
        }
    }

    /// It goes on elsewhere, and is counted there.
    pub fn goes_on(mut self) {
        self.timed.0 = None;
        self.counted.goes_on();
    }

    /// The target answered, well or with something that only says that it is of no use.
    pub fn answered(self, well: bool) {
        let Self { counted, timed } = self;
        timed.tell(if well { Ewma::took } else { Ewma::failed });
        counted.came_to(Attempt::Ok);
    }

    /// It came to this.
    pub fn came_to(self, outcome: Attempt) {
        let Self { counted, mut timed } = self;
        match outcome {
            Attempt::Ok => timed.tell(Ewma::took),
            // It was the connection, or this system; the target may be well.
            Attempt::Stale | Attempt::NoSocket => timed.0 = None,
            Attempt::Cancelled => timed.tell(Ewma::given_up),
            Attempt::ConnectError
            | Attempt::TlsError
            | Attempt::ConnectTimeout
            | Attempt::Timeout
            | Attempt::Closed
            | Attempt::Malformed => timed.tell(Ewma::failed),
        }
        counted.came_to(outcome);
    }
}

impl Timed<'_> {
    fn tell(mut self, what: fn(&Ewma, Duration, Instant)) {
        self.say(what);
    }

    fn say(&mut self, what: fn(&Ewma, Duration, Instant)) {
        if let Some((ewma, began)) = self.0.take() {
            let now = Instant::now();
            what(ewma, now.saturating_duration_since(began), now);
        }
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        self.say(Ewma::given_up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_says_what_it_knows_of_the_time() {
        let after = |end: fn(Attempting<'_>)| {
            let seat = Seat::default();
            end(Attempting::new(None, Some(&seat)));
            seat.ewma.seconds(Instant::now())
        };
        let is_quick = |seconds: Option<f64>| seconds.is_some_and(|seconds| seconds < 0.5);
        let is_slow = |seconds: Option<f64>| seconds.is_some_and(|seconds| seconds > 0.5);
        assert!(is_quick(after(|attempt| attempt.answered(true))));
        assert!(is_slow(after(|attempt| attempt.answered(false))));
        assert!(is_slow(after(
            |attempt| attempt.came_to(Attempt::ConnectError)
        )));
        assert!(is_slow(after(|attempt| attempt.came_to(Attempt::Closed))));
        assert!(is_quick(after(
            |attempt| attempt.came_to(Attempt::Cancelled)
        )));
        assert!(
            is_quick(after(|attempt| drop(attempt))),
            "the client left at once"
        );
        for outcome in [Attempt::Stale, Attempt::NoSocket] {
            let seat = Seat::default();
            Attempting::new(None, Some(&seat)).came_to(outcome);
            assert_eq!(seat.ewma.seconds(Instant::now()), None);
        }
        assert_eq!(
            after(|attempt| {
                attempt.goes_on();
            }),
            None
        );
    }
}
