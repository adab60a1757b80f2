//! What happens to a hook that waits, and what it comes to by that: `on_event` is called, and the lane goes on.

use std::rc::Rc;

use swapgate_abi as abi;

use super::{Exchange, Left};
use crate::chain::{Link, Outcome};
use crate::context::LANES;
use crate::context::scope::Place;
use crate::local::Told;
use crate::ops::Done;
use crate::plugin::ffi::event::Happened;
use crate::snapshot::Snapshot;

impl Exchange {
    pub(super) fn operation_done(self: &Rc<Self>, token: abi::OpTok, done: Done) {
        let mut context = self.context.borrow_mut();
        let place = context.scope.as_mut().and_then(|scope| scope.done(token));
        drop(context);
        if let Some(place) = place {
            self.deliver(place, &Happened::Done(token, done));
        }
    }

    /// Tells an instance what happened in a lane, and its hook there goes on if that is what `on_event` answers.
    fn deliver(self: &Rc<Self>, place: Place, happened: &Happened) {
        let generation = Rc::clone(&self.generation);
        let Some(snapshot) = generation.snapshot() else {
            return;
        };
        if self.is_over() || self.is_skipped(place) {
            return;
        }
        let Some(link) = self.link(snapshot, place.owner) else {
            return;
        };
        let outcome = self.tell(link, place, happened, snapshot);
        self.settle(snapshot);
        match outcome {
            None | Some(Outcome::Pending(_)) => {}
            Some(outcome) => self.resolve(place, outcome),
        }
    }

    /// Calls `on_event`; what the waiting hook comes to by it, if one waits.
    pub(super) fn tell(
        &self,
        link: &Link,
        place: Place,
        happened: &Happened,
        snapshot: &Snapshot,
    ) -> Option<Outcome> {
        let (call, left) = match self.lanes.borrow_mut().waits(place) {
            Some(parked) => (Some(parked.call), std::mem::take(&mut parked.left)),
            None => (None, Left::default()),
        };
        let mut context = self.context.borrow_mut();
        context.answer = left.answer;
        context.error = left.error;
        let outcome = link.tell(
            happened,
            place.lane,
            call,
            (&mut context, &mut self.skipped.borrow_mut()),
            self.against(snapshot),
        );
        let left = Left {
            answer: context.answer.take(),
            error: context.error.take(),
        };
        drop(context);
        if let Outcome::Fail(fault) = &outcome
            && (call.is_none() || fault.puts_out())
        {
            self.owe(fault);
        }
        call?;
        if let Some(parked) = self.lanes.borrow_mut().waits(place) {
            parked.left = left;
        }
        Some(outcome)
    }

    /// The hook that waits in a lane has come to something: whoever polls the lane goes on.
    pub(super) fn resolve(&self, place: Place, outcome: Outcome) {
        let mut lanes = self.lanes.borrow_mut();
        let Some(parked) = lanes.waits(place) else {
            return;
        };
        parked.outcome = Some(outcome);
        let waker = parked.waker.take();
        drop(lanes);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether an instance is out of a lane.
    fn is_skipped(&self, place: Place) -> bool {
        let skipped = self.skipped.borrow();
        skipped.contains(place.owner, Some(place.lane))
    }
}

impl Told for Exchange {
    fn wake(self: Rc<Self>, token: abi::WakeTok) {
        let context = self.context.borrow();
        let place = context.scope.as_ref().and_then(|scope| scope.woken(token));
        drop(context);
        if let Some(place) = place {
            self.deliver(place, &Happened::Wake);
        }
    }

    fn hint(self: Rc<Self>) {
        for lane in LANES {
            let mut lanes = self.lanes.borrow_mut();
            let parked = lanes.of(lane).as_deref_mut();
            let waits = parked.filter(|one| one.outcome.is_none() && !one.hinted);
            let owner = waits.map(|parked| {
                parked.hinted = true;
                parked.owner
            });
            drop(lanes);
            if let Some(owner) = owner {
                self.deliver(Place { owner, lane }, &Happened::Drain);
            }
        }
    }
}
