//! The share of a target that came into rotation a short while ago.

use std::time::Duration;

/// The whole share, in thousandths.
pub const WHOLE: u32 = 1000;
/// What a target begins with. A tenth warms caches and connections up and harms nobody; with nothing at all it would get
/// its first request only when the others are gone, and so stay cold.
pub const FIRST: u32 = 100;

/// The share at a time, in thousandths: from [`FIRST`] to [`WHOLE`] in a straight line.
///
/// Both times are milliseconds of one clock; a `since_ms` of 0 says that it was there from the beginning.
#[must_use]
pub fn share(since_ms: u64, now_ms: u64, slow_start: Duration) -> u32 {
    let whole_ms = slow_start.as_millis();
    let passed_ms = u128::from(now_ms.saturating_sub(since_ms));
    if since_ms == 0 || passed_ms >= whole_ms {
        return WHOLE;
    }
    // `passed_ms` is less than `whole_ms`, which is not 0 then.
    let gained = u128::from(WHOLE - FIRST) * passed_ms / whole_ms;
    FIRST + u32::try_from(gained).unwrap_or(WHOLE - FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_in_a_straight_line() {
        let at = |since_ms, now_ms| share(since_ms, now_ms, Duration::from_secs(10));
        assert_eq!(at(0, 5), WHOLE, "there from the beginning");
        for (passed_ms, expected) in [
            (0, 100),
            (1000, 190),
            (5000, 550),
            (9999, 999),
            (10_000, 1000),
        ] {
            assert_eq!(at(50_000, 50_000 + passed_ms), expected, "{passed_ms} ms");
        }
        assert_eq!(
            at(50_000, 49_999),
            FIRST,
            "another thread read the clock before"
        );
        assert_eq!(share(7, 7, Duration::ZERO), WHOLE);
    }
}
