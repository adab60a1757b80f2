//! Calling the hooks of one link, and what follows from what they answer.

use std::sync::Arc;

use swapgate_abi as abi;

use super::call::{Call, Matched, Skipped};
use super::outcome::{May, Verdict};
use super::run::Watch;
use super::{Link, Outcome, trace};
use crate::config::ready::OnError;
use crate::context::{Context, Frame, Lane, Phase, Waits};
use crate::fault::breaker::Fault;
use crate::fault::tell;
use crate::mark::{self, Mark};
use crate::plugin::account::HookStats;
use crate::plugin::ffi::event::{Happened, Place};
use crate::plugin::ffi::request;
use crate::plugin::instance::Instance;
use crate::respond::plugin::PluginFault;

impl Link {
    /// Makes the last call of an exchange.
    pub fn end(&self, context: &mut Context, matched: Matched<'_>) {
        trace::ended(self, context, matched);
        let bound = self.instance.bound();
        let label = self.instance.label();
        if !label.health.is_closed() {
            tell::turned(label, label.health.ended(context.token));
        }
        if bound.has(Phase::RequestEnd) {
            self.instance
                .stats(matched.worker)
                .phase(Phase::RequestEnd)
                .count_call();
        } else if context.states.is_empty() {
            return;
        }
        let mark = self.mark(Phase::RequestEnd, context, matched);
        request::end(
            bound,
            &mut self.frame(Phase::RequestEnd.into(), context, matched),
        );
        drop(mark);
    }

    fn mark(&self, phase: Phase, context: &Context, matched: Matched<'_>) -> Mark {
        let route = matched.names.map_or(0, |names| names.mark);
        let request = context.request_id.as_bytes();
        let label = self.instance.label().index;
        mark::enter(label, phase, route, context.token, request)
    }

    /// Makes one call, unless the exchange or the breaker passes the instance over.
    pub(super) fn call(
        &self,
        call: Call,
        context: &mut Context,
        skipped: &mut Skipped,
        matched: Matched<'_>,
    ) -> Outcome {
        let owner = owner(&self.instance);
        if skipped.contains(owner, call.waits_in()) {
            return Outcome::Continue;
        }
        // What an earlier plugin left unused must not become this one's answer or reason.
        context.answer = None;
        context.error = None;
        let label = self.instance.label();
        if !label.health.is_closed() && !admitted(&self.instance, call, context.token) {
            return self.left_alone(call.phase, skipped);
        }
        let mark = self.mark(call.phase, context, matched);
        let began = trace::begin();
        let Some(code) = request::call(
            self.instance.bound(),
            &mut self.frame(call, context, matched),
            call.flags,
        ) else {
            return Outcome::Continue;
        };
        drop(mark);
        trace::returned(&began, self, call.phase, code, context);
        let stats = self.instance.stats(matched.worker).phase(call.phase);
        stats.count_call();
        if code == abi::SG_CONTINUE {
            return self.good(Outcome::Continue, context.token);
        }
        let outcome = self.judge(code, call, stats, context, skipped);
        self.good(outcome, context.token)
    }

    /// Takes note of a good end while the breaker is not closed. One word is read otherwise.
    fn good(&self, outcome: Outcome, token: u64) -> Outcome {
        let health = &self.instance.label().health;
        if !health.is_closed() && matches!(outcome, Outcome::Continue | Outcome::Answer) {
            health.proved(token);
        }
        outcome
    }

    /// Tells an instance what happened. `call` is that of the hook which waits for it; its outcome is what `on_event`
    /// answers. If none waits, the event is only told.
    pub fn tell(
        &self,
        happened: &Happened,
        lane: Lane,
        call: Option<Call>,
        (context, skipped): (&mut Context, &mut Skipped),
        matched: Matched<'_>,
    ) -> Outcome {
        let mut watch = Watch::start(context.token);
        let told = Call {
            phase: Phase::OnEvent,
            lane,
            flags: 0,
        };
        let waiting = call.unwrap_or(told);
        let place = Place {
            lane: lane.number(),
            phase: call.map_or(0, |call| call.phase.number()),
            flags: waiting.flags & abi::SG_BODY_END,
        };
        let mark = self.mark(Phase::OnEvent, context, matched);
        let began = trace::begin();
        let Some(code) = request::tell(
            self.instance.bound(),
            &mut self.frame(waiting, context, matched),
            happened,
            place,
        ) else {
            return Outcome::Continue;
        };
        drop(mark);
        trace::returned(&began, self, Phase::OnEvent, code, context);
        watch.lap(self, Phase::OnEvent, matched.worker);
        let stats = self.instance.stats(matched.worker).phase(Phase::OnEvent);
        stats.count_call();
        // Nobody waits for what it answers to a cancellation, unless it panicked.
        let ignored = matches!(happened, Happened::Cancel(_)) && code != abi::SG_E_PANIC;
        if ignored {
            return Outcome::Continue;
        }
        let outcome = match code {
            abi::SG_CONTINUE => Outcome::Continue,
            _ => self.judge(code, waiting, stats, context, skipped),
        };
        // What is only told waits for nobody's answer.
        match call {
            Some(_) => self.good(outcome, context.token),
            None => outcome,
        }
    }

    /// What follows from a hook that waits and will not be told any more.
    #[cold]
    pub fn given_up(&self, code: i32, call: Call, worker: usize, why: &str) -> Outcome {
        self.instance.stats(worker).phase(call.phase).count_error();
        let label = self.instance.label();
        tell::turned(label, label.health.fault(Fault::Error));
        self.failed(code, Verdict::Error, call.phase, Some(why.to_owned()))
    }

    /// What follows from an answer that is not "continue".
    fn judge(
        &self,
        code: i32,
        call: Call,
        stats: &HookStats,
        context: &mut Context,
        skipped: &mut Skipped,
    ) -> Outcome {
        let bound = self.instance.bound();
        let ended = call.flags & abi::SG_BODY_END != 0;
        let may = May {
            wait: call.phase.may_wait() && bound.has(Phase::OnEvent),
            buffer: !ended && bound.may_buffer(call.phase),
        };
        let verdict = match Verdict::of(code, call.phase, may) {
            Verdict::Continue => return Outcome::Continue,
            Verdict::Pending => return Outcome::Pending(0),
            Verdict::Buffer => return Outcome::Buffer,
            Verdict::Respond if context.answer.is_some() => return Outcome::Answer,
            // It promised an answer and made none: nothing that could be sent.
            Verdict::Respond => Verdict::Unknown,
            other => other,
        };
        stats.count_error();
        let fault = match verdict {
            Verdict::Panic => Fault::Panic,
            Verdict::Unknown => Fault::Unknown,
            _ => Fault::Error,
        };
        let label = self.instance.label();
        tell::turned(label, label.health.fault(fault));
        if verdict == Verdict::Panic {
            stats.count_panic();
            skipped.add(owner(&self.instance), None);
        }
        self.failed(code, verdict, call.phase, context.error.take())
    }

    fn frame<'a>(
        &'a self,
        call: Call,
        context: &'a mut Context,
        matched: Matched<'a>,
    ) -> Frame<'a> {
        let events = self.instance.bound().has(Phase::OnEvent);
        let over = matches!(call.phase, Phase::Log | Phase::RequestEnd);
        Frame {
            context,
            table: matched.table,
            names: matched.names,
            leads: matched.leads,
            phase: call.phase,
            lane: call.lane,
            owner: owner(&self.instance),
            waits: if events && !over {
                Waits::May
            } else {
                Waits::Never
            },
            keeper: Some(&self.instance),
        }
    }

    /// The breaker is open: as if the plugin had failed, but it is not called and nothing is counted.
    #[cold]
    fn left_alone(&self, phase: Phase, skipped: &mut Skipped) -> Outcome {
        // Its later hooks would not know what they are about.
        skipped.add(owner(&self.instance), None);
        if self.on_error == OnError::Open || phase == Phase::Log {
            return Outcome::Continue;
        }
        Outcome::Fail(PluginFault {
            plugin: self.instance.label().to_string(),
            phase,
            code: 0,
            text: None,
            left_alone: true,
        })
    }

    #[cold]
    fn failed(&self, code: i32, verdict: Verdict, phase: Phase, text: Option<String>) -> Outcome {
        let identity = self.instance.identity();
        let fault = PluginFault {
            plugin: self.name(),
            phase,
            code,
            text,
            left_alone: false,
        };
        tracing::error!(target: "exchange", plugin = %identity.id, version = %identity.version, %phase, code, "{fault}");
        if self.on_error == OnError::Open && verdict != Verdict::Unknown {
            return Outcome::Out;
        }
        Outcome::Fail(fault)
    }
}

/// Whether an exchange may call a plugin whose breaker is not closed. Its first hook decides; an exchange that was let in
/// goes on, for the later hooks are about what the earlier ones did.
#[cold]
fn admitted(instance: &Instance, call: Call, token: u64) -> bool {
    const EARLIER: [Phase; 4] = [
        Phase::Access,
        Phase::RequestBody,
        Phase::HeaderFilter,
        Phase::BodyFilter,
    ];
    let begins = call.flags & abi::SG_BODY_FIRST != 0;
    let (earlier, may_be) = match (call.phase, call.lane) {
        // Not counted below: `rewrite` of an instance that is no global one is never called.
        (Phase::Rewrite | Phase::Access, _) => (0, true),
        (Phase::RequestBody, _) => (1, begins),
        (Phase::HeaderFilter, _) | (Phase::Trailers, Lane::Request) => (2, true),
        (Phase::BodyFilter, _) => (3, begins),
        // Few messages have trailers, so these two may both be the first, which asks twice.
        (Phase::Trailers, Lane::Response) | (Phase::Log, _) => (4, true),
        _ => (0, false),
    };
    let mut earlier = EARLIER.iter().take(earlier);
    if !may_be || earlier.any(|phase| instance.bound().takes_part(*phase)) {
        return true;
    }
    let label = instance.label();
    let (admitted, turn) = label.health.admits(token);
    tell::turned(label, turn);
    admitted
}

/// How an exchange tells instances apart: no two that live at the same time share an address.
#[must_use]
pub fn owner(instance: &Arc<Instance>) -> usize {
    Arc::as_ptr(instance).addr()
}
