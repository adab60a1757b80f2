//! One series of a plugin's metrics: what it counts, and how it is read.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use swapgate_plugin::HostError;
use swapgate_plugin::metric::{BOUNDS, Declaration, Kind};

use super::cell::{Cells, f64_of};

/// A series. Workers count in cells of their own; a gauge, which can also be set, has one for all.
#[derive(Debug)]
pub struct Series {
    pub(super) declared: Declaration,
    /// How many images declared it and are not unloaded. Changed under the lock of the book only.
    pub(super) holders: AtomicUsize,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    Counter(Cells<AtomicU64>),
    Gauge(AtomicU64),
    Histogram(Cells<Buckets>),
}

/// What one worker saw of a histogram. One place more than there are bounds, for what is above all of them.
#[derive(Debug)]
struct Buckets {
    sum: AtomicU64,
    counts: [AtomicU64; BOUNDS + 1],
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            sum: AtomicU64::new(0),
            counts: [const { AtomicU64::new(0) }; BOUNDS + 1],
        }
    }
}

/// What a series stands at.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// A count or a level.
    Number(f64),
    /// Observations.
    Histogram {
        /// The sum of all of them.
        sum: f64,
        /// How many there were.
        count: u64,
        /// How many were at most as large as each bound.
        buckets: Vec<(f64, u64)>,
    },
}

impl Series {
    pub(super) fn new(declared: Declaration, workers: usize) -> Self {
        let numbers = match declared.kind {
            Kind::Counter => Numbers::Counter(Cells::new(workers)),
            Kind::Gauge => Numbers::Gauge(AtomicU64::default()),
            Kind::Histogram => Numbers::Histogram(Cells::new(workers)),
        };
        Self {
            declared,
            holders: AtomicUsize::new(0),
            numbers,
        }
    }

    /// Adds to a counter or a gauge.
    ///
    /// # Errors
    /// A histogram, or a number that does not fit.
    pub fn add(&self, value: f64) -> Result<(), HostError> {
        self.declared.kind.check_add(value)?;
        match &self.numbers {
            Numbers::Counter(cells) => {
                let (cell, writer) = cells.mine();
                writer.add_f64(cell, value);
            }
            Numbers::Gauge(cell) => super::cell::Writer::OneOfMany.add_f64(cell, value),
            Numbers::Histogram(_) => return Err(HostError::Invalid),
        }
        Ok(())
    }

    /// Sets a gauge.
    ///
    /// # Errors
    /// No gauge, or no finite number.
    pub fn set(&self, value: f64) -> Result<(), HostError> {
        match &self.numbers {
            Numbers::Gauge(cell) if value.is_finite() => {
                cell.store(value.to_bits(), Ordering::Relaxed);
                Ok(())
            }
            _ => Err(HostError::Invalid),
        }
    }

    /// Counts an observation of a histogram.
    ///
    /// # Errors
    /// No histogram, or no finite number.
    pub fn observe(&self, value: f64) -> Result<(), HostError> {
        let Numbers::Histogram(cells) = &self.numbers else {
            return Err(HostError::Invalid);
        };
        if !value.is_finite() {
            return Err(HostError::Invalid);
        }
        let (buckets, writer) = cells.mine();
        let bounds = &self.declared.bounds;
        let place = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = buckets.counts.get(place) {
            writer.add(count, 1);
        }
        writer.add_f64(&buckets.sum, value);
        Ok(())
    }

    /// What it stands at, over all workers.
    #[must_use]
    pub fn read(&self) -> Reading {
        match &self.numbers {
            Numbers::Counter(cells) => Reading::Number(cells.all().map(f64_of).sum()),
            Numbers::Gauge(cell) => Reading::Number(f64_of(cell)),
            Numbers::Histogram(cells) => {
                let sum = cells.all().map(|buckets| f64_of(&buckets.sum)).sum();
                let mut count = 0_u64;
                let mut up_to = |place: usize| {
                    let at_place = cells.all().filter_map(|buckets| buckets.counts.get(place));
                    count += at_place
                        .map(|count| count.load(Ordering::Relaxed))
                        .sum::<u64>();
                    count
                };
                let bounds = self.declared.bounds.iter().enumerate();
                let buckets = bounds
                    .map(|(place, bound)| (*bound, up_to(place)))
                    .collect();
                let count = up_to(self.declared.bounds.len());
                Reading::Histogram {
                    sum,
                    count,
                    buckets,
                }
            }
        }
    }
}
