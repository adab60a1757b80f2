//! Rounds of exchanges in which every hook is called in turn, and what comes of the time they took.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use swapgate_abi::{SG_BODY_END, SG_BODY_FIRST, SG_CONTINUE, SG_E_CANCELLED, SG_PENDING};

use super::{Cost, Sample};
use crate::context::{
    Context, Ends, Frame, HostName, Lane, Phase, RequestId, ResponseHead, RouteNames, Waits,
};
use crate::plugin::ffi::event::{Happened, Place};
use crate::plugin::ffi::request;
use crate::plugin::instance::Instance;
use crate::plugin::library::Loaded;
use crate::plugin::preflight::exchange::{self, OWNER};
use crate::router::table::Table;

/// How many exchanges are prepared at a time.
const BATCH: usize = 256;
/// How many batches there are at least; the first ones warm up.
const BATCHES: usize = 40;
const WARM: usize = 8;
/// The body of every request and answer.
pub(super) static BODY: [u8; 4096] = [b'x'; 4096];

/// An instance that is measured.
pub(super) struct Bench<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) instance: &'a Arc<Instance>,
    pub(super) sample: &'a Sample,
    pub(super) table: Table,
    pub(super) tokens: u64,
    pub(super) counting: bool,
}

/// One hook while it is measured.
struct Measured {
    phase: Phase,
    /// Nanoseconds a call, batch by batch.
    batches: Vec<f64>,
    allocations: u64,
    code: i32,
}

impl Bench<'_> {
    /// Takes the time of every hook.
    pub(super) fn all(&mut self, each: Duration) -> Vec<Cost> {
        let bound = self.instance.bound();
        let phases = Phase::answering().filter(|phase| bound.takes_part(*phase));
        let mut measured: Vec<Measured> = phases
            .chain(bound.has(Phase::RequestEnd).then_some(Phase::RequestEnd))
            .map(Measured::new)
            .collect();
        let began = Instant::now();
        let hooks = u32::try_from(measured.len()).unwrap_or(1).max(1);
        for batch in 0.. {
            let counts = batch >= WARM;
            self.batch(&mut measured, counts);
            if batch >= BATCHES && began.elapsed() >= each * hooks {
                break;
            }
        }
        measured
            .into_iter()
            .map(|one| one.cost(self.counting))
            .collect()
    }

    /// A number of exchanges from their first hook to their last.
    fn batch(&mut self, measured: &mut [Measured], counts: bool) {
        let mut contexts: Vec<Context> = (0..BATCH).map(|_| self.context()).collect();
        for one in measured {
            if one.phase.lane() == Lane::Response {
                contexts.iter_mut().for_each(answered);
            }
            let body = Bytes::from_static(&BODY);
            for context in &mut contexts {
                exchange::body(context, self.instance.bound(), one.phase, body.clone());
            }
            let before = self.allocations();
            let took = if one.phase == Phase::RequestEnd {
                self.end(&mut contexts)
            } else {
                one.code = SG_CONTINUE;
                self.call(one, &mut contexts)
            };
            if counts {
                one.allocations += self.allocations().saturating_sub(before);
                one.batches.push(nanoseconds(took) / as_float(BATCH));
            }
        }
        // Where there is no such hook this releases the states that were left.
        self.end(&mut contexts);
    }

    fn call(&self, one: &mut Measured, contexts: &mut [Context]) -> Duration {
        let flags = if one.phase.is_of_body() {
            SG_BODY_END | SG_BODY_FIRST
        } else {
            0
        };
        let began = Instant::now();
        for context in contexts.iter_mut() {
            let mut frame = self.frame(context, one.phase);
            one.code = request::call(self.instance.bound(), &mut frame, flags).unwrap_or(0);
        }
        let took = began.elapsed();
        if one.code == SG_PENDING {
            for context in contexts.iter_mut() {
                self.cancel(context, one.phase, flags);
            }
        }
        took
    }

    /// Nobody waits for what a hook waits for.
    fn cancel(&self, context: &mut Context, phase: Phase, flags: u32) {
        let mut frame = self.frame(context, phase);
        let place = Place {
            lane: phase.lane().number(),
            phase: phase.number(),
            flags: flags & SG_BODY_END,
        };
        let happened = Happened::Cancel(SG_E_CANCELLED);
        let _ = request::tell(self.instance.bound(), &mut frame, &happened, place);
    }

    fn end(&self, contexts: &mut Vec<Context>) -> Duration {
        let began = Instant::now();
        for context in contexts.iter_mut() {
            let mut frame = self.frame(context, Phase::RequestEnd);
            request::end(self.instance.bound(), &mut frame);
        }
        let took = began.elapsed();
        contexts.clear();
        took
    }

    fn allocations(&self) -> u64 {
        let memory = self.loaded.table().memory();
        memory.map_or(0, |memory| memory.allocations)
    }

    fn frame<'c>(&'c self, context: &'c mut Context, phase: Phase) -> Frame<'c> {
        Frame {
            context,
            table: &self.table,
            names: (phase != Phase::Rewrite).then_some(RouteNames {
                route: "bench",
                service: Some("bench"),
                mark: 0,
            }),
            phase,
            lane: phase.lane(),
            owner: OWNER,
            waits: Waits::Preflight,
            keeper: Some(self.instance),
            leads: None,
        }
    }

    fn context(&mut self) -> Context {
        self.tokens += 1;
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let mut context = Context::new(
            self.tokens,
            RequestId::Own([b'0'; 32]),
            self.sample.target.clone(),
            self.sample.method.clone(),
            self.sample.headers.clone(),
            Ends {
                peer: here,
                local: here,
                client: IpAddr::V4(Ipv4Addr::LOCALHOST),
                connection: Rc::default(),
            },
        );
        context.host = HostName::lower("bench.invalid");
        context
    }
}

/// Gives an exchange the answer that was made for it, or one of an upstream.
fn answered(context: &mut Context) {
    if context.response.is_none() {
        let made = context.answer.take().map(|answer| answer.head);
        context.response = Some(made.unwrap_or_else(|| ResponseHead {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
        }));
    }
}

impl Measured {
    fn new(phase: Phase) -> Self {
        Self {
            phase,
            batches: Vec::new(),
            allocations: 0,
            code: SG_CONTINUE,
        }
    }

    fn cost(mut self, counting: bool) -> Cost {
        self.batches.sort_by(f64::total_cmp);
        let calls = self.batches.len() * BATCH;
        let median = self.batches.get(self.batches.len() / 2).copied();
        let best = self.batches.first().copied();
        #[allow(clippy::cast_precision_loss, reason = "a mean")]
        let allocations = self.allocations as f64 / as_float(calls.max(1));
        Cost {
            hook: self.phase.name(),
            calls,
            ns_median: median.unwrap_or_default(),
            ns_best: best.unwrap_or_default(),
            allocations: counting.then_some(allocations),
            code: self.code,
        }
    }
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

#[allow(clippy::cast_precision_loss, reason = "counts of calls")]
fn as_float(number: usize) -> f64 {
    number as f64
}
