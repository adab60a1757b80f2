//! The state of one exchange; `end` is its end.
//!
//! An [`Exchange`] is shared by whatever moves it along: the sequence that serves it, its lanes, its operations. All of
//! them live on one worker; what changes stands in cells, which are borrowed for the length of one step and never across
//! a wait. [`Running`] is the one holder that ends it.

use std::cell::{Cell, OnceCell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::time::Instant;

use http::HeaderValue;

use super::admission::Permits;
use super::answer::AnswerError;
use super::lanes::{Lanes, Owed};
use super::shed::Counted;
use crate::activity::Activity;
use crate::chain::{Call, Chain, Matched, Outcome, Skipped};
use crate::context::{Context, Phase, RouteNames};
use crate::endpoint::Endpoint;
use crate::local::{Generation, Local};
use crate::panics::fault;
use crate::router::table::{Match, Table};
use crate::router::template::{Template, Values};
use crate::snapshot::{Action, Plan, Route, Snapshot};
use crate::upstream::body::BodyWatch;

/// One request and its answer.
pub struct Exchange {
    pub(super) worker: Rc<Local>,
    pub(super) generation: Rc<Generation>,
    /// What the connection is doing, or in HTTP/2 the stream.
    activity: Rc<Activity>,
    /// What plugins see.
    pub(super) context: RefCell<Context>,
    pub(super) matched: Cell<Option<Match>>,
    pub(super) skipped: RefCell<Skipped>,
    /// The failure each lane still has to fail with.
    pub(super) owed: RefCell<Owed>,
    /// What stands still.
    pub(super) lanes: RefCell<Lanes>,
    pub(super) started: Instant,
    /// The request body, if there is one.
    pub(super) body: OnceCell<Rc<BodyWatch>>,
    /// What the client said and what is needed later.
    pub(super) said: Said,
    /// Whether plugins still see its request body, which may outlast the answer.
    pub(super) piped: Cell<bool>,
    /// When all of the answer was handed over.
    pub(super) answered: Cell<Option<Instant>>,
    pub(super) ended: Cell<bool>,
    /// Whether it was to end while its thread unwound, and does so as soon as it may.
    pub(super) put_off: Cell<bool>,
    /// Whether its worker was told that somebody may have something to tell it.
    pub(super) known: Cell<bool>,
    /// The places it has, until it is over.
    pub(super) permits: Cell<Permits>,
    /// That it counts in the process, until it is over.
    pub(super) counted: Cell<Option<Counted>>,
}

/// What a client said, as far as it is needed once the head was passed on.
pub(super) struct Said {
    /// What it accepts, for answers of the gateway.
    pub(super) accept: Option<HeaderValue>,
    /// The host as the upstream is told it, if it said one.
    pub(super) host: Option<HeaderValue>,
    /// Whether this is a call of gRPC, whose answers say in another way what went wrong.
    pub(super) grpc: bool,
    /// Whether it is an extended CONNECT, to which any success means that the stream has changed over.
    pub(super) connect: bool,
    /// Whether it asks for a head alone, whatever plugins make of its method on the way.
    pub(super) head: bool,
}

/// The holder that ends an exchange: when it says so, or when it is dropped before, whatever happened.
pub struct Running(pub(super) Rc<Exchange>);

impl Deref for Running {
    type Target = Rc<Exchange>;

    fn deref(&self) -> &Rc<Exchange> {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.answered.get().is_none() {
            self.0.finish();
        }
    }
}

impl Exchange {
    pub(super) fn begin(
        worker: Rc<Local>,
        generation: Rc<Generation>,
        activity: Rc<Activity>,
        context: Context,
        said: Said,
    ) -> Running {
        activity.exchange_begins();
        activity.holds(generation.number);
        worker.exchange_begins();
        Running(Rc::new(Self {
            worker,
            generation,
            activity,
            context: RefCell::new(context),
            matched: Cell::new(None),
            skipped: RefCell::default(),
            owed: RefCell::default(),
            lanes: RefCell::default(),
            started: Instant::now(),
            body: OnceCell::new(),
            said,
            piped: Cell::new(false),
            answered: Cell::new(None),
            ended: Cell::new(false),
            put_off: Cell::new(false),
            known: Cell::new(false),
            permits: Cell::default(),
            counted: Cell::default(),
        }))
    }

    /// The matched route.
    pub(super) fn route<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Route> {
        snapshot.routes.get(self.matched.get()?.route)
    }

    /// What fills in the templates of the matched route.
    pub(super) fn values<'c>(&self, context: &'c Context) -> Values<'c> {
        Values {
            host: context.host.as_str(),
            path: context.path(),
            query: context.query(),
            prefix_len: self.matched.get().map_or(0, |matched| matched.prefix_len),
        }
    }

    /// Fills a template of the matched route in.
    pub(super) fn render(
        &self,
        context: &Context,
        template: &Template,
        snapshot: &Snapshot,
    ) -> String {
        template.render(&self.values(context), |name| {
            context.params.get(&snapshot.table, context.path(), name)
        })
    }

    /// The plan of the matched route, or the global one.
    pub(super) fn plan<'s>(&self, snapshot: &'s Snapshot) -> &'s Plan {
        self.route(snapshot)
            .map_or(&snapshot.global, |route| &route.plan)
    }

    /// Runs one phase of a chain from a place on, as far as it goes without waiting. Where it waits, the lane is parked.
    pub(super) fn run(
        self: &Rc<Self>,
        chain: &Chain,
        phase: Phase,
        from: usize,
        snapshot: &Snapshot,
    ) -> Outcome {
        if chain.of(phase).len() <= from {
            return Outcome::Continue;
        }
        let matched = self.against(snapshot);
        let outcome = chain.run(
            phase,
            from,
            &mut self.context.borrow_mut(),
            &mut self.skipped.borrow_mut(),
            matched,
        );
        self.after(chain, phase.into(), &outcome, snapshot);
        outcome
    }

    /// Makes one call to the link at a place of a phase. Where it waits, the lane is parked: [`Self::wait`] and
    /// [`Self::poll_lane`] say what it came to. For bodies, whose links each have a window of their own.
    pub fn call(
        self: &Rc<Self>,
        chain: &Chain,
        call: Call,
        at: usize,
        snapshot: &Snapshot,
    ) -> Outcome {
        let outcome = chain.call(
            call,
            at,
            &mut self.context.borrow_mut(),
            &mut self.skipped.borrow_mut(),
            self.against(snapshot),
        );
        self.after(chain, call, &outcome, snapshot);
        outcome
    }

    /// Counts body bytes handed to the client's connection.
    pub(super) fn count_sent(&self, bytes: usize) {
        self.context.borrow_mut().figures.response_bytes += bytes as u64;
    }

    /// Counts bytes that went through a tunnel, up and down.
    pub(super) fn count_tunnel(&self, up: u64, down: u64) {
        let figures = &mut self.context.borrow_mut().figures;
        figures.request_bytes += up;
        figures.response_bytes += down;
    }

    /// Says that the answer could not be finished.
    pub(super) fn broke_off(self: &Rc<Self>, error: &AnswerError) {
        {
            let context = self.context.borrow();
            let id = context.request_id.as_str();
            let at = context.figures.target.as_ref().map(tracing::field::display);
            tracing::warn!(target: "exchange", request_id = id, upstream = at, "{error}");
        }
        self.finish();
    }

    /// Whether it is over: nobody calls a hook any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended.get()
    }

    /// All of the answer was handed over. That is the end, unless plugins still see the request's body, which goes on to
    /// its own: [`Self::is_piped_no_more`].
    pub(super) fn finish_answer(self: &Rc<Self>) {
        if self.is_over() || self.answered.get().is_some() {
            return;
        }
        if !self.piped.get() {
            self.finish();
            return;
        }
        // A body that nobody answers any more keeps no place from others, as it does not where no plugin sees it.
        drop((self.permits.take(), self.counted.take()));
        let now = Instant::now();
        self.answered.set(Some(now));
        self.activity.is_outlived(true);
        self.activity.exchange_ends(now);
    }

    /// No plugin sees the request's body any more.
    pub(super) fn is_piped_no_more(self: &Rc<Self>) {
        if self.piped.replace(false) && self.answered.get().is_some() {
            self.activity.is_outlived(false);
            self.finish();
        }
    }

    /// Panics where the request asks for it; see [`fault`].
    #[inline]
    pub(super) fn fault(&self, point: &str) {
        if cfg!(debug_assertions) {
            fault::wanted(point, &self.context.borrow().request_headers);
        }
    }

    /// What the client's connection is doing, or in HTTP/2 the stream.
    pub(super) fn activity(&self) -> &Rc<Activity> {
        &self.activity
    }

    /// Notes which target answered, and how long that took if anybody may ask.
    pub(super) fn answered_by(&self, target: &Endpoint, plan: &Plan) {
        let figures = &mut self.context.borrow_mut().figures;
        figures.target = Some(target.clone());
        if !plan.chain.links().is_empty() {
            figures.upstream = Some(self.started.elapsed());
        }
    }

    pub(super) fn against<'s>(&self, snapshot: &'s Snapshot) -> Matched<'s> {
        let table: &Table = &snapshot.table;
        let names = self.route(snapshot).map(|route| RouteNames {
            route: &route.name,
            mark: route.mark,
            service: match &route.action {
                Action::Forward(forward) => snapshot
                    .services
                    .get(forward.service)
                    .map(|service| &*service.name),
                Action::Redirect(_) | Action::Respond(_) => None,
            },
        });
        let forwards = names.is_some_and(|names| names.service.is_some());
        Matched {
            table,
            names,
            leads: forwards.then_some(snapshot),
            worker: self.worker.worker,
        }
    }
}
