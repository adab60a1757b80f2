//! How long a target takes to answer, as an average in which what lies back counts less and less.
//!
//! The average is Finagle's Peak EWMA (`PeakEwma.scala`): an answer that took longer than the average takes its place at
//! once, one that was quicker pulls it down slowly. So a target that becomes slow is left alone after one answer, and comes
//! back by and by. Time comes in as an argument.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// After so long the average counts for 37 percent (1/e).
const DECAY: Duration = Duration::from_secs(10);
/// An attempt that failed counts as an answer that took at least so long. A refused connection takes no time at all, and
/// a target that refuses everything must not look like the quickest.
const FAILED: Duration = Duration::from_secs(1);

/// How long a target takes to answer, if it ever did.
#[derive(Debug, Default)]
pub struct Ewma(Cell<Option<(f64, Instant)>>);

impl Ewma {
    /// An answer took so long.
    pub fn took(&self, time: Duration, now: Instant) {
        let time = time.as_secs_f64();
        let average = match self.0.get() {
            Some((average, then)) if average > time => {
                let kept = kept(then, now);
                average * kept + time * (1.0 - kept)
            }
            _ => time,
        };
        self.0.set(Some((average, now)));
    }

    /// An attempt failed after so long.
    pub fn failed(&self, time: Duration, now: Instant) {
        self.took(time.max(FAILED), now);
    }

    /// No answer came for so long, and nobody waits for it any more: it would have taken longer than that.
    pub fn given_up(&self, time: Duration, now: Instant) {
        if self
            .seconds(now)
            .is_none_or(|average| average < time.as_secs_f64())
        {
            self.took(time, now);
        }
    }

    /// The average, in seconds; none: nothing was measured.
    #[must_use]
    pub fn seconds(&self, now: Instant) -> Option<f64> {
        let (average, then) = self.0.get()?;
        Some(average * kept(then, now))
    }
}

/// How much of an average is left.
fn kept(then: Instant, now: Instant) -> f64 {
    let passed = now.saturating_duration_since(then);
    (-passed.as_secs_f64() / DECAY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn close(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < expected / 100.0)
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_a_quick_one_slowly() {
        let (ewma, start) = (Ewma::default(), Instant::now());
        assert_eq!(ewma.seconds(start), None);
        ewma.took(MS, start);
        ewma.took(100 * MS, start);
        assert!(close(ewma.seconds(start), 0.1));
        ewma.took(MS, start);
        assert!(close(ewma.seconds(start), 0.1), "no time has passed");
        let later = start + DECAY;
        assert!(close(ewma.seconds(later), 0.1 / std::f64::consts::E));
        ewma.took(MS, later);
        assert!(close(
            ewma.seconds(later),
            0.1 / std::f64::consts::E + 0.001 * 0.632
        ));
    }

    #[test]
    fn what_failed_is_slow_however_quickly_it_failed() {
        let (ewma, start) = (Ewma::default(), Instant::now());
        ewma.failed(Duration::ZERO, start);
        assert!(close(ewma.seconds(start), 1.0));
        ewma.failed(3000 * MS, start);
        assert!(close(ewma.seconds(start), 3.0));
    }

    #[test]
    fn giving_up_says_only_that_it_takes_longer() {
        let (ewma, start) = (Ewma::default(), Instant::now());
        ewma.given_up(10 * MS, start);
        assert!(close(ewma.seconds(start), 0.01));
        ewma.given_up(MS, start);
        assert!(close(ewma.seconds(start), 0.01));
        ewma.given_up(50 * MS, start);
        assert!(close(ewma.seconds(start), 0.05));
    }
}
