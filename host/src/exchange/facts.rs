//! The state of one exchange, and its end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::HeaderValue;

use super::answer::AnswerError;
use super::forwarding::PeerValues;
use crate::activity::Activity;
use crate::chain::{Chain, Matched, Outcome, Skipped};
use crate::context::{Context, Phase, RouteNames};
use crate::local::{Generation, Local};
use crate::metrics::route::Entry;
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
    /// What the connection is doing, for its time limits.
    pub activity: Rc<Activity>,
}

impl Peer {
    /// Makes it when a connection is accepted.
    #[must_use]
    pub fn new(peer: SocketAddr, local: SocketAddr, activity: Rc<Activity>) -> Self {
        Self {
            peer,
            local,
            values: PeerValues::new(peer, local),
            activity,
        }
    }
}

/// One request and its answer. Dropping it is its end, whatever happened before.
pub struct Exchange {
    pub(super) worker: Rc<Local>,
    pub(super) generation: Rc<Generation>,
    peer: Rc<Peer>,
    /// What plugins see.
    pub(super) context: Context,
    pub(super) matched: Option<Match>,
    pub(super) skipped: Skipped,
    pub(super) started: Instant,
    /// The request body, if there is one.
    pub(super) body: Option<Rc<BodyWatch>>,
    /// What the client accepts, for answers of the gateway.
    pub(super) accept: Option<HeaderValue>,
    /// The host as the upstream is told it, if the client said one.
    pub(super) host: Option<HeaderValue>,
    ended: bool,
}

impl Exchange {
    pub(super) fn new(
        worker: Rc<Local>,
        generation: Rc<Generation>,
        peer: Rc<Peer>,
        context: Context,
        accept: Option<HeaderValue>,
        host: Option<HeaderValue>,
    ) -> Box<Self> {
        peer.activity.exchange_begins();
        Box::new(Self {
            worker,
            generation,
            peer,
            context,
            matched: None,
            skipped: Skipped::default(),
            started: Instant::now(),
            body: None,
            accept,
            host,
            ended: false,
        })
    }

    /// The matched route.
    pub(super) fn route<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Route> {
        snapshot.routes.get(self.matched?.route)
    }

    /// What fills in the templates of the matched route.
    pub(super) fn values(&self) -> Values<'_> {
        Values {
            host: self.context.host.as_str(),
            path: self.context.path(),
            query: self.context.query(),
            prefix_len: self.matched.map_or(0, |matched| matched.prefix_len),
        }
    }

    /// Fills a template of the matched route in.
    pub(super) fn render(&self, template: &Template, snapshot: &Snapshot) -> String {
        let context = &self.context;
        template.render(&self.values(), |name| {
            context.params.get(&snapshot.table, context.path(), name)
        })
    }

    /// The plan of the matched route, or the global one.
    pub(super) fn plan<'s>(&self, snapshot: &'s Snapshot) -> &'s Plan {
        self.route(snapshot)
            .map_or(&snapshot.global, |route| &route.plan)
    }

    /// Runs one phase of a chain.
    pub(super) fn run(&mut self, chain: &Chain, phase: Phase, snapshot: &Snapshot) -> Outcome {
        if chain.of(phase).is_empty() {
            return Outcome::Continue;
        }
        let matched = self.against(snapshot);
        chain.run(phase, &mut self.context, &mut self.skipped, matched)
    }

    /// Counts body bytes handed to the client's connection.
    pub(super) fn count_sent(&mut self, bytes: usize) {
        self.context.figures.response_bytes += bytes as u64;
    }

    /// Says that the answer could not be finished.
    pub(super) fn broke_off(&mut self, error: &AnswerError) {
        let id = self.context.request_id.as_str();
        let at = self.context.figures.target.map(tracing::field::display);
        tracing::warn!(target: "exchange", request_id = id, upstream = at, "{error}");
        self.finish();
    }

    /// Runs `log` and `request_end` of everything that took part; once.
    pub(super) fn finish(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        let now = Instant::now();
        self.peer.activity.exchange_ends(now);
        let generation = Rc::clone(&self.generation);
        let Some(snapshot) = generation.snapshot() else {
            return;
        };
        let duration = now.duration_since(self.started);
        self.count(snapshot, duration);
        let chain = &self.plan(snapshot).chain;
        let global = &snapshot.global.chain;
        if chain.links().is_empty() && global.of(Phase::Rewrite).is_empty() {
            return;
        }
        self.context.figures.duration = duration;
        let _ = self.run(chain, Phase::Log, snapshot);
        let matched = self.against(snapshot);
        chain.end(&mut self.context, matched);
        if self.matched.is_some() {
            // Global instances ran in `rewrite`; where the route has its own use of a plugin, the global one is not in
            // its chain and still has to hear of the end.
            for link in global.of(Phase::Rewrite) {
                if !chain.contains(&link.instance) {
                    link.end(&mut self.context, matched);
                }
            }
        }
    }

    /// Counts the exchange on its route.
    fn count(&mut self, snapshot: &Snapshot, duration: Duration) {
        if let Some(body) = &self.body {
            self.context.figures.request_bytes = body.received.get();
        }
        let figures = &self.context.figures;
        let head = self.context.response.as_ref();
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

    /// What the client's connection is doing.
    pub(super) fn activity(&self) -> &Rc<Activity> {
        &self.peer.activity
    }

    /// Notes which target answered, and how long that took if anybody may ask.
    pub(super) fn answered_by(&mut self, target: SocketAddr, plan: &Plan) {
        self.context.figures.target = Some(target);
        if !plan.chain.links().is_empty() {
            self.context.figures.upstream = Some(self.started.elapsed());
        }
    }

    fn against<'s>(&self, snapshot: &'s Snapshot) -> Matched<'s> {
        let table: &Table = &snapshot.table;
        let names = self.route(snapshot).map(|route| RouteNames {
            route: &route.name,
            service: match &route.action {
                Action::Forward(forward) => snapshot
                    .services
                    .get(forward.service)
                    .map(|service| &*service.name),
                Action::Redirect(_) | Action::Respond(_) => None,
            },
        });
        Matched {
            table,
            names,
            worker: self.worker.worker,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.finish();
    }
}
