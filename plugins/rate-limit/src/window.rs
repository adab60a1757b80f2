//! The sliding window. The promise is hard: in no span of `window`, wherever it begins, pass more than `limit`.
//!
//! The time is cut into eighths of the window, and each key has a counter for the running eighth and the eight before it.
//! These nine cover every span of one window that ends now, so a request passes when their sum is below the limit. The
//! price is that a request counts for up to an eighth longer than the window. The well-known counter of two windows, one
//! of them weighted (Cloudflare, "How we built rate limiting capable of scaling to millions of domains"), has no such
//! promise: it admits nearly twice the limit when requests come in the wrong places. A log of every request has it
//! without the price, but its memory grows with the limit.

use crate::rule::{Rule, Verdict};
use crate::state::{Reader, put};

/// Parts of the window.
const PARTS: u64 = COUNTERS as u64 - 1;
/// Counters of a key: the parts and the running one.
const COUNTERS: usize = 9;

/// At most `limit` in every `window`.
#[derive(Debug, Clone, Copy)]
pub struct SlidingWindow {
    limit: u32,
    /// One eighth, rounded up, so that eight are never less than the window.
    part: u64,
}

/// The counters of a key: `counts[n % 9]` is that of part `n`, for `n` from `part - 8` to `part`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    part: u64,
    counts: [u32; COUNTERS],
}

impl SlidingWindow {
    /// Both are at least 1.
    #[must_use]
    pub fn new(limit: u32, window_ns: u64) -> Self {
        Self {
            limit,
            part: window_ns.div_ceil(PARTS),
        }
    }

    /// From `now` until the oldest counter that holds something leaves the window.
    fn wait(&self, state: &Counts, now: u64) -> u64 {
        let oldest = (0..=PARTS)
            .rev()
            .filter_map(|age| state.part.checked_sub(age))
            .find(|part| state.counts[place(*part)] > 0);
        let after = oldest.unwrap_or(state.part).saturating_add(PARTS + 1);
        let leaves = after.saturating_mul(self.part);
        leaves.saturating_sub(now)
    }
}

impl Rule for SlidingWindow {
    type State = Counts;

    fn take(&self, state: &mut Counts, now: u64) -> Verdict {
        state.advance(now / self.part);
        let sum: u32 = state.counts.iter().sum();
        let admitted = sum < self.limit;
        if admitted {
            state.counts[place(state.part)] += 1;
        }
        Verdict {
            admitted,
            // The sum never exceeds the limit, because nothing is counted that did not pass.
            remaining: (self.limit - sum).saturating_sub(1),
            wait: self.wait(state, now),
        }
    }

    fn is_idle(&self, state: &Counts, now: u64) -> bool {
        now / self.part > state.part.saturating_add(PARTS) || state.counts == [0; COUNTERS]
    }

    fn write(state: &Counts, bytes: &mut Vec<u8>) {
        put(bytes, &state.part.to_le_bytes());
        for count in state.counts {
            put(bytes, &count.to_le_bytes());
        }
    }

    fn read(&self, reader: &mut Reader<'_>, now: u64) -> Option<Counts> {
        let mut state = Counts {
            part: reader.u64()?,
            ..Counts::default()
        };
        for count in &mut state.counts {
            *count = reader.u32()?;
        }
        let sum: u64 = state.counts.iter().copied().map(u64::from).sum();
        (sum <= u64::from(self.limit) && state.part <= now / self.part).then_some(state)
    }
}

impl Counts {
    /// Goes on to this part and clears the counters of those that begin. A part that is over already stays over.
    fn advance(&mut self, part: u64) {
        if part <= self.part {
            return;
        }
        if part - self.part > PARTS {
            self.counts = [0; COUNTERS];
        } else {
            for begun in self.part + 1..=part {
                self.counts[place(begun)] = 0;
            }
        }
        self.part = part;
    }
}

/// Always below the number of counters.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a remainder of nine fits anywhere"
)]
fn place(part: u64) -> usize {
    (part % COUNTERS as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SlidingWindow;
    use crate::rule::{Key, Verdict};

    const SECOND: u64 = 1_000_000_000;

    fn key(limit: u32, window: u64) -> Key<SlidingWindow> {
        Key::new(SlidingWindow::new(limit, window))
    }

    #[test]
    fn the_limit_passes_at_once_and_nothing_more_for_a_window() {
        let mut key = key(5, 8 * SECOND);
        assert_eq!(key.admitted(100, SECOND / 2), 5);
        assert_eq!(key.admitted(100, 9 * SECOND - 1), 0);
        assert_eq!(
            key.admitted(100, 9 * SECOND),
            5,
            "an eighth more than the window"
        );
    }

    #[test]
    fn what_leaves_the_window_makes_room() {
        let mut key = key(8, 8 * SECOND);
        for part in 0..8 {
            assert_eq!(key.admitted(1, part * SECOND), 1);
        }
        assert_eq!(key.admitted(3, 8 * SECOND), 0);
        // Eight in nine parts, which is what the longer span costs.
        for part in 9..30 {
            let expected = usize::from(part % 9 != 8);
            assert_eq!(key.admitted(3, part * SECOND), expected, "{part}");
        }
    }

    #[test]
    fn it_says_how_many_are_left_and_when_there_is_room() {
        let mut key = key(2, 8 * SECOND);
        let verdict = |admitted, remaining, wait| Verdict {
            admitted,
            remaining,
            wait,
        };
        assert_eq!(
            key.take(SECOND / 2),
            verdict(true, 1, 8 * SECOND + SECOND / 2)
        );
        assert_eq!(key.take(3 * SECOND), verdict(true, 0, 6 * SECOND));
        assert_eq!(key.take(4 * SECOND), verdict(false, 0, 5 * SECOND));
        assert_eq!(key.take(9 * SECOND), verdict(true, 0, 3 * SECOND));
    }

    #[test]
    fn a_key_is_idle_when_nothing_it_did_is_in_the_window() {
        let mut key = key(2, 8 * SECOND);
        assert!(key.is_idle(0));
        assert!(key.take(0).admitted);
        assert!(!key.is_idle(9 * SECOND - 1));
        assert!(key.is_idle(9 * SECOND));
    }

    #[test]
    fn a_clock_that_steps_back_frees_nothing() {
        let mut key = key(1, 8 * SECOND);
        assert!(key.take(20 * SECOND).admitted);
        assert!(!key.take(10 * SECOND).admitted);
        assert!(!key.take(0).admitted);
    }

    #[test]
    fn windows_shorter_than_eight_nanoseconds_and_late_clocks_work() {
        let mut key = key(1, 1);
        assert!(key.take(0).admitted);
        assert!(!key.take(8).admitted);
        assert!(key.take(9).admitted);
        assert!(key.take(u64::MAX).admitted);
    }

    proptest! {
        /// The promise, for all spans of a window that end with a request that passed; and its price.
        #[test]
        fn no_span_of_a_window_holds_more_than_the_limit(
            limit in 1u32..20, window in 1u64..5_000,
            steps in proptest::collection::vec(0u64..800, 1..400),
        ) {
            let mut key = key(limit, window);
            let (mut now, mut passed) = (0u64, Vec::<u64>::new());
            for step in steps {
                now += step;
                let within = |span: u64| passed.iter().filter(|at| now - **at < span).count();
                let (in_window, in_longer) = (within(window), within(window + window.div_ceil(8)  + 8));
                let verdict = key.take(now);
                if verdict.admitted {
                    prop_assert!(in_window < limit as usize);
                    passed.push(now);
                } else {
                    prop_assert!(in_longer >= limit as usize, "refused although there was room");
                    prop_assert!(!key.take(now + verdict.wait - 1).admitted);
                    // That was a look into the future, from which there is no way back.
                    now += verdict.wait - 1;
                }
            }
        }
    }
}
