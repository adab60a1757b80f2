//! Where numbers are kept so that counting is cheap: one cell for each worker, written by that worker alone, and one for
//! all other threads together.
//!
//! A worker adds with a load and a store, without the locked instruction of a read-modify-write, and no two workers write
//! to the same cache line. Whoever scrapes adds the cells up; it may see one worker's count a moment later than another's,
//! and never half a number.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    static WORKER: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Makes the running thread the worker with this index, for all that it counts from now on.
pub fn enter_worker(index: usize) {
    WORKER.set(index);
}

/// The index of the worker whose thread this is; larger than any where it is none.
#[must_use]
pub fn this_worker() -> usize {
    WORKER.get()
}

/// A value in cache lines of its own; two, for processors that fetch pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line<T>(T);

/// One `T` for each worker, and one for everybody else.
#[derive(Debug)]
pub struct Cells<T> {
    workers: Box<[Line<T>]>,
    others: Box<Line<T>>,
}

impl<T: Default> Cells<T> {
    /// Cells for that many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| Line::default()).collect(),
            others: Box::default(),
        }
    }
}

impl<T> Cells<T> {
    /// The cell of the running thread, and whether nobody else writes to it.
    #[must_use]
    pub fn mine(&self) -> (&T, Writer) {
        match self.workers.get(this_worker()) {
            Some(line) => (&line.0, Writer::Alone),
            None => (&self.others.0, Writer::OneOfMany),
        }
    }

    /// All cells, to be added up.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        let others = std::iter::once(&*self.others);
        self.workers.iter().chain(others).map(|line| &line.0)
    }
}

/// Who else may write to a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Nobody: a load and a store are enough.
    Alone,
    /// Other threads.
    OneOfMany,
}

impl Writer {
    /// Adds to a whole number.
    pub fn add(self, cell: &AtomicU64, value: u64) {
        match self {
            Self::Alone => cell.store(
                cell.load(Ordering::Relaxed).wrapping_add(value),
                Ordering::Relaxed,
            ),
            Self::OneOfMany => {
                cell.fetch_add(value, Ordering::Relaxed);
            }
        }
    }

    /// Adds to a number that is kept as the bits of an `f64`.
    pub fn add_f64(self, cell: &AtomicU64, value: f64) {
        let sum = |bits| (f64::from_bits(bits) + value).to_bits();
        match self {
            Self::Alone => cell.store(sum(cell.load(Ordering::Relaxed)), Ordering::Relaxed),
            Self::OneOfMany => {
                let mut bits = cell.load(Ordering::Relaxed);
                while let Err(now) = cell.compare_exchange_weak(
                    bits,
                    sum(bits),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    bits = now;
                }
            }
        }
    }
}

/// The number whose bits are kept there.
#[must_use]
pub fn f64_of(cell: &AtomicU64) -> f64 {
    f64::from_bits(cell.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_and_others_add_up_to_the_exact_sum() {
        let cells: Cells<AtomicU64> = Cells::new(2);
        std::thread::scope(|scope| {
            for thread in 0..6 {
                let cells = &cells;
                scope.spawn(move || {
                    if thread < 2 {
                        enter_worker(thread);
                    }
                    for _ in 0..10_000 {
                        let (cell, writer) = cells.mine();
                        writer.add_f64(cell, 0.5);
                    }
                });
            }
        });
        let shares: Vec<f64> = cells.all().map(f64_of).collect();
        assert_eq!(shares, [5_000.0, 5_000.0, 20_000.0]);
    }
}
