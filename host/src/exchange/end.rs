//! The end of an exchange, which comes once whatever happened: who waits is told, `log` and `request_end` run, it is counted.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Exchange, Running};
use crate::context::Phase;
use crate::metrics::route::Entry;
use crate::panics::{self, Part};
use crate::snapshot::Snapshot;

impl Exchange {
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
            self.activity().exchange_ends(now);
            now
        });
        let generation = Rc::clone(&self.generation);
        let Some(snapshot) = generation.snapshot() else {
            return;
        };
        if snapshot.admission.overload.is_short() && !self.activity().is_stream() {
            // Kept alive, it would cost memory and bring nothing.
            self.activity().drain();
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
}

/// One step of an end. If it panics the next one comes all the same.
fn step(step: impl FnOnce()) {
    if let Err(panicked) = panics::caught(Part::Exchange, step) {
        panicked.say();
    }
}
