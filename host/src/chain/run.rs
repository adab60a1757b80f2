//! Walking a chain through one phase.

use std::time::Instant;

use super::call::{Call, Matched, Skipped};
use super::{Chain, Link, Outcome};
use crate::context::{Context, Phase};

impl Chain {
    /// Runs one phase from a place on. In `log` every link runs, whatever the others answered.
    pub fn run(
        &self,
        phase: Phase,
        from: usize,
        context: &mut Context,
        skipped: &mut Skipped,
        matched: Matched<'_>,
    ) -> Outcome {
        let call = Call::from(phase);
        let mut watch = Watch::start(context.token);
        for (at, link) in self.of(phase).iter().enumerate().skip(from) {
            let outcome = link.call(call, context, skipped, matched);
            watch.lap(link, phase, matched.worker);
            match outcome {
                Outcome::Continue | Outcome::Out => {}
                _ if phase == Phase::Log => {}
                Outcome::Pending(_) => return Outcome::Pending(at),
                other => return other,
            }
        }
        Outcome::Continue
    }

    /// Makes one call to the link at a place of a phase. Past the end nobody wants anything.
    pub fn call(
        &self,
        call: Call,
        at: usize,
        context: &mut Context,
        skipped: &mut Skipped,
        matched: Matched<'_>,
    ) -> Outcome {
        let Some(link) = self.of(call.phase).get(at) else {
            return Outcome::Continue;
        };
        let mut watch = Watch::start(context.token);
        let outcome = link.call(call, context, skipped, matched);
        watch.lap(link, call.phase, matched.worker);
        match outcome {
            Outcome::Pending(_) => Outcome::Pending(at),
            other => other,
        }
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
pub(super) struct Watch(Option<Instant>);

impl Watch {
    /// Tokens of a worker count its exchanges.
    pub(super) fn start(token: u64) -> Self {
        const ONE_IN: u64 = 64;
        Self(token.is_multiple_of(ONE_IN).then(Instant::now))
    }

    /// A hook has returned.
    pub(super) fn lap(&mut self, link: &Link, phase: Phase, worker: usize) {
        if let Some(before) = &mut self.0 {
            let now = Instant::now();
            let stats = link.instance.stats(worker).phase(phase);
            stats.count_time(now.duration_since(*before));
            *before = now;
        }
    }
}
