//! Walking a chain through one phase.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::outcome::Verdict;
use super::{Chain, Link, Outcome, PluginFault};
use crate::config::ready::OnError;
use crate::context::{Context, Frame, Phase, RouteNames};
use crate::plugin::ffi::request;
use crate::plugin::instance::Instance;
use crate::router::table::Table;

/// What an exchange was matched against.
#[derive(Clone, Copy)]
pub struct Matched<'a> {
    /// The table its parameters belong to.
    pub table: &'a Table,
    /// The matched route, if one was.
    pub names: Option<RouteNames<'a>>,
    /// The worker that serves it.
    pub worker: usize,
}

/// Instances that panicked in this exchange and get only `request_end` from here on.
#[derive(Debug, Default)]
pub struct Skipped(SmallVec<[usize; 2]>);

impl Skipped {
    fn contains(&self, owner: usize) -> bool {
        !self.0.is_empty() && self.0.contains(&owner)
    }
}

impl Chain {
    /// Runs one phase. In `log` every link runs, whatever the others answered.
    pub fn run(
        &self,
        phase: Phase,
        context: &mut Context,
        skipped: &mut Skipped,
        matched: Matched<'_>,
    ) -> Outcome {
        let mut watch = Watch::start(context.token);
        for link in self.of(phase) {
            let outcome = link.call(phase, context, skipped, matched);
            watch.lap(link, phase, matched.worker);
            match outcome {
                Outcome::Continue => {}
                _ if phase == Phase::Log => {}
                other => return other,
            }
        }
        Outcome::Continue
    }

    /// Makes the last call of an exchange to every instance, also to those that failed in it.
    pub fn end(&self, context: &mut Context, matched: Matched<'_>) {
        let mut watch = Watch::start(context.token);
        for link in &self.all {
            link.end(context, matched);
            if link.instance.bound().has(Phase::RequestEnd) {
                watch.lap(link, Phase::RequestEnd, matched.worker);
            }
        }
    }
}

/// Takes the time of hooks in one exchange of 64, with one clock read between two hooks.
struct Watch(Option<Instant>);

impl Watch {
    /// Tokens of a worker count its exchanges.
    fn start(token: u64) -> Self {
        const ONE_IN: u64 = 64;
        Self(token.is_multiple_of(ONE_IN).then(Instant::now))
    }

    fn lap(&mut self, link: &Link, phase: Phase, worker: usize) {
        if let Some(before) = &mut self.0 {
            let now = Instant::now();
            let stats = link.instance.stats(worker).phase(phase);
            stats.count_time(now.duration_since(*before));
            *before = now;
        }
    }
}

impl Link {
    /// Makes the last call of an exchange.
    pub fn end(&self, context: &mut Context, matched: Matched<'_>) {
        let bound = self.instance.bound();
        let owner = owner(&self.instance);
        if bound.has(Phase::RequestEnd) {
            self.instance
                .stats(matched.worker)
                .phase(Phase::RequestEnd)
                .count_call();
        } else if context.states.is_empty() {
            return;
        }
        request::end(
            bound,
            &mut frame(context, matched, Phase::RequestEnd, owner),
        );
    }

    fn call(
        &self,
        phase: Phase,
        context: &mut Context,
        skipped: &mut Skipped,
        matched: Matched<'_>,
    ) -> Outcome {
        let owner = owner(&self.instance);
        if skipped.contains(owner) {
            return Outcome::Continue;
        }
        // What an earlier plugin left unused must not become this one's answer or reason.
        context.answer = None;
        context.error = None;
        let Some(code) = request::call(
            self.instance.bound(),
            &mut frame(context, matched, phase, owner),
        ) else {
            return Outcome::Continue;
        };
        let stats = self.instance.stats(matched.worker).phase(phase);
        stats.count_call();
        let verdict = match Verdict::of(code, phase) {
            Verdict::Continue => return Outcome::Continue,
            Verdict::Respond if context.answer.is_some() => return Outcome::Answer,
            // It promised an answer and made none: nothing that could be sent.
            Verdict::Respond => Verdict::Unknown,
            other => other,
        };
        stats.count_error();
        if verdict == Verdict::Panic {
            stats.count_panic();
            skipped.0.push(owner);
        }
        self.failed(code, verdict, phase, context.error.take())
    }

    #[cold]
    fn failed(&self, code: i32, verdict: Verdict, phase: Phase, text: Option<String>) -> Outcome {
        let identity = self.instance.identity();
        let fault = PluginFault {
            plugin: format!("{}@{}", identity.id, identity.version),
            phase,
            code,
            text,
        };
        tracing::error!(target: "exchange", plugin = %identity.id, version = %identity.version, %phase, code, "{fault}");
        if self.on_error == OnError::Open && verdict != Verdict::Unknown {
            return Outcome::Continue;
        }
        Outcome::Fail(fault)
    }
}

/// How an exchange tells instances apart: no two that live at the same time share an address.
fn owner(instance: &Arc<Instance>) -> usize {
    Arc::as_ptr(instance).addr()
}

fn frame<'a>(
    context: &'a mut Context,
    matched: Matched<'a>,
    phase: Phase,
    owner: usize,
) -> Frame<'a> {
    Frame {
        context,
        table: matched.table,
        names: matched.names,
        phase,
        owner,
    }
}
