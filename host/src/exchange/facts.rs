//! The state of one exchange, and its end.
//!
//! An [`Exchange`] is shared by whatever moves it along: the sequence that serves it, its lanes, its operations. All of
//! them live on one worker; what changes stands in cells, which are borrowed for the length of one step and never across
//! a wait. [`Running`] is the one holder that ends it.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::SocketAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Version};
use ipnet::IpNet;

use super::admission::Permits;
use super::answer::AnswerError;
use super::forwarding::PeerValues;
use super::interim::Outbox;
use super::lanes::{Lanes, Owed};
use super::shed::Counted;
use crate::activity::Activity;
use crate::chain::{Call, Chain, Matched, Outcome, Skipped};
use crate::context::{Connection, Context, Phase, RouteNames};
use crate::endpoint::Endpoint;
use crate::local::{Generation, Local};
use crate::metrics::route::Entry;
use crate::panics::{self, Part, fault};
use crate::router::table::{Match, Table};
use crate::router::template::{Template, Values};
use crate::snapshot::{Action, Plan, Route, Snapshot};
use crate::upstream::body::BodyWatch;

/// What is the same for all exchanges of one connection.
pub struct Peer {
    /// The other end.
    pub peer: SocketAddr,
    /// This end.
    pub local: SocketAddr,
    /// Header values made once.
    pub values: PeerValues,
    /// What else is known of the connection.
    pub connection: Rc<Connection>,
    /// What is said before answers, where the connection speaks HTTP/1.1.
    pub interim: Outbox,
}

impl Peer {
    /// Makes it when a connection is accepted.
    #[must_use]
    pub fn new(peer: SocketAddr, local: SocketAddr, connection: Connection) -> Self {
        Self {
            peer,
            local,
            values: PeerValues::new(peer, local, connection.scheme()),
            connection: Rc::new(connection),
            interim: Outbox::default(),
        }
    }

    /// Where interim answers go; HTTP/1.0 knows none (RFC 9110, 15.2), and hyper sends none over HTTP/2.
    pub(super) fn outbox(&self, version: Version) -> Option<&Outbox> {
        (version == Version::HTTP_11).then_some(&self.interim)
    }

    /// Whether a balancer passes somebody else's connection on, as a PROXY header says.
    pub(super) fn is_passed_on(&self) -> bool {
        self.connection.proxied.is_some() || self.connection.nameless
    }

    /// Of those addresses whose forwarding headers are believed the ones that count on this connection: none, where the
    /// peer is a balancer that does not say whose words it passes on.
    pub(super) fn trusted<'a>(&self, addresses: &'a [IpNet]) -> &'a [IpNet] {
        if self.connection.nameless {
            &[]
        } else {
            addresses
        }
    }
}

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
    answered: Cell<Option<Instant>>,
    ended: Cell<bool>,
    /// Whether it was to end while its thread unwound, and does so as soon as it may.
    put_off: Cell<bool>,
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
}

/// The holder that ends an exchange: when it says so, or when it is dropped before, whatever happened.
pub struct Running(Rc<Exchange>);

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

    /// Tells whoever still waits that nobody does any more, then runs `log` and `request_end` of everything that took
    /// part; once.
    pub(super) fn finish(self: &Rc<Self>) {
        if self.ended.get() || self.is_put_off() {
            return;
        }
        self.ended.set(true);
        self.worker.exchange_ends();
        // Before anything else: somebody may wait for them.
        drop((self.permits.take(), self.counted.take()));
        let now = self.answered.get().unwrap_or_else(|| {
            let now = Instant::now();
            self.activity.exchange_ends(now);
            now
        });
        let generation = Rc::clone(&self.generation);
        let Some(snapshot) = generation.snapshot() else {
            return;
        };
        if snapshot.admission.overload.is_short() && !self.activity.is_stream() {
            // Kept alive, it would cost memory and bring nothing.
            self.activity.drain();
        }
        let duration = now.duration_since(self.started);
        // Each on its own: whatever goes wrong in one of them, the others are owed.
        step(|| {
            self.give_up(snapshot);
            self.close_flows(snapshot);
        });
        step(|| self.count(snapshot, duration));
        let chain = &self.plan(snapshot).chain;
        let global = &snapshot.global.chain;
        if chain.links().is_empty() && global.of(Phase::Rewrite).is_empty() {
            return;
        }
        step(|| self.log(snapshot, duration));
        step(|| self.end_calls(snapshot));
    }

    /// Whether it has to wait with its end until its thread unwinds no more; then it ends by itself, unless somebody takes it
    /// up before.
    fn is_put_off(self: &Rc<Self>) -> bool {
        if !panics::unwinding() {
            return false;
        }
        if !self.put_off.replace(true) {
            let exchange = Rc::clone(self);
            let ending = async move {
                if exchange.put_off.replace(false) {
                    exchange.finish();
                }
            };
            tokio::task::spawn_local(panics::contained(Part::Exchange, ending));
        }
        true
    }

    /// Its sequence panicked and gave it up; whoever holds it now ends it.
    pub(super) fn taken_up(self: Rc<Self>) -> Running {
        self.put_off.set(false);
        Running(self)
    }

    /// Panics where the request asks for it; see [`fault`].
    #[inline]
    pub(super) fn fault(&self, point: &str) {
        if cfg!(debug_assertions) {
            fault::wanted(point, &self.context.borrow().request_headers);
        }
    }

    /// Runs `log`.
    fn log(&self, snapshot: &Snapshot, duration: Duration) {
        self.fault("log");
        let chain = &self.plan(snapshot).chain;
        let context = &mut *self.context.borrow_mut();
        context.figures.duration = duration;
        if !chain.of(Phase::Log).is_empty() {
            let mut skipped = self.skipped.borrow_mut();
            let matched = self.against(snapshot);
            let _ = chain.run(Phase::Log, 0, context, &mut skipped, matched);
        }
    }

    /// Runs `request_end` of everything that took part.
    fn end_calls(&self, snapshot: &Snapshot) {
        let chain = &self.plan(snapshot).chain;
        let context = &mut *self.context.borrow_mut();
        let matched = self.against(snapshot);
        chain.end(context, matched);
        if self.matched.get().is_some() {
            // Global instances ran in `rewrite`; where the route has its own use of a plugin, the global one is not in
            // its chain and still has to hear of the end.
            for link in snapshot.global.chain.of(Phase::Rewrite) {
                if !chain.contains(&link.instance) {
                    link.end(context, matched);
                }
            }
        }
    }

    /// Counts the exchange on its route.
    fn count(&self, snapshot: &Snapshot, duration: Duration) {
        let mut context = self.context.borrow_mut();
        if let Some(body) = self.body.get() {
            context.figures.request_bytes = body.received.get();
        }
        let figures = &context.figures;
        let head = context.response.as_ref();
        let entry = Entry {
            status: head.map_or(0, |head| head.status.as_u16()),
            duration,
            request_bytes: figures.request_bytes,
            response_bytes: figures.response_bytes,
        };
        let account = self
            .route(snapshot)
            .map_or(&snapshot.account, |route| &route.account);
        account.count(self.worker.worker, entry);
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

/// One step of an end. If it panics the next one comes all the same.
fn step(step: impl FnOnce()) {
    if let Err(panicked) = panics::caught(Part::Exchange, step) {
        panicked.say();
    }
}
