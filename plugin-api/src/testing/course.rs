//! The way of one exchange through the hooks of a plugin: which is called next, and what its answer does.

use std::collections::VecDeque;

use swapgate_abi::{SgPlugin, code};

use super::exchange::{Exchange, Failure, Phase};
use super::window::{LIMIT, Window};
use crate::guest::hooks::Lane;
use crate::guest::response::Response;
use crate::status::{HookResult, HostError};

/// A hook to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) phase: Phase,
    pub(super) lane: Lane,
    /// The last argument of hooks of bodies.
    pub(super) flags: u32,
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

/// One direction.
#[derive(Debug)]
pub(super) struct Way {
    stage: Stage,
    pub(super) window: Window,
    incoming: VecDeque<Vec<u8>>,
    /// Nothing more will be put in.
    ended: bool,
    /// A hook was told of the end.
    end_told: bool,
    first_told: bool,
    pub(super) ignored: bool,
    pub(super) waiting: Option<Call>,
    trailers: bool,
    passed: Vec<u8>,
}

impl Way {
    fn new(stage: Stage) -> Self {
        Self {
            stage,
            window: Window::default(),
            incoming: VecDeque::new(),
            ended: false,
            end_told: false,
            first_told: false,
            ignored: false,
            waiting: None,
            trailers: false,
            passed: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.incoming.push_back(bytes.to_vec());
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Takes the next piece into the window. None: there is none yet.
    fn arrive(&mut self) -> Option<u32> {
        let next = self.incoming.pop_front();
        if next.is_none() && !self.ended {
            return None;
        }
        self.window.arrive(next.unwrap_or_default());
        let mut flags = 0;
        if self.ended && self.incoming.is_empty() {
            self.end_told = true;
            flags |= code::SG_BODY_END;
        }
        if !std::mem::replace(&mut self.first_told, true) {
            flags |= code::SG_BODY_FIRST;
        }
        Some(flags)
    }

    pub(super) fn passed(&self) -> &[u8] {
        &self.passed
    }
}

/// What is to be done next.
enum Step {
    Call(Call),
    Moved,
    Blocked,
}

/// The whole of it.
#[derive(Debug)]
pub(super) struct Course {
    ways: [Way; 2],
    end: End,
    needs: [u32; 2],
    global: bool,
    routed: bool,
    /// The answer comes as soon as the head of the request is out.
    early: bool,
    has_body: bool,
    pub(super) upstream: Option<Response>,
    upstream_chunks: Option<Vec<Vec<u8>>>,
    upstream_trailers: bool,
    upstream_open: bool,
    pub(super) answer: Option<Response>,
    pub(super) reached_upstream: bool,
    /// The head of the answer, once there is one; taken by the one who drives.
    pub(super) head: Option<Response>,
    pub(super) failures: Vec<Failure>,
    panicked: bool,
    pub(super) reset: bool,
    pub(super) cancelled: bool,
}

impl Course {
    pub(super) fn new(exchange: &Exchange, needs: [u32; 2]) -> Self {
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

    pub(super) fn way(&mut self, lane: Lane) -> &mut Way {
        match lane {
            Lane::Request => &mut self.ways[0],
            Lane::Response => &mut self.ways[1],
        }
    }

    /// Whether the plugin said that it changes nothing in this lane.
    pub(super) fn only_observes(&self, lane: Lane) -> bool {
        let place = usize::from(lane == Lane::Response);
        self.needs[place] <= code::SG_BODY_OBSERVE
    }

    pub(super) fn waiting(&self, lane: Lane) -> Option<Call> {
        match lane {
            Lane::Request => self.ways[0].waiting,
            Lane::Response => self.ways[1].waiting,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.ways.iter().any(|way| way.waiting.is_some())
    }

    pub(super) fn is_over(&self) -> bool {
        self.end == End::Over
    }

    /// Whether an answer has begun, so that no plugin can make one any more.
    pub(super) fn has_begun(&self) -> bool {
        self.ways[1].stage > Stage::Before
    }

    /// The client is gone.
    pub(super) fn cancel(&mut self) {
        self.cancelled = true;
        for way in &mut self.ways {
            way.waiting = None;
            way.stage = Stage::Done;
        }
    }

    /// The next hook to call, if there is one that can be called.
    pub(super) fn next(&mut self, plugin: &SgPlugin) -> Option<Call> {
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

    /// What the answer of a hook does. `on_event` says whether the plugin can be told of events.
    pub(super) fn apply(&mut self, plugin: &SgPlugin, made: Call, code: i32, text: Option<String>) {
        let result = self.checked(plugin, made, HookResult::from_code(code));
        match result {
            Ok(HookResult::Pending) => self.way(made.lane).waiting = Some(made),
            Ok(HookResult::Buffer) => self.way(made.lane).window.keep(),
            Ok(HookResult::Respond) => self.ways[0].stage = Stage::Done,
            Ok(_) => {
                if matches!(made.phase, Phase::RequestBody | Phase::BodyFilter) {
                    let way = self.way(made.lane);
                    way.window.pass(&mut way.passed);
                }
            }
            Err((error, why)) => self.fail(made, error, text.unwrap_or(why)),
        }
    }

    /// Holds the answer against the contract.
    fn checked(
        &self,
        plugin: &SgPlugin,
        made: Call,
        result: HookResult,
    ) -> Result<HookResult, (HostError, String)> {
        let bad = |code: i32, why: &str| Err((HostError::Unknown(code), why.to_owned()));
        let (need, window) = match made.lane {
            Lane::Request => (plugin.request_body_need, &self.ways[0].window),
            Lane::Response => (plugin.response_body_need, &self.ways[1].window),
        };
        match result {
            HookResult::Failed(error) => Err((error, String::new())),
            HookResult::Unknown(code) => Err((HostError::Unknown(code), String::new())),
            HookResult::Pending if made.phase >= Phase::Log => {
                bad(code::SG_PENDING, "it would wait where the exchange is over")
            }
            HookResult::Pending if plugin.on_event.is_none() => {
                bad(code::SG_PENDING, "it would wait, but it has no on_event")
            }
            HookResult::Respond if self.answer.is_none() => {
                bad(code::SG_RESPOND, "it answered without calling respond()")
            }
            HookResult::Buffer => {
                let of_body = matches!(made.phase, Phase::RequestBody | Phase::BodyFilter);
                if !of_body || need != code::SG_BODY_BUFFER || made.flags & code::SG_BODY_END != 0 {
                    return bad(code::SG_BUFFER, "it may not buffer here");
                }
                let limit = usize::try_from(plugin.buffer_bytes).unwrap_or(LIMIT);
                let limit = if limit == 0 { LIMIT } else { limit.min(LIMIT) };
                if window.len() > limit {
                    return Err((
                        HostError::TooLarge,
                        "the body is too long to buffer".to_owned(),
                    ));
                }
                Ok(result)
            }
            HookResult::Continue | HookResult::Pending | HookResult::Respond => Ok(result),
        }
    }

    fn fail(&mut self, made: Call, error: HostError, text: String) {
        let phase = made.phase;
        self.failures.push(Failure { phase, error, text });
        self.panicked |= error == HostError::Panic;
        let status = match (error, made.lane) {
            (HostError::TooLarge, Lane::Request) => 413,
            (HostError::TooLarge, Lane::Response) => 502,
            _ => 500,
        };
        match phase {
            Phase::Rewrite | Phase::Access | Phase::RequestBody => {
                self.ways[0].stage = Stage::Done;
                if self.has_begun() {
                    self.reset = true;
                    self.ways[1].stage = Stage::Done;
                } else {
                    self.answer = Some(gateway(status));
                }
            }
            Phase::HeaderFilter => {
                self.head = Some(Response::new(status));
                self.ways[1].incoming.clear();
                self.ways[1].stage = Stage::Done;
            }
            Phase::BodyFilter | Phase::Trailers => {
                self.reset = true;
                self.ways[1].stage = Stage::Done;
            }
            Phase::Log | Phase::RequestEnd => {}
        }
    }

    /// A hook that does not wait was told of something and may not answer it.
    pub(super) fn told(&mut self, phase: Phase, code: i32) {
        if code != code::SG_CONTINUE {
            let text = "it was only told of an event, but answered it".to_owned();
            let error = HostError::Unknown(code);
            self.failures.push(Failure { phase, error, text });
        }
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
pub(super) fn gateway(status: u16) -> Response {
    Response::problem(status, "made by the gateway", "")
}
