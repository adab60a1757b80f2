//! What this process counts and keeps for as long as it lives, one of each. Control and admin hold it; workers get the parts
//! they write to with a snapshot.
//!
//! It stands above the rooms it holds something of, so that none of them has to know another for the sake of it.

use std::sync::{Arc, OnceLock};

use crate::admission::Admission;
use crate::health::Register;
use crate::metrics::book::Book;
use crate::metrics::{event, route, traffic};
use crate::ops::kv;

/// Everything that is counted in this process.
pub struct Metrics {
    /// How many workers count.
    pub workers: usize,
    /// Exchanges, by route.
    pub routes: route::Accounts,
    /// Connections and attempts.
    pub traffic: traffic::Traffic,
    /// Which targets can be used.
    pub health: Register,
    /// Who was let in.
    pub admission: Arc<Admission>,
    /// What control did.
    pub events: Arc<event::Events>,
    /// What plugins count.
    pub book: Arc<Book>,
    /// What plugins keep; set once by whoever makes it.
    pub kv: OnceLock<Arc<kv::Store>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            workers,
            routes: route::Accounts::new(workers),
            traffic: traffic::Traffic::default(),
            health: Register::default(),
            admission: Arc::default(),
            events: Arc::default(),
            book: Book::new(workers),
            kv: OnceLock::new(),
        })
    }
}
