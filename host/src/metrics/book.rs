//! The metrics that plugins declare: which there are, and who holds them.
//!
//! The book lies outside of images, so a series outlives a swap. An image holds what it declared until it is unloaded; a
//! series that no image holds is shown once more and then dropped; where nobody scrapes, it is dropped when the next image
//! is unloaded. So the number of series stays bounded by the images that are there. The lock is taken by declarations and scrapes; counting goes through [`ImageMetrics`], which has none.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use swapgate_plugin::HostError;
use swapgate_plugin::metric::{Declaration, Kind, SERIES};

use super::names;
use super::series::{Reading, Series};

/// What every metric of a plugin begins with; its id follows.
const PREFIX: &str = "swapgate_plugin_";

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

/// The name of a plugin's metric. What it is shown with may follow; a name is one metric, whatever follows.
fn whole_name(plugin: &str, declared: &Declaration) -> String {
    let plugin = plugin.replace('-', "_");
    format!("{PREFIX}{plugin}_{}", declared.name)
}

/// What a metric of this kind is shown with behind its name.
fn ending(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "_total",
        Kind::Gauge | Kind::Histogram => "",
    }
}

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
struct Place {
    series: OnceLock<Arc<Series>>,
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

    fn places(&self) -> &[Place] {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn declaration(kind: Kind, name: &str, label: &str) -> Declaration {
        Declaration {
            kind,
            name: name.to_owned(),
            help: "What it means.".to_owned(),
            labels: vec![("by".to_owned(), label.to_owned())],
            bounds: match kind {
                Kind::Histogram => vec![0.1, 1.0],
                _ => Vec::new(),
            },
        }
    }

    fn counter(label: &str) -> Declaration {
        declaration(Kind::Counter, "hits", label)
    }

    /// The name and the numbers of everything in the book.
    fn numbers(book: &Book) -> Vec<(String, Vec<Reading>)> {
        let shown = book.scrape().into_iter();
        shown
            .map(|shown| {
                let readings = shown.series.into_iter().map(|(_, reading)| reading);
                (shown.name, readings.collect())
            })
            .collect()
    }

    #[test]
    fn a_count_survives_a_swap_and_ends_with_the_last_image() {
        let book = Book::new(1);
        let (old, new) = (
            ImageMetrics::new(&book, "a-b"),
            ImageMetrics::new(&book, "a-b"),
        );
        let token = old.declare(counter("key")).unwrap();
        old.find(token).unwrap().add(2.0).unwrap();
        assert_eq!(old.declare(counter("key")), Ok(token), "another instance");
        let next = new.declare(counter("key")).unwrap();
        old.end_life();
        assert_eq!(old.find(token).map(drop), Err(HostError::Stale));
        new.find(next).unwrap().add(1.0).unwrap();
        let hits = |number| {
            vec![(
                "swapgate_plugin_a_b_hits_total".to_owned(),
                vec![Reading::Number(number)],
            )]
        };
        assert_eq!(numbers(&book), hits(3.0));
        drop(new);
        assert_eq!(numbers(&book), hits(3.0), "shown for the last time");
        assert!(book.is_empty());
        let again = old.declare(counter("key")).unwrap();
        assert_ne!(again, token);
        assert_eq!(numbers(&book), hits(3.0), "the image still knew it");
    }

    #[test]
    fn what_images_leave_over_does_not_pile_up_without_a_scrape() {
        let book = Book::new(0);
        for version in 0..100 {
            let image = ImageMetrics::new(&book, "a");
            let declared = declaration(Kind::Counter, &format!("hits_{version}"), "key");
            image.declare(declared).unwrap();
            image.end_life();
            drop(image);
            assert_eq!(book.len(), 1, "what was left last waits for a scrape");
        }
    }

    #[test]
    fn an_image_that_comes_back_again_and_again_needs_no_more_places() {
        let book = Book::new(0);
        let image = ImageMetrics::new(&book, "a");
        for _ in 0..3 * SERIES {
            let token = image.declare(counter("key")).unwrap();
            image.find(token).unwrap().add(1.0).unwrap();
            image.end_life();
            drop(book.scrape());
        }
        assert_eq!(
            image
                .places()
                .iter()
                .filter(|place| place.series.get().is_some())
                .count(),
            1
        );
    }

    #[test]
    fn a_name_keeps_its_meaning_while_somebody_holds_it() {
        let book = Book::new(0);
        let (one, other) = (ImageMetrics::new(&book, "a"), ImageMetrics::new(&book, "a"));
        one.declare(declaration(Kind::Gauge, "level", "x")).unwrap();
        let histogram = declaration(Kind::Histogram, "level", "x");
        assert_eq!(other.declare(histogram.clone()), Err(HostError::Invalid));
        let mut renamed = declaration(Kind::Gauge, "level", "x");
        renamed.labels[0].0 = "of".to_owned();
        assert_eq!(other.declare(renamed), Err(HostError::Invalid));
        one.end_life();
        other.declare(histogram).unwrap();
        assert_eq!(book.scrape()[0].kind, Kind::Histogram);
        let sampled = ImageMetrics::new(&book, "sampled");
        let own = declaration(Kind::Counter, "seconds", "x");
        assert_eq!(sampled.declare(own), Err(HostError::Invalid));
        // Two plugins whose names would be shown as one.
        let (long, short) = (
            ImageMetrics::new(&book, "b-c"),
            ImageMetrics::new(&book, "b"),
        );
        long.declare(declaration(Kind::Gauge, "d", "x")).unwrap();
        let clash = declaration(Kind::Gauge, "c_d", "x");
        assert_eq!(short.declare(clash), Err(HostError::Invalid));
    }

    #[test]
    fn an_image_may_declare_so_many_series_and_no_more() {
        let book = Book::new(0);
        let image = ImageMetrics::new(&book, "a");
        for number in 0..SERIES {
            image.declare(counter(&number.to_string())).unwrap();
        }
        assert_eq!(image.declare(counter("more")), Err(HostError::TooLarge));
        assert_eq!(book.len(), SERIES);
        image.end_life();
        let more = image.declare(counter("more"));
        assert_eq!(more, Err(HostError::TooLarge), "no place is given back");
        image.declare(counter("0")).unwrap();
    }

    #[test]
    fn a_token_of_another_image_harms_nobody() {
        let book = Book::new(0);
        let (one, other) = (ImageMetrics::new(&book, "a"), ImageMetrics::new(&book, "b"));
        let token = one.declare(counter("key")).unwrap();
        for token in [token, 0, token + 1, u64::MAX] {
            assert_eq!(other.find(token).map(drop), Err(HostError::Stale));
        }
    }

    #[test]
    fn observations_are_counted_under_their_bounds() {
        let book = Book::new(0);
        let image = ImageMetrics::new(&book, "a");
        let token = image
            .declare(declaration(Kind::Histogram, "wait_seconds", "x"))
            .unwrap();
        let series = image.find(token).unwrap();
        for value in [0.1, 0.05, 1.0, 7.0, -1.0] {
            series.observe(value).unwrap();
        }
        assert_eq!(series.add(1.0), Err(HostError::Invalid));
        assert_eq!(series.observe(f64::NAN), Err(HostError::Invalid));
        let Reading::Histogram {
            sum,
            count,
            buckets,
        } = series.read()
        else {
            panic!("no histogram")
        };
        assert!((sum - 7.15).abs() < 1e-9);
        assert_eq!((count, buckets), (5, vec![(0.1, 3), (1.0, 4)]));
    }
}
