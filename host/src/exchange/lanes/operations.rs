//! What hooks began: each operation is a task of this worker, and is started once its hook has returned.

use std::pin::pin;
use std::rc::Rc;

use swapgate_abi as abi;
use tokio::task::JoinHandle;

use super::Exchange;
use crate::context::scope::Place;
use crate::ops::Done;
use crate::panics;
use crate::snapshot::Snapshot;
use crate::wake;

impl Exchange {
    /// Starts what was begun, and lets go of what instances left that are out of this exchange.
    pub(super) fn settle(self: &Rc<Self>, snapshot: &Snapshot) {
        if self.context.borrow().scope.is_some() {
            // Also where only a wake token was asked for.
            self.make_known();
            self.start_operations(snapshot);
        }
        if !self.skipped.borrow().is_empty() {
            self.expel(snapshot);
        }
    }

    /// Starts what hooks began, each as a task of this worker that holds the exchange only weakly.
    fn start_operations(self: &Rc<Self>, snapshot: &Snapshot) {
        let fresh = match &mut self.context.borrow_mut().scope {
            Some(scope) if scope.fresh > 0 => scope.take_fresh(),
            _ => return,
        };
        drop(fresh.unwanted);
        for (token, owner, begin) in fresh.begun {
            let weak = Rc::downgrade(self);
            let link = self.link(snapshot, owner);
            let counted = link.map(|link| link.instance.count_operation(self.worker.worker));
            let task = on_the_side(async move {
                let operation = pin!(async { begin().await });
                let done = panics::isolated(panics::Part::Exchange, operation).await;
                drop(counted);
                let done = done.unwrap_or_else(|panicked| {
                    panicked.say();
                    Done::with(abi::SG_E_FAILED)
                });
                if let Some(exchange) = weak.upgrade() {
                    exchange.operation_done(token, done);
                }
            });
            if let Some(scope) = &mut self.context.borrow_mut().scope {
                scope.started(token, task.abort_handle());
            }
        }
    }

    pub(super) fn end_operations(&self, chosen: impl Fn(Place) -> bool) {
        let ended = match &mut self.context.borrow_mut().scope {
            Some(scope) => scope.end_all(chosen),
            None => return,
        };
        wake::retire(&ended);
    }
}

/// Starts what an exchange has to do beside its sequence.
pub(super) fn on_the_side(task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    tokio::task::spawn_local(panics::contained(panics::Part::Exchange, task))
}
