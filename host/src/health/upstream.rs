//! What the targets of one upstream have in common: how many of them are ejected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// What the targets of one upstream have in common.
#[derive(Debug, Default)]
pub struct UpstreamHealth {
    /// Its name.
    pub(super) name: Arc<str>,
    ejected: AtomicUsize,
    /// Wakes control, which looks when they return.
    pub(super) bell: Arc<Notify>,
}

/// One of the ejected targets, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<UpstreamHealth>);

impl UpstreamHealth {
    /// None is ejected.
    pub(super) fn new(name: Arc<str>, bell: Arc<Notify>) -> Self {
        Self {
            name,
            ejected: AtomicUsize::new(0),
            bell,
        }
    }

    /// Whether no other one may be ejected. It may change at once: [`Self::place`] decides.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.ejected.load(Ordering::Relaxed) >= limit
    }

    /// A place among those that are ejected, if there is one.
    pub(super) fn place(self: &Arc<Self>, limit: usize) -> Option<Place> {
        let ejected = &self.ejected;
        ejected
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < limit).then_some(count + 1)
            })
            .ok()?;
        Some(Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.ejected.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let upstream = Arc::<UpstreamHealth>::default();
        let one = upstream.place(1).expect("the first");
        assert!(upstream.is_full(1));
        assert!(upstream.place(1).is_none());
        drop(one);
        assert!(upstream.place(1).is_some());
    }
}
