//! Lanes that stand still and go on, and what is told to those that wait.
//!
//! A hook that answers `SG_PENDING` parks its lane. Whatever happens from then on is told at once, on this worker and
//! with no other hook of the exchange on the stack: `Exchange::deliver` calls `on_event`, and once that answers
//! something else the lane's outcome is known and whoever polls it goes on. At most one hook waits in each lane.
//!
//! ```text
//! exchange.walk(chain, phase, snapshot).await          a phase of a head, link by link, waiting where a hook waits
//! exchange.call(chain, call, at, snapshot) -> Outcome  one call, for bodies; Pending parks call.lane
//! exchange.wait(lane).await -> Outcome                 what the parked hook came to; never Pending
//! exchange.poll_lane(lane, cx) -> Poll<Outcome>        the same, for whoever polls
//! ```

mod ending;
mod operations;
mod telling;

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Task, Poll, Waker};

use tokio::time::{Sleep, sleep};

use self::operations::on_the_side;
use super::Exchange;
use crate::chain::{Call, Chain, Link, Outcome, owner};
use crate::context::scope::Place;
use crate::context::{Answer, Lane, Phase};
use crate::local::Told;
use crate::respond::plugin::PluginFault;
use crate::snapshot::Snapshot;

/// The two lanes: none while a lane goes on.
#[derive(Default)]
pub(super) struct Lanes([Option<Box<Parked>>; 2]);

/// What the two lanes still have to fail with: nothing while all goes well.
#[derive(Default)]
pub(super) struct Owed([Option<PluginFault>; 2]);

/// A hook that waits.
struct Parked {
    owner: usize,
    call: Call,
    /// What it left for when it goes on: the answer it made, and its reason.
    left: Left,
    /// What it came to, once that is known.
    outcome: Option<Outcome>,
    /// When it has waited too long.
    limit: Pin<Box<Sleep>>,
    /// Whoever polls the lane.
    waker: Option<Waker>,
    /// Whether it knows that the gateway is shutting down.
    hinted: bool,
}

/// What a hook left in the context, which other hooks use while it waits.
#[derive(Default)]
struct Left {
    answer: Option<Answer>,
    error: Option<String>,
}

impl Lanes {
    fn of(&mut self, lane: Lane) -> &mut Option<Box<Parked>> {
        let [request, response] = &mut self.0;
        match lane {
            Lane::Request => request,
            Lane::Response => response,
        }
    }

    /// The hook of an instance that waits in a lane.
    fn waits(&mut self, place: Place) -> Option<&mut Parked> {
        let parked = self.of(place.lane).as_deref_mut()?;
        (parked.owner == place.owner && parked.outcome.is_none()).then_some(parked)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl Exchange {
    /// Runs one phase of a chain to its end, waiting where a hook does.
    pub(super) async fn walk(
        self: &Rc<Self>,
        chain: &Chain,
        phase: Phase,
        snapshot: &Snapshot,
    ) -> Outcome {
        if let Some(fault) = self.owed(phase.lane()) {
            return Outcome::Fail(fault);
        }
        let mut outcome = self.run(chain, phase, 0, snapshot);
        while let Outcome::Pending(at) = outcome {
            outcome = match self.wait(phase.lane()).await {
                Outcome::Continue | Outcome::Out => self.run(chain, phase, at + 1, snapshot),
                other => return other,
            };
        }
        outcome
    }

    /// What the hook that waits in a lane comes to. Where none does, there is nothing to wait for.
    pub async fn wait(self: &Rc<Self>, lane: Lane) -> Outcome {
        poll_fn(|cx| self.poll_lane(lane, cx)).await
    }

    /// What the hook that waits in a lane came to, never [`Outcome::Pending`]. Its answer and its reason lie in the
    /// context then, as after a call.
    pub fn poll_lane(self: &Rc<Self>, lane: Lane, cx: &mut Task<'_>) -> Poll<Outcome> {
        let mut lanes = self.lanes.borrow_mut();
        let Some(parked) = lanes.of(lane) else {
            return Poll::Ready(Outcome::Continue);
        };
        if parked.outcome.is_none() && parked.limit.as_mut().poll(cx).is_pending() {
            parked.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let late = parked.outcome.is_none();
        drop(lanes);
        if late {
            self.time_is_up(lane);
        }
        let parked = self.lanes.borrow_mut().of(lane).take();
        let Some(parked) = parked else {
            return Poll::Ready(Outcome::Continue);
        };
        self.activity().wait_ends();
        let mut context = self.context.borrow_mut();
        context.answer = parked.left.answer;
        context.error = parked.left.error;
        drop(context);
        let outcome = parked.outcome.unwrap_or(Outcome::Continue);
        Poll::Ready(self.owed(lane).map_or(outcome, Outcome::Fail))
    }

    /// The failure that has not been answered for. Each lane that would go on fails with it: the hooks that come later
    /// would pass over the instance that failed, and with it over what it is there for.
    pub(super) fn owed(&self, lane: Lane) -> Option<PluginFault> {
        let owed = self.owed.borrow();
        let [request, response] = &owed.0;
        match lane {
            Lane::Request => request.clone(),
            Lane::Response => response.clone(),
        }
    }

    /// Has both lanes fail. The first failure counts.
    fn owe(&self, fault: &PluginFault) {
        for owed in &mut self.owed.borrow_mut().0 {
            owed.get_or_insert_with(|| fault.clone());
        }
    }

    /// An answer of the gateway takes the place of what failed, and goes out. What is left of the request does not.
    pub(super) fn answered_for(&self) {
        let [_, response] = &mut self.owed.borrow_mut().0;
        *response = None;
    }

    /// Takes care of what a hook asked for, now that it has returned.
    pub(super) fn after(
        self: &Rc<Self>,
        chain: &Chain,
        call: Call,
        outcome: &Outcome,
        snapshot: &Snapshot,
    ) {
        if let Outcome::Pending(at) = outcome
            && let Some(link) = chain.of(call.phase).get(*at)
        {
            self.park(call, link, snapshot);
        }
        // Whoever called may have no way to answer for it; the other lane has, and its hooks pass the instance over.
        if let Outcome::Fail(fault) = outcome
            && fault.puts_out()
        {
            self.owe(fault);
        }
        self.settle(snapshot);
    }

    fn park(self: &Rc<Self>, call: Call, link: &Link, snapshot: &Snapshot) {
        self.make_known();
        self.activity().wait_begins();
        let mut context = self.context.borrow_mut();
        let left = Left {
            answer: context.answer.take(),
            error: context.error.take(),
        };
        *self.lanes.borrow_mut().of(call.lane) = Some(Box::new(Parked {
            owner: owner(&link.instance),
            call,
            left,
            outcome: None,
            limit: Box::pin(sleep(snapshot.settings.limits.plugin_wait)),
            waker: None,
            hinted: false,
        }));
        if self.worker.is_draining() {
            // Not now: the hook has only just returned.
            let weak = Rc::downgrade(self);
            on_the_side(async move {
                if let Some(exchange) = weak.upgrade() {
                    exchange.hint();
                }
            });
        }
    }

    /// The link of an instance: in the chain of the route, or the global one for who ran before routing.
    pub(super) fn link<'s>(&self, snapshot: &'s Snapshot, owner: usize) -> Option<&'s Link> {
        let own = self.plan(snapshot).chain.link_of(owner);
        own.or_else(|| snapshot.global.chain.link_of(owner))
    }

    /// Has the worker find this exchange when there is something to tell it.
    pub(super) fn make_known(self: &Rc<Self>) {
        if !self.known.replace(true) {
            let weak = Rc::downgrade(self);
            self.worker.know(self.context.borrow().token, weak);
        }
    }
}
