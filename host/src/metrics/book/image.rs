//! The metrics of one image: what it declared, and the tokens by which it counts.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use swapgate_plugin::HostError;
use swapgate_plugin::metric::{Declaration, SERIES};

use super::{Book, Family, ending, forget_left, is_held};
use crate::metrics::names;
use crate::metrics::series::Series;

/// What every metric of a plugin begins with; its id follows.
const PREFIX: &str = "swapgate_plugin_";

/// The series of one image, found by their tokens.
///
/// A token is the image's number, which of its lives it is in, and a place: so a token of another image, or from before
/// an `unload`, is told from a good one without a lock.
#[derive(Debug)]
pub struct ImageMetrics {
    book: Arc<Book>,
    plugin: String,
    number: u32,
    life: AtomicU32,
    places: OnceLock<Box<[Place]>>,
}

/// Filled once and for all, so that counting needs no lock. A plugin may use a token until its `unload` has returned, and
/// a thread of it that does not know of that may still look later; so no place is given to another series.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) series: OnceLock<Arc<Series>>,
    /// Whether this image is one of its holders. Changed under the lock of the book only.
    held: AtomicBool,
}

impl ImageMetrics {
    /// The metrics of an image of that plugin.
    #[must_use]
    pub fn new(book: &Arc<Book>, plugin: &str) -> Self {
        Self {
            number: book.images.fetch_add(1, Ordering::Relaxed),
            book: Arc::clone(book),
            plugin: plugin.to_owned(),
            life: AtomicU32::new(0),
            places: OnceLock::new(),
        }
    }

    /// Declares a series; the token of one that is there already.
    ///
    /// # Errors
    /// The name is taken for something else, or there are too many.
    pub fn declare(&self, declared: Declaration) -> Result<u64, HostError> {
        let name = whole_name(&self.plugin, &declared);
        if names::is_own(&format!("{name}{}", ending(declared.kind))) {
            return Err(HostError::Invalid);
        }
        let mut families = self.book.lock();
        let family = families.get(&name);
        let known = match family {
            None => None,
            Some(family) => family.find(&self.plugin, &declared)?,
        };
        let (place, series) = match known {
            Some(series) => (self.place_of(&series)?, series),
            None => self.place_for(declared)?,
        };
        if let Some(family) = families.get_mut(&name)
            && !family.series.iter().any(|known| is_held(known))
        {
            // Left over by images that are gone, and perhaps not alike.
            family.series.retain(|known| Arc::ptr_eq(known, &series));
            family.plugin.clone_from(&self.plugin);
        }
        let family = families.entry(name).or_insert_with(|| Family {
            plugin: self.plugin.clone(),
            series: Vec::new(),
        });
        if !family
            .series
            .iter()
            .any(|known| Arc::ptr_eq(known, &series))
        {
            family.series.push(Arc::clone(&series));
        }
        let places = self.places();
        if let Some(place) = places.get(place)
            && !place.held.swap(true, Ordering::Relaxed)
        {
            series.holders.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self.token(place))
    }

    /// The series of a token.
    ///
    /// # Errors
    /// It is not a token of this image, or from before its `unload`.
    pub fn find(&self, token: u64) -> Result<&Series, HostError> {
        let place = (token & 0xffff) as usize;
        if self.token(place) != token {
            return Err(HostError::Stale);
        }
        let place = self.places.get().and_then(|places| places.get(place));
        let series = place.and_then(|place| place.series.get());
        series.map(|series| &**series).ok_or(HostError::Stale)
    }

    /// The image was unloaded: it holds nothing any more, and its tokens are stale.
    pub fn end_life(&self) {
        let mut families = self.book.lock();
        self.life.fetch_add(1, Ordering::Relaxed);
        let places = self.places.get().into_iter().flatten();
        let mut held = places
            .filter(|place| place.held.swap(false, Ordering::Relaxed))
            .filter_map(|place| place.series.get())
            .peekable();
        if held.peek().is_some() {
            // What earlier images left over; without a scrape nothing else would end it.
            forget_left(&mut families);
        }
        for series in held {
            series.holders.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn places(&self) -> &[Place] {
        self.places
            .get_or_init(|| (0..SERIES).map(|_| Place::default()).collect())
    }

    /// Never 0, because images are numbered from 1.
    fn token(&self, place: usize) -> u64 {
        let life = self.life.load(Ordering::Relaxed) & 0xffff;
        (u64::from(self.number) << 32) | (u64::from(life) << 16) | place as u64
    }

    /// Where a series stands in this image, or a free place that it takes.
    fn place_of(&self, series: &Arc<Series>) -> Result<usize, HostError> {
        let places = self.places();
        let here =
            |place: &Place| matches!(place.series.get(), Some(known) if Arc::ptr_eq(known, series));
        if let Some(place) = places.iter().position(here) {
            return Ok(place);
        }
        let free = places
            .iter()
            .position(|place| place.series.get().is_none())
            .ok_or(HostError::TooLarge)?;
        if let Some(place) = places.get(free) {
            // Only under the lock of the book, so nobody else has filled it meanwhile.
            let _ = place.series.set(Arc::clone(series));
        }
        Ok(free)
    }

    /// A place with a series that was declared like this in an earlier life of this image, or a new one.
    fn place_for(&self, declared: Declaration) -> Result<(usize, Arc<Series>), HostError> {
        let same = |series: &&Arc<Series>| {
            series.declared.name == declared.name
                && series.declared.labels == declared.labels
                && series.declared.fits(&declared)
        };
        let earlier = self.places().iter().filter_map(|place| place.series.get());
        let series = match earlier.into_iter().find(same) {
            Some(series) => Arc::clone(series),
            None => Arc::new(Series::new(declared, self.book.workers)),
        };
        Ok((self.place_of(&series)?, series))
    }
}

impl Drop for ImageMetrics {
    fn drop(&mut self) {
        self.end_life();
    }
}

/// The name of a plugin's metric. What it is shown with may follow; a name is one metric, whatever follows.
fn whole_name(plugin: &str, declared: &Declaration) -> String {
    let plugin = plugin.replace('-', "_");
    format!("{PREFIX}{plugin}_{}", declared.name)
}
