//! Lanes that stand still and go on, and what is told to those that wait.
//!
//! A hook that answers `SG_PENDING` parks its lane. Whatever happens from then on is told at once, on this worker and
//! with no other hook of the exchange on the stack: [`Exchange::deliver`] calls `on_event`, and once that answers
//! something else the lane's outcome is known and whoever polls it goes on. At most one hook waits in each lane.
//!
//! ```text
//! exchange.walk(chain, phase, snapshot).await          a phase of a head, link by link, waiting where a hook waits
//! exchange.call(chain, call, at, snapshot) -> Outcome  one call, for bodies; Pending parks call.lane
//! exchange.wait(lane).await -> Outcome                 what the parked hook came to; never Pending
//! exchange.poll_lane(lane, cx) -> Poll<Outcome>        the same, for whoever polls
//! ```

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context as Task, Poll, Waker};

use smallvec::SmallVec;
use swapgate_abi as abi;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};

use super::Exchange;
use crate::chain::{Call, Chain, Link, Outcome, PluginFault, owner};
use crate::context::scope::Place;
use crate::context::{Answer, LANES, Lane, Phase};
use crate::local::Told;
use crate::ops::{Done, wake};
use crate::panics;
use crate::plugin::ffi::event::Happened;
use crate::snapshot::Snapshot;

/// Why a wait ended without an answer.
const TOO_LONG: &str = "it waited longer than limits.plugin_wait admits";
const PANICKED: &str = "it panicked in the other lane of this exchange";

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

    /// Starts what hooks began, each as a task of this worker that holds the exchange only weakly.
    fn start_operations(self: &Rc<Self>, snapshot: &Snapshot) {
        let fresh = match &mut self.context.borrow_mut().scope {
            Some(scope) if scope.fresh > 0 => scope.take_fresh(),
            _ => return,
        };
        drop(fresh.unwanted);
        for (token, owner, begin) in fresh.begun {
            let weak = Rc::downgrade(self);
            let link = self.link(snapshot, owner);
            let counted = link.map(|link| link.instance.count_operation(self.worker.worker));
            let task = on_the_side(async move {
                let operation = pin!(async { begin().await });
                let done = panics::isolated(panics::Part::Exchange, operation).await;
                drop(counted);
                let done = done.unwrap_or_else(|panicked| {
                    panicked.say();
                    Done::with(abi::SG_E_FAILED)
                });
                if let Some(exchange) = weak.upgrade() {
                    exchange.operation_done(token, done);
                }
            });
            if let Some(scope) = &mut self.context.borrow_mut().scope {
                scope.started(token, task.abort_handle());
            }
        }
    }

    fn operation_done(self: &Rc<Self>, token: abi::OpTok, done: Done) {
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
    fn tell(
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
    fn resolve(&self, place: Place, outcome: Outcome) {
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

    /// The hook has waited too long: it is told that nobody waits, and counts as failed.
    fn time_is_up(self: &Rc<Self>, lane: Lane) {
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

    /// Tells a hook that nobody waits for it any more. Its instance is called in this lane no more.
    fn cancel(&self, link: &Link, place: Place, code: i32, snapshot: &Snapshot) {
        self.end_operations(|one| one == place);
        let _ = self.tell(link, place, &Happened::Cancel(code), snapshot);
        self.skipped.borrow_mut().add(place.owner, Some(place.lane));
        // What it began while it was told so is not wanted either.
        self.end_operations(|one| one == place);
    }

    /// The exchange is over: whatever still waits in it is told, and what runs for it ends.
    pub(super) fn give_up(&self, snapshot: &Snapshot) {
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
    pub(super) fn abandon(self: &Rc<Self>, lane: Lane) {
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

    fn end_operations(&self, chosen: impl Fn(Place) -> bool) {
        let ended = match &mut self.context.borrow_mut().scope {
            Some(scope) => scope.end_all(chosen),
            None => return,
        };
        wake::retire(&ended);
    }

    /// Starts what was begun, and lets go of what instances left that are out of this exchange.
    fn settle(self: &Rc<Self>, snapshot: &Snapshot) {
        if self.context.borrow().scope.is_some() {
            // Also where only a wake token was asked for.
            self.make_known();
            self.start_operations(snapshot);
        }
        if !self.skipped.borrow().is_empty() {
            self.expel(snapshot);
        }
    }

    /// An instance that panicked is told nothing more; what it waits for in the other lane fails with it.
    fn expel(&self, snapshot: &Snapshot) {
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

    /// Whether an instance is out of a lane.
    fn is_skipped(&self, place: Place) -> bool {
        let skipped = self.skipped.borrow();
        skipped.contains(place.owner, Some(place.lane))
    }

    /// The link of an instance: in the chain of the route, or the global one for who ran before routing.
    fn link<'s>(&self, snapshot: &'s Snapshot, owner: usize) -> Option<&'s Link> {
        let own = self.plan(snapshot).chain.link_of(owner);
        own.or_else(|| snapshot.global.chain.link_of(owner))
    }

    /// Has the worker find this exchange when there is something to tell it.
    fn make_known(self: &Rc<Self>) {
        if !self.known.replace(true) {
            let weak = Rc::downgrade(self);
            self.worker.know(self.context.borrow().token, weak);
        }
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

/// Starts what an exchange has to do beside its sequence.
fn on_the_side(task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    tokio::task::spawn_local(panics::contained(panics::Part::Exchange, task))
}
