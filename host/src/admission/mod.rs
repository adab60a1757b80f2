//! Who is let in: what is exact over the whole process and outlives reloads. Workers ask, control sets the numbers.
//!
//! - [`gate`]: how many requests an upstream or a route gets at once, and who waits for that;
//! - [`breaker`]: when an upstream that fails is left alone, by what it did in the last while (`window`);
//! - [`overload`]: what the whole process takes; [`addresses`]: how many connections each client address has;
//! - [`refusal`]: why somebody is not let in.
//!
//! What is absent here: sockets, and the answers that those get who are refused. Time comes as an argument; only what is shown
//! reads the clock.

pub mod addresses;
pub mod breaker;
pub mod gate;
pub mod overload;
pub mod refusal;
mod window;

use std::sync::Arc;

use addresses::Addresses;
use breaker::{Breaker, STATES};
use gate::Gate;
use overload::Overload;
use refusal::Reason;

use crate::config::ready::{Concurrency, UpstreamBreaker};
use crate::health::clock::now_ms;
use crate::metrics::names;
use crate::metrics::page::{Family, Page};
use crate::metrics::traffic::Shelf;
use crate::refused::Kept;

/// What is known in the whole process, by the names of the configuration.
#[derive(Debug, Default)]
pub struct Admission {
    /// Of upstreams.
    pub upstreams: Shelf<Arc<str>, Gate>,
    /// Of routes.
    pub routes: Shelf<Arc<str>, Gate>,
    /// Of upstreams.
    pub breakers: Shelf<Arc<str>, Breaker>,
    /// Of the process.
    pub overload: Overload,
    /// Of client addresses.
    pub addresses: Arc<Addresses>,
    /// What was refused because of what it is.
    pub refused: Kept,
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

/// A breaker, and what it is to go by once the snapshot that says so is in force.
#[derive(Debug, Clone)]
pub struct Fuse {
    /// The one of that name, whatever generation asks.
    pub breaker: Arc<Breaker>,
    /// What it is to go by.
    pub settings: UpstreamBreaker,
}

impl Fuse {
    /// The breaker of that name.
    pub fn of(
        breakers: &Shelf<Arc<str>, Breaker>,
        name: &Arc<str>,
        workers: usize,
        settings: Option<&UpstreamBreaker>,
    ) -> Option<Self> {
        let settings = settings?.clone();
        let make = || Breaker::new(Arc::clone(name), workers, &settings);
        let breaker = breakers.get(name, make);
        Some(Self { breaker, settings })
    }

    /// From now on it goes by that.
    pub fn enforce(&self) {
        self.breaker.set(&self.settings);
    }
}

impl Admission {
    /// Shows all of it.
    pub fn show(&self, page: &mut Page) {
        let mut shed = Family::of(&names::SHED);
        for reason in Reason::ALL {
            shed.count(&[reason.name()], self.overload.shed(reason));
        }
        page.add(shed);
        self.refused.show(page);
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
        let mut states = Family::of(&names::UPSTREAM_BREAKER);
        let mut transitions = Family::of(&names::BREAKER_TRANSITIONS);
        let now = now_ms();
        self.breakers.each(|name, breaker| {
            let figures = breaker.figures(now);
            refused.count(&[name, "breaker"], figures.refused);
            states.count(&[name], figures.number);
            for (state, count) in STATES.iter().zip(figures.came_to) {
                transitions.count(&[name, state], count);
            }
        });
        for family in [running, waiting, refused, states, transitions] {
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
