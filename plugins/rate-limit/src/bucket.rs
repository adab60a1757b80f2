//! The token bucket, as the generic cell rate algorithm (ITU-T I.371, annex A; for HTTP e.g. Brandur Leach, "Rate
//! Limiting, Cells, and GCRA"): one number for each key, the moment at which its bucket will be full again (the
//! "theoretical arrival time"). No clock ticks, nothing is filled up in the background.
//!
//! Time is counted in parts of a nanosecond, `limit` of them: in that unit one token is worth exactly `window`
//! nanoseconds, so that no rate is rounded, not even 3 a second.

use crate::rule::{Rule, Verdict};
use crate::state::{Reader, put};

/// `limit` tokens come in a `window`, and the bucket holds `burst`.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    /// Parts of a nanosecond.
    limit: u64,
    /// What one token is worth, in these parts.
    token: u64,
    /// What a whole bucket is worth.
    depth: u128,
}

/// When the bucket of a key is full again, in parts of a nanosecond.
#[derive(Debug, Clone, Copy, Default)]
pub struct FullAt(u128);

impl TokenBucket {
    /// All three are at least 1.
    #[must_use]
    pub fn new(limit: u32, window_ns: u64, burst: u32) -> Self {
        Self {
            limit: u64::from(limit),
            token: window_ns,
            depth: u128::from(burst) * u128::from(window_ns),
        }
    }
}

impl Rule for TokenBucket {
    type State = FullAt;

    fn take(&self, state: &mut FullAt, now: u64) -> Verdict {
        let now = u128::from(now) * u128::from(self.limit);
        let missing = state.0.saturating_sub(now);
        let after = missing + u128::from(self.token);
        if after <= self.depth {
            state.0 = now + after;
            // Something is missing now, so the next token comes after what is missing beyond whole tokens.
            let beyond = match remainder(after, self.token) {
                0 => self.token,
                beyond => beyond,
            };
            return Verdict {
                admitted: true,
                remaining: quotient(self.depth - after, self.token),
                wait: beyond.div_ceil(self.limit),
            };
        }
        // At most one token more than the bucket holds is asked for, so what is over is at most one token.
        let over = u64::try_from(after - self.depth).unwrap_or(self.token);
        Verdict {
            admitted: false,
            remaining: 0,
            wait: over.div_ceil(self.limit),
        }
    }

    fn is_idle(&self, state: &FullAt, now: u64) -> bool {
        state.0 <= u128::from(now) * u128::from(self.limit)
    }

    fn write(state: &FullAt, bytes: &mut Vec<u8>) {
        put(bytes, &state.0.to_le_bytes());
    }

    fn read(&self, reader: &mut Reader<'_>, now: u64) -> Option<FullAt> {
        let full_at = reader.u128()?;
        let missing = full_at.saturating_sub(u128::from(now) * u128::from(self.limit));
        (missing <= self.depth).then_some(FullAt(full_at))
    }
}

/// Division of 128 bits takes as long as a system call; nearly always 64 are enough.
fn quotient(whole: u128, by: u64) -> u32 {
    let quotient = match u64::try_from(whole) {
        Ok(whole) => whole / by,
        Err(_) => u64::try_from(whole / u128::from(by)).unwrap_or(u64::MAX),
    };
    u32::try_from(quotient).unwrap_or(u32::MAX)
}

fn remainder(whole: u128, by: u64) -> u64 {
    match u64::try_from(whole) {
        Ok(whole) => whole % by,
        Err(_) => u64::try_from(whole % u128::from(by)).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::TokenBucket;
    use crate::rule::{Key, Verdict};

    const SECOND: u64 = 1_000_000_000;

    fn key(limit: u32, window: u64, burst: u32) -> Key<TokenBucket> {
        Key::new(TokenBucket::new(limit, window, burst))
    }

    #[test]
    fn a_new_key_has_a_full_bucket_and_gets_tokens_evenly() {
        let mut key = key(10, SECOND, 5);
        assert_eq!(key.admitted(100, 0), 5);
        assert_eq!(key.admitted(100, SECOND / 10 - 1), 0);
        assert_eq!(key.admitted(100, SECOND / 10), 1);
        assert_eq!(key.admitted(100, SECOND / 2), 4);
        assert_eq!(
            key.admitted(100, 100 * SECOND),
            5,
            "no more than the bucket holds"
        );
    }

    #[test]
    fn it_says_how_many_are_left_and_when_the_next_comes() {
        let mut key = key(4, SECOND, 4);
        let verdict = |admitted, remaining, wait| Verdict {
            admitted,
            remaining,
            wait,
        };
        assert_eq!(key.take(0), verdict(true, 3, SECOND / 4));
        assert_eq!(key.take(SECOND / 8), verdict(true, 2, SECOND / 8));
        assert_eq!(key.take(SECOND / 8), verdict(true, 1, SECOND / 8));
        assert_eq!(key.take(SECOND / 8), verdict(true, 0, SECOND / 8));
        assert_eq!(key.take(SECOND / 8), verdict(false, 0, SECOND / 8));
        assert_eq!(key.take(SECOND / 4), verdict(true, 0, SECOND / 4));
    }

    #[test]
    fn a_full_bucket_is_idle_and_no_other_one_is() {
        let mut key = key(2, SECOND, 2);
        assert!(key.is_idle(0));
        assert_eq!(key.admitted(2, 7), 2);
        assert!(!key.is_idle(SECOND + 6));
        assert!(key.is_idle(SECOND + 7));
    }

    #[test]
    fn rates_that_do_not_divide_the_window_are_not_rounded() {
        let mut key = key(3, SECOND, 2);
        let day = 86_400;
        assert_eq!(key.admitted(5, 0), 2);
        for third in 1..day * 3 {
            let comes = (third * SECOND).div_ceil(3);
            assert_eq!(key.admitted(2, comes - 1), 0, "{third}");
            assert_eq!(key.admitted(2, comes), 1, "{third}");
        }
        assert_eq!(key.admitted(2, day * SECOND - 1), 0);
        assert_eq!(key.admitted(2, day * SECOND), 1);
    }

    #[test]
    fn the_largest_settings_do_not_overflow() {
        let year = 365 * 86_400 * SECOND;
        let mut key = key(u32::MAX, year, u32::MAX);
        let verdict = key.take(u64::MAX);
        assert_eq!((verdict.admitted, verdict.remaining), (true, u32::MAX - 1));
        let mut slow = Key::new(TokenBucket::new(1, year, 1));
        assert!(slow.take(0).admitted);
        assert_eq!(slow.take(0).wait, year);
    }

    proptest! {
        /// Whatever the times: between any two moments pass at most `burst` and what came in that time.
        #[test]
        fn never_more_than_the_bucket_and_what_came(
            limit in 1u32..50, burst in 1u32..50, window in 1u64..10_000,
            steps in proptest::collection::vec(0u64..2_000, 1..300),
        ) {
            let mut key = key(limit, window, burst);
            let mut now = 0;
            let mut passed = Vec::new();
            for step in steps {
                now += step;
                let before = key.take(now);
                if before.admitted {
                    passed.push(now);
                } else {
                    // What it says of the wait is exact: not a nanosecond earlier.
                    prop_assert!(!key.take(now + before.wait - 1).admitted);
                }
            }
            for (index, from) in passed.iter().enumerate() {
                for (before, to) in passed[index..].iter().enumerate() {
                    let came = u128::from(to - from) * u128::from(limit) / u128::from(window);
                    prop_assert!((before as u128) < u128::from(burst) + came);
                }
            }
        }
    }
}
