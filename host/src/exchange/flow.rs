//! A body through the plugins of its lane: what [`crate::stream`] decides is done here, on the running exchange.
//!
//! Nothing of this exists where no plugin takes part: then a body is relayed as it comes.

use std::rc::Rc;
use std::task::{Context as Task, Poll};

use bytes::Bytes;
use http::HeaderMap;

use super::Exchange;
use crate::chain::{Call, Outcome, owner};
use crate::context::{Answer, LANES, Lane, Phase, trailers};
use crate::respond::failure::Failure;
use crate::snapshot::Snapshot;
use crate::stream::{Hook, Need, Overflow, Pipeline, Spec, Step, Verdict};

/// How many bytes a plugin may make of an answer's window, where the route admits fewer of a request.
const ROOM: u64 = 1 << 20;

/// What a body came to next.
pub(super) enum Came {
    /// Bytes to be sent on.
    Data(Bytes),
    /// The fields at its end.
    Trailers(HeaderMap),
    /// Nothing any more.
    Over,
    /// It wants to be fed.
    More,
    /// A plugin ended it.
    Stopped(Stop),
}

/// Why a plugin ended a body.
pub(super) enum Stop {
    /// It made the answer.
    Answer(Answer),
    /// It failed, or keeps too much.
    Failure(Failure),
}

impl Stop {
    /// Says why the request's body ends where an answer has begun: no other one will tell.
    pub(super) fn log_if_late(&self, exchange: &Exchange) {
        let context = exchange.context.borrow();
        if let (Self::Failure(failure), true) = (self, context.response.is_some()) {
            let id = context.request_id.as_str();
            tracing::warn!(target: "exchange", request_id = id, peer = %context.peer, "the request body ended early: {failure}");
        }
    }
}

impl Exchange {
    /// Puts the plugins that take part in the body of a lane in place; what they need at most, if there are any.
    pub(super) fn open_flow(&self, lane: Lane, snapshot: &Snapshot) -> Option<Need> {
        let pipeline = self.flow(lane, snapshot)?;
        let need = pipeline.need();
        self.context.borrow_mut().bodies.put(lane, pipeline);
        Some(need)
    }

    /// What the plugins that take part in the body of a lane need of it, if there are any.
    pub(super) fn flow_need(&self, lane: Lane, snapshot: &Snapshot) -> Option<Need> {
        self.flow(lane, snapshot).map(|pipeline| pipeline.need())
    }

    fn flow(&self, lane: Lane, snapshot: &Snapshot) -> Option<Pipeline> {
        let chain = &self.plan(snapshot).chain;
        let phase = body_phase(lane);
        if chain.of(phase).is_empty() && chain.of(Phase::Trailers).is_empty() {
            return None;
        }
        let limit = self.route(snapshot).map_or(ROOM, |route| route.body_bytes);
        let (context, skipped) = (self.context.borrow(), self.skipped.borrow());
        let specs = chain.links().iter().filter_map(|link| {
            let (bound, owner) = (link.instance.bound(), owner(&link.instance));
            let out = context.bodies.ignores(owner, lane) || skipped.contains(owner, Some(lane));
            let keep = Some(bound.buffer_bytes()).filter(|bytes| *bytes > 0);
            (!out).then(|| Spec {
                at: owner,
                need: bound.body_need(lane),
                body: bound.has(phase),
                trailers: bound.has(Phase::Trailers),
                keep: keep.map_or(limit, |bytes| bytes.min(limit)),
                room: match lane {
                    Lane::Request => limit,
                    Lane::Response => limit.max(ROOM),
                },
            })
        });
        let pipeline = Pipeline::new(specs);
        (!pipeline.is_empty()).then_some(pipeline)
    }

    /// The next of a body that [`Self::open_flow`] opened. Pending means that a hook waits.
    pub(super) fn poll_flow(
        self: &Rc<Self>,
        lane: Lane,
        snapshot: &Snapshot,
        cx: &mut Task<'_>,
    ) -> Poll<Came> {
        loop {
            let step = match self.context.borrow_mut().bodies.of(lane) {
                Some(pipeline) => pipeline.step(),
                None => Step::Over,
            };
            if !matches!(step, Step::Parked)
                && let Some(fault) = self.owed(lane)
            {
                let failure = Failure::Plugin(fault);
                return Poll::Ready(Came::Stopped(Stop::Failure(failure)));
            }
            let outcome = match step {
                Step::Pass(bytes) => return Poll::Ready(Came::Data(bytes)),
                Step::More => {
                    self.tell_kept(lane, snapshot);
                    return Poll::Ready(Came::More);
                }
                Step::Over => return Poll::Ready(self.flow_over(lane)),
                Step::Call(owner, hook) => self.call_body(lane, owner, hook, snapshot),
                Step::Parked => match self.poll_lane(lane, cx) {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => {
                        self.tell_kept(lane, snapshot);
                        return Poll::Pending;
                    }
                },
            };
            if let Some(stop) = self.judge_body(lane, outcome, snapshot) {
                return Poll::Ready(Came::Stopped(stop));
            }
        }
    }

    /// The exchange is over: what plugins keep of its bodies goes, and with it what belongs to them.
    pub(super) fn close_flows(&self, snapshot: &Snapshot) {
        for lane in LANES {
            if let Some(pipeline) = self.context.borrow_mut().bodies.of(lane) {
                pipeline.clear();
            }
            self.tell_kept(lane, snapshot);
            let gone = self.context.borrow_mut().bodies.take(lane);
            drop(gone);
        }
    }

    /// Keeps the account of what plugins keep.
    fn tell_kept(&self, lane: Lane, snapshot: &Snapshot) {
        let mut context = self.context.borrow_mut();
        let Some(pipeline) = context.bodies.of(lane) else {
            return;
        };
        pipeline.tell_kept(|at, now, before| {
            if let Some(link) = self.plan(snapshot).chain.link_of(at) {
                let usage = link.instance.stats(self.worker.worker).usage();
                if now > before {
                    usage.buffered.raise(now - before);
                } else {
                    usage.buffered.lower(before - now);
                }
            }
        });
    }

    /// Bytes arrived.
    pub(super) fn feed(&self, lane: Lane, bytes: Bytes) {
        if let Some(pipeline) = self.context.borrow_mut().bodies.of(lane) {
            pipeline.feed(bytes);
        }
    }

    /// A body ended.
    pub(super) fn feed_end(&self, lane: Lane, trailers: Option<HeaderMap>) {
        if let Some(pipeline) = self.context.borrow_mut().bodies.of(lane) {
            pipeline.end(trailers);
        }
    }

    /// How long a body will be, if all of it has passed its plugins and is followed by no fields. `first` was taken
    /// already.
    pub(super) fn flow_len(&self, lane: Lane, first: &Bytes) -> Option<u64> {
        let mut context = self.context.borrow_mut();
        let pipeline = context.bodies.of(lane)?;
        if pipeline.trailers().is_some() {
            return None;
        }
        Some(pipeline.known_len()? + first.len() as u64)
    }

    /// Whether all of a body has passed its plugins and was taken.
    pub(super) fn flow_is_over(&self, lane: Lane) -> bool {
        let mut context = self.context.borrow_mut();
        let over = |pipeline: &mut Pipeline| {
            pipeline.known_len() == Some(0)
                && pipeline.running().is_none()
                && pipeline.trailers().is_none()
        };
        context.bodies.of(lane).is_none_or(over)
    }

    fn flow_over(&self, lane: Lane) -> Came {
        let mut context = self.context.borrow_mut();
        let pipeline = context.bodies.of(lane);
        match pipeline.and_then(Pipeline::take_trailers) {
            Some(mut fields) => {
                // What a plugin added is held to the same rule as what came.
                trailers::clean(&mut fields);
                Came::Trailers(fields)
            }
            None => Came::Over,
        }
    }

    fn call_body(
        self: &Rc<Self>,
        lane: Lane,
        of: usize,
        hook: Hook,
        snapshot: &Snapshot,
    ) -> Outcome {
        let chain = &self.plan(snapshot).chain;
        let phase = match hook {
            Hook::Body(_) => body_phase(lane),
            Hook::Trailers => Phase::Trailers,
        };
        let call = Call {
            phase,
            lane,
            flags: hook.flags(),
        };
        let mut links = chain.of(phase).iter();
        match links.position(|link| owner(&link.instance) == of) {
            Some(at) => self.call(chain, call, at, snapshot),
            None => Outcome::Continue,
        }
    }

    fn judge_body(&self, lane: Lane, outcome: Outcome, snapshot: &Snapshot) -> Option<Stop> {
        let mut context = self.context.borrow_mut();
        let verdict = match outcome {
            Outcome::Continue => Verdict::Continue,
            Outcome::Buffer => Verdict::Buffer,
            Outcome::Pending(_) => Verdict::Pending,
            Outcome::Out => Verdict::Out,
            Outcome::Answer => return context.answer.take().map(Stop::Answer),
            Outcome::Fail(fault) => return Some(Stop::Failure(Failure::Plugin(fault))),
        };
        let settled = context.bodies.of(lane)?.settle(verdict);
        settled
            .err()
            .map(|overflow| self.overflow(lane, overflow, snapshot))
    }

    #[cold]
    fn overflow(&self, lane: Lane, overflow: Overflow, snapshot: &Snapshot) -> Stop {
        let link = self.plan(snapshot).chain.link_of(overflow.at);
        let plugin = link.map_or_else(String::new, |link| {
            let phase = body_phase(lane);
            let stats = link.instance.stats(self.worker.worker);
            stats.phase(phase).count_error();
            link.name()
        });
        Stop::Failure(Failure::KeepsTooMuch {
            plugin,
            lane,
            limit: overflow.limit,
        })
    }
}

fn body_phase(lane: Lane) -> Phase {
    match lane {
        Lane::Request => Phase::RequestBody,
        Lane::Response => Phase::BodyFilter,
    }
}
