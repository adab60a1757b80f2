//! Latencies in bounded memory, so that a soak of hours costs what a round of seconds does.

/// Below this many microseconds every value has a bucket of its own.
const EXACT: u64 = 1024;
/// Above, each doubling is cut into this many buckets: an error of at most 0.4 %.
const CUTS: u64 = 256;

/// Counts by microseconds.
#[derive(Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; bucket_of(u64::from(u32::MAX)) + 1],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts one value; more than an hour counts as an hour.
    pub fn add(&mut self, microseconds: u64) {
        self.buckets[bucket_of(microseconds.min(u64::from(u32::MAX)))] += 1;
        self.total += 1;
    }

    /// The value that `share` (0.0 to 1.0) of all values do not exceed; 0 when there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen > 0 && seen as f64 >= share * self.total as f64
        });
        found.map_or(0, lower_end)
    }
}

fn bucket_of(value: u64) -> usize {
    let bucket = if value < EXACT {
        value
    } else {
        let doublings = u64::from(value.ilog2()) - 10;
        EXACT + doublings * CUTS + (value >> (doublings + 2)) - CUTS
    };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

fn lower_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let doublings = (bucket - EXACT) / CUTS;
    ((bucket - EXACT) % CUTS + CUTS) << (doublings + 2)
}

#[cfg(test)]
mod tests {
    use super::{Histogram, bucket_of, lower_end};

    #[test]
    fn buckets_are_narrow_and_in_order() {
        for value in [
            0,
            1,
            1023,
            1024,
            1027,
            1028,
            2047,
            2048,
            70_000,
            u64::from(u32::MAX),
        ] {
            let low = lower_end(bucket_of(value));
            assert!(
                low <= value && value - low <= value / 256,
                "{value} counted as {low}"
            );
        }
        assert_eq!(bucket_of(1023) + 1, bucket_of(1024));
        assert_eq!(bucket_of(2047) + 1, bucket_of(2048));
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        (1..=100).for_each(|value| histogram.add(value));
        assert_eq!(
            (histogram.quantile(0.5), histogram.quantile(0.99)),
            (50, 99)
        );
    }
}
