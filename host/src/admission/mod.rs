//! Who is let in: what is exact over the whole process and outlives reloads. Workers ask, control sets the numbers.
//!
//! - [`gate`]: how many requests an upstream or a route gets at once, and who waits for that;
//! - [`refusal`]: why somebody is not let in.
//!
//! What is absent here: sockets, the clock (time comes as an argument), and the answers that those get who are refused.

pub mod gate;
pub mod refusal;

use std::sync::Arc;

use gate::Gate;

use crate::config::ready::Concurrency;
use crate::metrics::names;
use crate::metrics::page::{Family, Page};
use crate::metrics::traffic::Shelf;

/// What is known in the whole process, by the names of the configuration.
#[derive(Debug, Default)]
pub struct Admission {
    /// Of upstreams.
    pub upstreams: Shelf<Arc<str>, Gate>,
    /// Of routes.
    pub routes: Shelf<Arc<str>, Gate>,
}

/// A gate, and what it is to admit once the snapshot that says so is in force.
#[derive(Debug, Clone)]
pub struct Limit {
    /// The one of that name, whatever generation asks.
    pub gate: Arc<Gate>,
    /// What it is to admit.
    pub concurrency: Concurrency,
}

impl Limit {
    /// The limit of that name.
    pub fn of(
        gates: &Shelf<Arc<str>, Gate>,
        name: &Arc<str>,
        concurrency: Option<Concurrency>,
    ) -> Option<Self> {
        let concurrency = concurrency?;
        let gate = gates.get(name, || Gate::new(Arc::clone(name), concurrency));
        Some(Self { gate, concurrency })
    }

    /// From now on it holds.
    pub fn enforce(&self) {
        self.gate.set(self.concurrency);
    }
}

impl Admission {
    /// Shows all of it.
    pub fn show(&self, page: &mut Page) {
        let mut running = Family::of(&names::UPSTREAM_REQUESTS);
        let mut waiting = Family::of(&names::UPSTREAM_WAITING);
        let mut refused = Family::of(&names::UPSTREAM_REFUSED);
        self.upstreams.each(|name, gate| {
            let figures = gate.figures();
            running.count(&[name], figures.in_flight);
            waiting.count(&[name], figures.waiting);
            refused.count(&[name, "full"], figures.full);
            refused.count(&[name, "late"], figures.late);
        });
        for family in [running, waiting, refused] {
            page.add(family);
        }
        let mut running = Family::of(&names::ROUTE_REQUESTS);
        let mut waiting = Family::of(&names::ROUTE_WAITING);
        let mut refused = Family::of(&names::ROUTE_REFUSED);
        self.routes.each(|name, gate| {
            let figures = gate.figures();
            running.count(&[name], figures.in_flight);
            waiting.count(&[name], figures.waiting);
            refused.count(&[name, "full"], figures.full);
            refused.count(&[name, "late"], figures.late);
        });
        for family in [running, waiting, refused] {
            page.add(family);
        }
    }
}
