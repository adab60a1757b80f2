//! Waits that end without an answer: too long, nobody polls any more, the exchange is over, or the instance is out of it.

use std::rc::Rc;
use std::task::Waker;

use smallvec::SmallVec;
use swapgate_abi as abi;

use super::Exchange;
use super::operations::on_the_side;
use crate::chain::Link;
use crate::context::scope::Place;
use crate::context::{LANES, Lane};
use crate::plugin::ffi::event::Happened;
use crate::snapshot::Snapshot;

/// Why a wait ended without an answer.
const TOO_LONG: &str = "it waited longer than limits.plugin_wait admits";
const PANICKED: &str = "it panicked in the other lane of this exchange";

impl Exchange {
    /// The exchange is over: whatever still waits in it is told, and what runs for it ends.
    pub(in crate::exchange) fn give_up(&self, snapshot: &Snapshot) {
        if !self.known.get() {
            return;
        }
        for lane in LANES {
            let mut lanes = self.lanes.borrow_mut();
            let parked = lanes.of(lane).as_deref();
            let waits = parked.filter(|parked| parked.outcome.is_none());
            let owner = waits.map(|parked| parked.owner);
            let ended = lanes.of(lane).is_some();
            drop(lanes);
            if ended {
                self.activity().wait_ends();
            }
            let link = owner.and_then(|owner| self.link(snapshot, owner));
            if let (Some(owner), Some(link)) = (owner, link) {
                let place = Place { owner, lane };
                self.cancel(link, place, abi::SG_E_CANCELLED, snapshot);
            }
        }
        let lanes = self.lanes.take();
        let wakers = lanes
            .0
            .into_iter()
            .flatten()
            .filter_map(|parked| parked.waker);
        wakers.for_each(Waker::wake);
        self.end_operations(|_| true);
        let scope = self.context.borrow_mut().scope.take();
        drop(scope);
        let token = self.context.borrow().token;
        self.worker.forget(token);
    }

    /// Whoever polled a lane is gone, and with it the limit on whoever waits there: it is told that nobody waits for it.
    /// Not at once, because a hook may be running.
    pub(in crate::exchange) fn abandon(self: &Rc<Self>, lane: Lane) {
        if self.is_over() || self.lanes.borrow_mut().of(lane).is_none() {
            return;
        }
        let weak = Rc::downgrade(self);
        on_the_side(async move {
            if let Some(exchange) = weak.upgrade() {
                exchange.leave(lane);
            }
        });
    }

    /// The hook has waited too long: it is told that nobody waits, and counts as failed.
    pub(super) fn time_is_up(self: &Rc<Self>, lane: Lane) {
        let generation = Rc::clone(&self.generation);
        let waits = self.lanes.borrow_mut().of(lane).as_deref().map(|parked| {
            let owner = parked.owner;
            (Place { owner, lane }, parked.call)
        });
        let (Some(snapshot), Some((place, call))) = (generation.snapshot(), waits) else {
            return;
        };
        let Some(link) = self.link(snapshot, place.owner) else {
            return;
        };
        self.cancel(link, place, abi::SG_E_TIMEOUT, snapshot);
        self.settle(snapshot);
        let outcome = link.given_up(abi::SG_E_TIMEOUT, call, self.worker.worker, TOO_LONG);
        self.resolve(place, outcome);
    }

    fn leave(self: &Rc<Self>, lane: Lane) {
        let generation = Rc::clone(&self.generation);
        let Some(snapshot) = generation.snapshot() else {
            return;
        };
        let mut lanes = self.lanes.borrow_mut();
        let Some(parked) = lanes.of(lane).as_deref() else {
            return;
        };
        let waits = parked.outcome.is_none().then_some(parked.owner);
        drop(lanes);
        let link = waits.and_then(|owner| self.link(snapshot, owner));
        if let (Some(owner), Some(link)) = (waits, link) {
            let place = Place { owner, lane };
            self.cancel(link, place, abi::SG_E_CANCELLED, snapshot);
            self.settle(snapshot);
        }
        let gone = self.lanes.borrow_mut().of(lane).take();
        if gone.is_some() {
            self.activity().wait_ends();
        }
    }

    /// Tells a hook that nobody waits for it any more. Its instance is called in this lane no more.
    fn cancel(&self, link: &Link, place: Place, code: i32, snapshot: &Snapshot) {
        self.end_operations(|one| one == place);
        let _ = self.tell(link, place, &Happened::Cancel(code), snapshot);
        self.skipped.borrow_mut().add(place.owner, Some(place.lane));
        // What it began while it was told so is not wanted either.
        self.end_operations(|one| one == place);
    }

    /// An instance that panicked is told nothing more; what it waits for in the other lane fails with it.
    pub(super) fn expel(&self, snapshot: &Snapshot) {
        if self.context.borrow().scope.is_none() && self.lanes.borrow().is_empty() {
            return;
        }
        let out: SmallVec<[usize; 2]> = self.skipped.borrow().everywhere().collect();
        self.end_operations(|one| out.contains(&one.owner));
        for (owner, lane) in out
            .iter()
            .flat_map(|owner| LANES.map(|lane| (*owner, lane)))
        {
            let place = Place { owner, lane };
            let waits = self.lanes.borrow_mut().waits(place).map(|one| one.call);
            if let (Some(call), Some(link)) = (waits, self.link(snapshot, owner)) {
                let outcome = link.given_up(abi::SG_E_PANIC, call, self.worker.worker, PANICKED);
                self.resolve(place, outcome);
            }
        }
    }
}
