//! The metrics that plugins declare: which there are, and who holds them.
//!
//! The book lies outside of images, so a series outlives a swap. An image holds what it declared until it is unloaded; a
//! series that no image holds is shown once more and then dropped; where nobody scrapes, it is dropped when the next image
//! is unloaded. So the number of series stays bounded by the images that are there. The lock is taken by declarations and
//! scrapes; counting goes through [`ImageMetrics`], which has none.

mod image;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swapgate_plugin::HostError;
use swapgate_plugin::metric::{Declaration, Kind};

pub use self::image::ImageMetrics;
use super::series::{Reading, Series};

/// All series of all plugins.
#[derive(Debug)]
pub struct Book {
    workers: usize,
    images: AtomicU32,
    families: Mutex<BTreeMap<String, Family>>,
}

/// The series of one name.
#[derive(Debug)]
struct Family {
    plugin: String,
    series: Vec<Arc<Series>>,
}

/// One name, as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The whole name.
    pub name: String,
    /// What it means.
    pub help: String,
    /// What it is.
    pub kind: Kind,
    /// Labels and what they stand at.
    pub series: Vec<(Vec<(String, String)>, Reading)>,
}

impl Book {
    /// An empty book, for counts of that many workers.
    #[must_use]
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            workers,
            images: AtomicU32::new(1),
            families: Mutex::default(),
        })
    }

    /// Everything there is. What nobody holds any more is in it for the last time.
    #[must_use]
    pub fn scrape(&self) -> Vec<Shown> {
        let mut families = self.lock();
        let shown = families
            .iter()
            .filter_map(|(name, family)| {
                let first = &family.series.first()?.declared;
                Some(Shown {
                    name: format!("{name}{}", ending(first.kind)),
                    help: first.help.clone(),
                    kind: first.kind,
                    series: family
                        .series
                        .iter()
                        .map(|series| (series.declared.labels.clone(), series.read()))
                        .collect(),
                })
            })
            .collect();
        forget_left(&mut families);
        shown
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let families = self.lock();
        families.values().map(|family| family.series.len()).sum()
    }

    /// Whether no plugin counts anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Family {
    /// The series with these labels.
    fn find(&self, plugin: &str, declared: &Declaration) -> Result<Option<Arc<Series>>, HostError> {
        for series in self.series.iter().filter(|series| is_held(series)) {
            if self.plugin != plugin || !series.declared.fits(declared) {
                return Err(HostError::Invalid);
            }
        }
        let same = |series: &&Arc<Series>| {
            series.declared.labels == declared.labels && series.declared.fits(declared)
        };
        let found = self
            .series
            .iter()
            .find(same)
            .filter(|_| self.plugin == plugin);
        Ok(found.cloned())
    }
}

/// Drops the series that no image holds.
fn forget_left(families: &mut BTreeMap<String, Family>) {
    families.retain(|_, family| {
        family.series.retain(|series| is_held(series));
        !family.series.is_empty()
    });
}

fn is_held(series: &Series) -> bool {
    series.holders.load(Ordering::Relaxed) > 0
}

/// What a metric of this kind is shown with behind its name.
fn ending(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "_total",
        Kind::Gauge | Kind::Histogram => "",
    }
}

#[cfg(test)]
mod tests;
