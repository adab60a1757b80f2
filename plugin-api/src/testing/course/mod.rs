//! The way of one exchange through the hooks of a plugin: which is called next, and what its answer does.

mod answer;
mod way;

use swapgate_abi::{SgPlugin, code};

pub(in crate::testing) use way::Way;

use super::exchange::{Exchange, Phase};
use super::outcome::Failure;
use crate::guest::hooks::Lane;
use crate::guest::response::Response;

/// A hook to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) struct Call {
    pub(in crate::testing) phase: Phase,
    pub(in crate::testing) lane: Lane,
    /// The last argument of hooks of bodies.
    pub(in crate::testing) flags: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Before,
    Rewrite,
    Access,
    HeaderFilter,
    Body,
    Trailers,
    Done,
}

/// The end of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    Log,
    Last,
    Over,
}

/// What is to be done next.
enum Step {
    Call(Call),
    Moved,
    Blocked,
}

/// The whole of it.
#[derive(Debug)]
pub(in crate::testing) struct Course {
    ways: [Way; 2],
    end: End,
    needs: [u32; 2],
    global: bool,
    routed: bool,
    /// The answer comes as soon as the head of the request is out.
    early: bool,
    has_body: bool,
    pub(in crate::testing) upstream: Option<Response>,
    upstream_chunks: Option<Vec<Vec<u8>>>,
    upstream_trailers: bool,
    upstream_open: bool,
    pub(in crate::testing) answer: Option<Response>,
    pub(in crate::testing) reached_upstream: bool,
    /// The head of the answer, once there is one; taken by the one who drives.
    pub(in crate::testing) head: Option<Response>,
    pub(in crate::testing) failures: Vec<Failure>,
    panicked: bool,
    pub(in crate::testing) reset: bool,
    pub(in crate::testing) cancelled: bool,
}

impl Course {
    pub(in crate::testing) fn new(exchange: &Exchange, needs: [u32; 2]) -> Self {
        let mut request = Way::new(Stage::Rewrite);
        for chunk in &exchange.body {
            request.feed(chunk);
        }
        request.ended = !exchange.open_body;
        request.trailers = exchange.trailers.iter().len() > 0;
        Self {
            ways: [request, Way::new(Stage::Before)],
            end: End::NotYet,
            global: exchange.global,
            needs,
            routed: exchange.route.is_some(),
            early: exchange.early,
            has_body: exchange.method != "HEAD",
            upstream: Some(exchange.upstream.clone()),
            upstream_chunks: exchange.upstream_chunks.clone(),
            upstream_trailers: exchange.upstream_trailers.iter().len() > 0,
            upstream_open: exchange.upstream_open,
            answer: None,
            reached_upstream: false,
            head: None,
            failures: Vec::new(),
            panicked: false,
            reset: false,
            cancelled: false,
        }
    }

    pub(in crate::testing) fn way(&mut self, lane: Lane) -> &mut Way {
        match lane {
            Lane::Request => &mut self.ways[0],
            Lane::Response => &mut self.ways[1],
        }
    }

    /// Whether the plugin said that it changes nothing in this lane.
    pub(in crate::testing) fn only_observes(&self, lane: Lane) -> bool {
        let place = usize::from(lane == Lane::Response);
        self.needs[place] <= code::SG_BODY_OBSERVE
    }

    pub(in crate::testing) fn waiting(&self, lane: Lane) -> Option<Call> {
        match lane {
            Lane::Request => self.ways[0].waiting,
            Lane::Response => self.ways[1].waiting,
        }
    }

    pub(in crate::testing) fn is_waiting(&self) -> bool {
        self.ways.iter().any(|way| way.waiting.is_some())
    }

    pub(in crate::testing) fn is_over(&self) -> bool {
        self.end == End::Over
    }

    /// Whether an answer has begun, so that no plugin can make one any more.
    pub(in crate::testing) fn has_begun(&self) -> bool {
        self.ways[1].stage > Stage::Before
    }

    /// The client is gone.
    pub(in crate::testing) fn cancel(&mut self) {
        self.cancelled = true;
        for way in &mut self.ways {
            way.waiting = None;
            way.stage = Stage::Done;
        }
    }

    /// The next hook to call, if there is one that can be called.
    pub(in crate::testing) fn next(&mut self, plugin: &SgPlugin) -> Option<Call> {
        loop {
            let request = self.request(plugin);
            if let Step::Call(call) = request {
                return Some(call);
            }
            let response = self.response(plugin);
            if let Step::Call(call) = response {
                return Some(call);
            }
            let end = self.finish(plugin);
            if let Step::Call(call) = end {
                return Some(call);
            }
            if matches!(
                (request, response, end),
                (Step::Blocked, Step::Blocked, Step::Blocked)
            ) {
                return None;
            }
        }
    }

    fn request(&mut self, plugin: &SgPlugin) -> Step {
        let (global, live) = (self.global, !self.panicked);
        let way = &mut self.ways[0];
        if way.waiting.is_some() {
            return Step::Blocked;
        }
        let lane = Lane::Request;
        match way.stage {
            Stage::Rewrite => {
                way.stage = Stage::Access;
                call(
                    global && live && plugin.rewrite.is_some(),
                    Phase::Rewrite,
                    lane,
                    0,
                )
            }
            Stage::Access if !self.routed => {
                self.answer = Some(gateway(404));
                self.ways[0].stage = Stage::Done;
                Step::Moved
            }
            Stage::Access => {
                way.stage = Stage::Body;
                call(live && plugin.access.is_some(), Phase::Access, lane, 0)
            }
            Stage::Body => {
                let sees = plugin.request_body.is_some() && plugin.request_body_need != 0;
                body(way, sees && live, Phase::RequestBody, lane)
            }
            Stage::Trailers => {
                way.stage = Stage::Done;
                let sees = plugin.trailers.is_some() && plugin.request_body_need != 0;
                let sees = sees && live && !way.ignored && way.trailers;
                call(sees, Phase::Trailers, lane, code::SG_LANE_REQUEST)
            }
            Stage::Before | Stage::HeaderFilter | Stage::Done => Step::Blocked,
        }
    }

    fn response(&mut self, plugin: &SgPlugin) -> Step {
        let live = !self.panicked;
        let asked = self.ways[0].stage;
        let way = &mut self.ways[1];
        if way.waiting.is_some() {
            return Step::Blocked;
        }
        let lane = Lane::Response;
        match way.stage {
            Stage::Before => {
                let out = self.early && asked >= Stage::Body && self.ways[0].waiting.is_none();
                if asked == Stage::Done && self.ways[0].waiting.is_none() || out {
                    self.begin_answer();
                    return Step::Moved;
                }
                Step::Blocked
            }
            Stage::HeaderFilter => {
                way.stage = Stage::Body;
                let has = live && plugin.header_filter.is_some();
                call(has, Phase::HeaderFilter, lane, 0)
            }
            Stage::Body if !self.has_body => {
                way.stage = Stage::Done;
                Step::Moved
            }
            Stage::Body => {
                let sees = plugin.body_filter.is_some() && plugin.response_body_need != 0;
                body(way, sees && live, Phase::BodyFilter, lane)
            }
            Stage::Trailers => {
                way.stage = Stage::Done;
                let sees = plugin.trailers.is_some() && plugin.response_body_need != 0;
                let sees = sees && live && !way.ignored && way.trailers;
                call(sees, Phase::Trailers, lane, code::SG_LANE_RESPONSE)
            }
            Stage::Rewrite | Stage::Access | Stage::Done => Step::Blocked,
        }
    }

    fn finish(&mut self, plugin: &SgPlugin) -> Step {
        let done = self.ways[1].stage == Stage::Done && !self.is_waiting();
        match self.end {
            End::NotYet if done => {
                // An answer that was made early is all there is; the rest of the request is not read.
                self.ways[0].stage = Stage::Done;
                self.end = End::Log;
                Step::Moved
            }
            End::Log => {
                self.end = End::Last;
                let has = plugin.log.is_some() && !self.panicked;
                call(has, Phase::Log, Lane::Response, 0)
            }
            End::Last => {
                self.end = End::Over;
                let has = plugin.request_end.is_some();
                call(has, Phase::RequestEnd, Lane::Response, 0)
            }
            End::NotYet | End::Over => Step::Blocked,
        }
    }

    /// The head of an answer is there.
    fn begin_answer(&mut self) {
        let made = self.answer.take();
        self.reached_upstream = made.is_none();
        let from_upstream = made.is_none();
        let answer = made.or_else(|| self.upstream.take());
        let answer = answer.unwrap_or_else(|| gateway(502));
        self.has_body &= !matches!(answer.status, 204 | 304);
        let way = &mut self.ways[1];
        way.stage = Stage::HeaderFilter;
        way.ended = true;
        match self.upstream_chunks.take().filter(|_| from_upstream) {
            Some(chunks) => way.incoming.extend(chunks),
            None if answer.body.is_empty() => {}
            None => way.feed(&answer.body),
        }
        if from_upstream {
            way.ended = !self.upstream_open;
            way.trailers = self.upstream_trailers;
        }
        self.head = Some(answer);
    }
}

fn call(has: bool, phase: Phase, lane: Lane, flags: u32) -> Step {
    if has {
        Step::Call(Call { phase, lane, flags })
    } else {
        Step::Moved
    }
}

/// The next piece of a body, seen or passed on unseen.
fn body(way: &mut Way, sees: bool, phase: Phase, lane: Lane) -> Step {
    if way.end_told {
        way.stage = Stage::Trailers;
        return Step::Moved;
    }
    let Some(flags) = way.arrive() else {
        return Step::Blocked;
    };
    if sees && !way.ignored {
        return Step::Call(Call { phase, lane, flags });
    }
    way.window.pass(&mut way.passed);
    Step::Moved
}

/// An answer the gateway makes.
pub(in crate::testing) fn gateway(status: u16) -> Response {
    Response::problem(status, "made by the gateway", "")
}
