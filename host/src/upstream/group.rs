//! A group of targets, on one worker.

use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;

use super::attempt::Attempting;
use super::balance::level::Tiers;
use super::balance::sticky::Names;
use super::balance::{Facts as _, Field, Seat, Seated, Tried, View, Way, Wish};
use super::pool::Pool;
use super::retry::budget::Budget;
use super::target::{Target, Upstream};
use crate::admission::gate::Door;
use crate::endpoint::Endpoint;
use crate::health::outcome::Fault;
use crate::metrics::retries::Retried;
use crate::metrics::traffic::Attempt;

/// A group of targets, on one worker.
#[derive(Debug)]
pub struct Group {
    /// What all workers know of it. Its targets are those of `pools`, in the same order.
    pub upstream: Arc<Upstream>,
    /// The connections to each target; empty while its names lead nowhere.
    pools: Vec<Rc<Pool>>,
    /// What this worker knows of each target.
    seats: Vec<Rc<Seat>>,
    /// How many requests it gets at once.
    pub door: Option<Rc<Door>>,
    /// What this worker may spend on retries.
    pub(super) budget: Rc<Budget>,
    /// How one is chosen, and where that stands.
    way: Rc<Way>,
    tiers: Tiers,
    /// Empty where clients are not kept at their targets.
    names: Names,
}

impl Group {
    /// A group with a pool for each target of the upstream. What the worker knew of a target of `before`, the same upstream
    /// until now, it still knows.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>, pools: Vec<Rc<Pool>>, before: Option<&Self>) -> Self {
        let targets = &upstream.targets;
        let seats = targets.iter().map(|target| {
            let known = before.and_then(|before| before.seat_of(target));
            known.unwrap_or_default()
        });
        // Where it is the same choice as before it goes on where it was, and does not begin with the first target again.
        let way = before.filter(|before| before.chooses_like(&upstream));
        let weights = || targets.iter().map(|target| target.weight);
        let named = targets.iter().filter(|_| upstream.balance.sticky.is_some());
        Self {
            seats: seats.collect(),
            door: upstream.limit.as_ref().map(|limit| Door::new(&limit.gate)),
            budget: before.map_or_else(Rc::default, |before| Rc::clone(&before.budget)),
            way: way.map_or_else(
                || Rc::new(Way::new(upstream.balance.algorithm, weights())),
                |before| Rc::clone(&before.way),
            ),
            tiers: Tiers::new(
                targets.iter().map(|target| target.priority),
                upstream.balance.panic,
            ),
            names: Names::new(&upstream.name, named.map(|target| &target.address)),
            upstream,
            pools,
        }
    }

    /// The connections to each target.
    #[must_use]
    pub fn pools(&self) -> &[Rc<Pool>] {
        &self.pools
    }

    /// Lets go of unused connections to targets out of rotation. Nobody may be left at the other end, without a word: who
    /// comes back is connected to anew.
    pub fn let_go(&self) {
        let targets = self.upstream.targets.iter().zip(&self.pools);
        targets
            .filter(|(target, _)| !target.account.health.is_in_rotation())
            .for_each(|(_, pool)| pool.let_go());
    }

    /// Chooses a target that was not tried: one in rotation, as long as there is one.
    #[must_use]
    pub fn pick(&self, wish: Wish, tried: &Tried) -> Option<usize> {
        if let Some(only) = wish.only {
            return (!tried.has(only)).then_some(only);
        }
        if self.pools.len() < 2 {
            return (!self.pools.is_empty() && !tried.has(0)).then_some(0);
        }
        let view = View::new(&self.upstream, &self.seats);
        if let Some(before) = wish.before.filter(|before| !tried.has(*before))
            && view.is_in_rotation(before)
        {
            return Some(before);
        }
        self.tiers.first(&view, |level| {
            let field = Field::new(&view, tried, level);
            self.way.next(&field, wish, &self.upstream.ring)
        })
    }

    /// The names of targets in the cookie that keeps clients at them.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Which target the connections of a pool lead to.
    #[must_use]
    pub fn target_of(&self, pool: &Rc<Pool>) -> Option<usize> {
        self.pools.iter().position(|one| Rc::ptr_eq(one, pool))
    }

    /// How many targets a request may be sent to.
    #[must_use]
    pub fn choices(&self, wish: Wish) -> usize {
        match wish.only {
            Some(_) => 1,
            None => self.pools.len(),
        }
    }

    /// A request is on its way to a target.
    #[must_use]
    pub fn seat(&self, at: usize) -> Option<Seated> {
        self.seats.get(at).map(Seat::take)
    }

    /// An attempt at a target begins; [`Self::came_to`] or [`Self::answered`] says what it came to.
    #[must_use]
    pub fn attempt(&self, at: usize) -> Attempting<'_> {
        let target = self.upstream.targets.get(at);
        let seat = self.seats.get(at).filter(|_| self.way.takes_time());
        Attempting::new(
            target.map(|target| &*target.account.attempts),
            seat.map(|seat| &**seat),
        )
    }

    /// An attempt at a target failed.
    pub fn came_to(&self, at: usize, attempt: Attempting<'_>, outcome: Attempt) {
        attempt.came_to(outcome);
        if let Some(fault) = Fault::of(outcome) {
            self.failed(at, fault);
        }
    }

    /// A target answered, whatever it says.
    pub fn answered(&self, at: usize, attempt: Attempting<'_>, status: StatusCode) {
        // One that answers only errors, which takes no time, must not look like the quickest.
        attempt.answered(!status.is_server_error());
        let Some(passive) = &self.upstream.health.passive else {
            return;
        };
        match Fault::of_status(passive, status) {
            Some(fault) => self.failed(at, fault),
            None => {
                if let Some(target) = self.upstream.targets.get(at) {
                    target.account.health.succeeded();
                }
            }
        }
    }

    fn failed(&self, at: usize, fault: Fault) {
        let passive = self.upstream.health.passive.as_ref();
        if let (Some(passive), Some(target)) = (passive, self.upstream.targets.get(at)) {
            let health = &target.account.health;
            health.failed(passive, self.upstream.targets.len(), fault);
        }
    }

    /// Where retries are counted that follow from what a target did.
    pub(super) fn retried(&self, at: usize) -> Option<&Retried> {
        let target = self.upstream.targets.get(at);
        target.map(|target| &*target.account.retried)
    }

    /// Whether targets were chosen here just as they are in another generation of the upstream.
    fn chooses_like(&self, other: &Upstream) -> bool {
        fn weights(upstream: &Upstream) -> impl Iterator<Item = (&Endpoint, u32)> {
            let targets = upstream.targets.iter();
            targets.map(|target| (&target.address, target.weight))
        }
        self.upstream.balance.algorithm == other.balance.algorithm
            && weights(&self.upstream).eq(weights(other))
    }

    fn seat_of(&self, target: &Target) -> Option<Rc<Seat>> {
        let mut targets = self.upstream.targets.iter();
        let at = targets.position(|one| one.address == target.address)?;
        self.seats.get(at).map(Rc::clone)
    }
}
