//! What a plugin counted, in the gateway in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::metric::{Declaration, Kind, SERIES};
use crate::status::HostError;

/// One series of a plugin's metrics, as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is.
    pub kind: Kind,
    /// The name it was declared with.
    pub name: String,
    /// What it means.
    pub help: String,
    /// Names and values, in the order of the names.
    pub labels: Vec<(String, String)>,
    /// The count, the level, or the sum of all observations.
    pub value: f64,
    /// How many observations there were.
    pub count: u64,
    /// How many observations were at most as large as each bound.
    pub buckets: Vec<(f64, u64)>,
}

/// The series of one image. Locked where the real gateway is not: nobody counts fast here.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<Vec<(Declaration, Series)>>);

impl Metrics {
    pub(super) fn declare(&self, declared: Declaration) -> Result<u64, HostError> {
        let mut all = self.lock();
        let same_name = |(known, _): &&(Declaration, Series)| known.name == declared.name;
        if let Some((known, _)) = all.iter().find(same_name)
            && !known.fits(&declared)
        {
            return Err(HostError::Invalid);
        }
        let same = |(known, _): &(Declaration, Series)| {
            known.name == declared.name && known.labels == declared.labels
        };
        if let Some(index) = all.iter().position(same) {
            return Ok(token(index));
        }
        if all.len() >= SERIES {
            return Err(HostError::TooLarge);
        }
        let series = Series {
            kind: declared.kind,
            name: declared.name.clone(),
            help: declared.help.clone(),
            labels: declared.labels.clone(),
            value: 0.0,
            count: 0,
            buckets: declared.bounds.iter().map(|bound| (*bound, 0)).collect(),
        };
        all.push((declared, series));
        Ok(token(all.len() - 1))
    }

    pub(super) fn add(&self, token: u64, value: f64) -> Result<(), HostError> {
        self.with(token, |series| {
            series.kind.check_add(value)?;
            series.value += value;
            Ok(())
        })
    }

    pub(super) fn set(&self, token: u64, value: f64) -> Result<(), HostError> {
        self.with(token, |series| {
            if series.kind != Kind::Gauge || !value.is_finite() {
                return Err(HostError::Invalid);
            }
            series.value = value;
            Ok(())
        })
    }

    pub(super) fn observe(&self, token: u64, value: f64) -> Result<(), HostError> {
        self.with(token, |series| {
            if series.kind != Kind::Histogram || !value.is_finite() {
                return Err(HostError::Invalid);
            }
            series.value += value;
            series.count += 1;
            let reached = series
                .buckets
                .iter_mut()
                .filter(|(bound, _)| value <= *bound);
            reached.for_each(|(_, count)| *count += 1);
            Ok(())
        })
    }

    pub(super) fn all(&self) -> Vec<Series> {
        self.lock()
            .iter()
            .map(|(_, series)| series.clone())
            .collect()
    }

    fn with(
        &self,
        token: u64,
        run: impl FnOnce(&mut Series) -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        let index = usize::try_from(token).ok().and_then(|at| at.checked_sub(1));
        let mut all = self.lock();
        let found = index.and_then(|index| all.get_mut(index));
        run(&mut found.ok_or(HostError::Stale)?.1)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Declaration, Series)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Never 0.
fn token(index: usize) -> u64 {
    index as u64 + 1
}
