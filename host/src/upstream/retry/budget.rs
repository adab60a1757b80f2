//! How many of the requests to an upstream may be retries.
//!
//! An upstream that fails because it has too much to do must not get more because it fails. So requests earn what retries
//! cost, as in Finagle's `RetryBudget` and in linkerd: each request puts a part of a retry in, each retry takes a whole one
//! out. What is saved has a limit, so that a good hour does not pay for a storm; a small reserve lets those who seldom ask
//! retry at all. Each worker has its own for each upstream, so nothing is locked.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// What a retry costs.
const RETRY: u32 = 100;
/// How many retries may be saved.
const SAVED: u32 = 200;
/// How many are in reserve at first, and at most.
const RESERVE: u32 = 10;
/// How long it takes until one comes back there.
const COMES_BACK: Duration = Duration::from_secs(1);

/// What a worker may spend on retries at one upstream.
#[derive(Debug)]
pub(in crate::upstream) struct Budget {
    /// In hundredths of a retry.
    saved: Cell<u32>,
    reserve: Cell<u32>,
    /// Up to when the reserve was filled again; none as long as it is full.
    since: Cell<Option<Instant>>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            saved: Cell::new(0),
            reserve: Cell::new(RESERVE),
            since: Cell::new(None),
        }
    }
}

impl Budget {
    /// A request begins that earns so many percent of a retry.
    pub(in crate::upstream) fn deposit(&self, percent: u32) {
        let saved = self.saved.get().saturating_add(percent);
        self.saved.set(saved.min(SAVED * RETRY));
    }

    /// Takes a retry out; no if there is none, or where `percent` says that there are to be none.
    #[must_use]
    pub(in crate::upstream) fn withdraw(&self, percent: u32) -> bool {
        percent > 0 && self.withdraw_at(Instant::now())
    }

    fn withdraw_at(&self, now: Instant) -> bool {
        if let Some(left) = self.saved.get().checked_sub(RETRY) {
            self.saved.set(left);
            return true;
        }
        self.fill(now);
        match self.reserve.get().checked_sub(1) {
            Some(left) => {
                self.reserve.set(left);
                true
            }
            None => false,
        }
    }

    fn fill(&self, now: Instant) {
        let Some(since) = self.since.get().filter(|_| self.reserve.get() < RESERVE) else {
            self.since.set(Some(now));
            return;
        };
        let passed = now.saturating_duration_since(since).as_secs();
        let back = u32::try_from(passed / COMES_BACK.as_secs()).unwrap_or(RESERVE);
        if back > 0 {
            let reserve = self.reserve.get().saturating_add(back).min(RESERVE);
            self.reserve.set(reserve);
            self.since
                .set(Some(since + COMES_BACK.saturating_mul(back)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(budget: &Budget, now: Instant) -> usize {
        std::iter::from_fn(|| budget.withdraw_at(now).then_some(())).count()
    }

    #[test]
    fn requests_earn_what_retries_cost() {
        let (budget, now) = (Budget::default(), Instant::now());
        assert_eq!(spent(&budget, now), RESERVE as usize);
        (0..50).for_each(|_| budget.deposit(20));
        assert_eq!(spent(&budget, now), 10);
        (0..4).for_each(|_| budget.deposit(20));
        assert_eq!(spent(&budget, now), 0, "four fifths are not enough");
        budget.deposit(20);
        assert_eq!(spent(&budget, now), 1);
    }

    #[test]
    fn a_good_hour_does_not_pay_for_a_storm() {
        let (budget, now) = (Budget::default(), Instant::now());
        (0..1_000_000).for_each(|_| budget.deposit(20));
        assert_eq!(spent(&budget, now), (SAVED + RESERVE) as usize);
        (0..3).for_each(|_| budget.deposit(u32::MAX));
        assert_eq!(spent(&budget, now), SAVED as usize);
    }

    #[test]
    fn the_reserve_comes_back_with_time() {
        let (budget, start) = (Budget::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(spent(&budget, at(0)), RESERVE as usize);
        assert_eq!(spent(&budget, at(999)), 0);
        assert_eq!(spent(&budget, at(2500)), 2);
        assert_eq!(spent(&budget, at(3000)), 1, "half a second was kept");
        assert_eq!(spent(&budget, at(3_600_000)), RESERVE as usize);
    }

    #[test]
    fn no_percent_is_no_retry() {
        let budget = Budget::default();
        assert!(!budget.withdraw(0));
        assert!(budget.withdraw(1));
    }
}
