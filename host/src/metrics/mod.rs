//! What the gateway counts, and how it is shown.
//!
//! Workers count, and do it without sharing anything they write; control and the admin listener read. What is counted by
//! route, listener or target is attached to the snapshot or the socket that a worker is given, so nothing is looked up.
//!
//! - [`cell`]: numbers that workers write without getting in one another's way; [`tally`]: those that a label tells apart;
//! - [`route`]: exchanges, by route; [`traffic`]: connections and attempts; [`mod@handshake`]: TLS;
//!   [`proxy`]: PROXY headers; [`retries`]: requests that were sent again; [`mirror`]: copies of requests;
//!   [`event`]: what control did;
//! - [`book`], [`series`]: the metrics that plugins declare through the contract;
//! - [`names`]: every metric of the gateway's own; [`page`]: the text that is shown; [`process`]: what the system says.
//!
//! What is absent here: the configuration, sockets, plugins. Others bring their figures to the [`page`].

pub mod book;
pub mod cell;
pub mod event;
pub mod handshake;
pub mod mirror;
pub mod names;
pub mod page;
pub mod process;
pub mod proxy;
pub mod retries;
pub mod route;
pub mod series;
pub mod tally;
pub mod traffic;

use std::sync::{Arc, OnceLock};

use book::Book;

use crate::admission::Admission;
use crate::ops::kv;

/// Everything that is counted in this process.
pub struct Metrics {
    /// How many workers count.
    pub workers: usize,
    /// Exchanges, by route.
    pub routes: route::Accounts,
    /// Connections and attempts.
    pub traffic: traffic::Traffic,
    /// Who was let in.
    pub admission: Arc<Admission>,
    /// What control did.
    pub events: event::Events,
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
            admission: Arc::default(),
            events: event::Events::default(),
            book: Book::new(workers),
            kv: OnceLock::new(),
        })
    }
}
