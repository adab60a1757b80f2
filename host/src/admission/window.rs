//! How many requests were counted in the last while, and how many of them failed.
//!
//! A window is cut into ten slices, and each worker has numbers of its own for each of them: counting a request that went
//! well is a load and a store. Whoever asks adds up. A number says itself which slice it is of, so nothing has to be cleared
//! when a slice comes round again, nor when all of it is to be forgotten: the next era begins.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::cell::{Cells, Writer};

/// Into how many slices a window is cut.
const SLICES: usize = 10;
/// The same, where slices are counted.
const ROUND: u64 = SLICES as u64;
/// Where it stands of which slice a number is, and below that the number.
const TAG: u32 = 24;
const COUNT: u64 = (1 << TAG) - 1;
/// Where the era stands in a tag, and below that the slice.
const ERA: u32 = 28;
const SLICE: u64 = (1 << ERA) - 1;
/// Eras after which the first one comes again.
const ERAS: u64 = 1 << (u64::BITS - TAG - ERA);

/// What was counted lately.
#[derive(Debug)]
pub(super) struct Window {
    /// How long a slice is, in milliseconds.
    slice_ms: AtomicU64,
    era: AtomicU64,
    cells: Cells<[[AtomicU64; 2]; SLICES]>,
}

/// What was counted, in all and of failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// All requests.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
}

impl Window {
    /// An empty one of this length.
    pub(super) fn new(workers: usize, length_ms: u64) -> Self {
        Self {
            slice_ms: AtomicU64::new(slice(length_ms)),
            era: AtomicU64::new(0),
            cells: Cells::new(workers),
        }
    }

    /// The era of what is counted now.
    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.era.fetch_add(1, Ordering::AcqRel);
    }

    /// From now on it is this long; forgets everything if it was not.
    pub(super) fn set(&self, length_ms: u64) {
        let slice_ms = slice(length_ms);
        if self.slice_ms.swap(slice_ms, Ordering::AcqRel) != slice_ms {
            self.clear();
        }
    }

    /// Counts a request that began in this era; one of an earlier era is forgotten already.
    pub(super) fn count(&self, era: u64, failed: bool, now_ms: u64) {
        if era != self.era() {
            return;
        }
        let (tag, place) = self.slice(now_ms);
        let (cell, writer) = self.cells.mine();
        let Some([good, bad]) = cell.get(place) else {
            return;
        };
        let is_full = |number: &AtomicU64| {
            let number = number.load(Ordering::Relaxed);
            number >> TAG == tag && number & COUNT == COUNT
        };
        // With one of them full the other would go on, and the share of failures would not be what it was.
        if is_full(good) || is_full(bad) {
            return;
        }
        let number = if failed { bad } else { good };
        let more = |number: u64| {
            let count = if number >> TAG == tag {
                number & COUNT
            } else {
                0
            };
            tag << TAG | (count + 1).min(COUNT)
        };
        match writer {
            Writer::Alone => number.store(more(number.load(Ordering::Relaxed)), Ordering::Relaxed),
            Writer::OneOfMany => {
                let _ = number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| {
                    Some(more(number))
                });
            }
        }
    }

    /// What was counted in the last slices, the present one among them.
    pub(super) fn sums(&self, now_ms: u64) -> Sums {
        let (present, _) = self.slice(now_ms);
        let (era, slice) = (present >> ERA, present & SLICE);
        let counts =
            |tag: u64| tag >> ERA == era && slice.wrapping_sub(tag & SLICE) & SLICE < ROUND;
        let mut sums = [0_u64; 2];
        for [good, bad] in self.cells.all().flatten() {
            for (sum, number) in sums.iter_mut().zip([good, bad]) {
                let number = number.load(Ordering::Relaxed);
                if counts(number >> TAG) {
                    *sum += number & COUNT;
                }
            }
        }
        let [good, failures] = sums;
        Sums {
            requests: good + failures,
            failures,
        }
    }

    /// The tag of the present slice, and its place.
    fn slice(&self, now_ms: u64) -> (u64, usize) {
        let slice = now_ms / self.slice_ms.load(Ordering::Acquire).max(1);
        let tag = (self.era() % ERAS) << ERA | slice & SLICE;
        (tag, usize::try_from(slice % ROUND).unwrap_or(0))
    }
}

fn slice(length_ms: u64) -> u64 {
    length_ms.div_ceil(ROUND).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(window: &Window, now_ms: u64, requests: u64, failures: u64) {
        let expected = Sums { requests, failures };
        assert_eq!(window.sums(now_ms), expected);
    }

    #[test]
    fn what_is_old_counts_no_more() {
        let window = Window::new(1, 1000);
        check(&window, 0, 0, 0);
        for now in [0, 50, 450, 999] {
            window.count(0, now == 450, now);
        }
        check(&window, 999, 4, 1);
        check(&window, 1000, 2, 1);
        check(&window, 1399, 2, 1);
        check(&window, 1400, 1, 0);
        check(&window, 1500, 1, 0);
        check(&window, 1900, 0, 0);
        window.count(0, true, 11_000);
        check(&window, 11_000, 1, 1);
    }

    /// A window of a day and two thousand requests a second are enough.
    #[test]
    fn a_slice_that_is_full_keeps_its_share_of_failures() {
        let window = Window::new(1, 1000);
        window.count(0, true, 0);
        let [good, _] = window.cells.mine().0.first().expect("there are ten");
        good.store(COUNT - 1, Ordering::Relaxed);
        window.count(0, false, 0);
        check(&window, 0, COUNT + 1, 1);
        window.count(0, false, 0);
        window.count(0, true, 0);
        check(&window, 0, COUNT + 1, 1);
        window.count(0, true, 100);
        check(&window, 100, COUNT + 2, 2);
    }

    #[test]
    fn what_was_forgotten_stays_so() {
        let window = Window::new(1, 1000);
        window.count(0, true, 10);
        window.clear();
        check(&window, 10, 0, 0);
        window.count(0, true, 11);
        check(&window, 11, 0, 0);
        window.count(1, false, 11);
        check(&window, 11, 1, 0);
        window.set(1000);
        check(&window, 11, 1, 0);
        window.set(2000);
        check(&window, 11, 0, 0);
    }
}
