//! Calls of an instance's hooks for its background, where control calls plugins.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use swapgate_abi as abi;

use super::slot::Slot;
use crate::context::Phase;
use crate::fault::breaker::Fault;
use crate::fault::{label, tell};
use crate::ops::background::{Called, Hooks, Told};
use crate::plugin::account::InstanceAccount;
use crate::plugin::ffi::control::RawInstance;
use crate::plugin::ffi::event::Happened;
use crate::plugin::foreign::Foreign;
use crate::plugin::library::Loaded;

/// An instance, for the calls of its background. It ends before the instance is destroyed, so it need not hold it.
pub(super) struct Background {
    pub(super) slot: Arc<Slot>,
    pub(super) foreign: Foreign,
    pub(super) deadline: Duration,
    pub(super) loaded: Arc<Loaded>,
    pub(super) instance: RawInstance,
    pub(super) account: InstanceAccount,
}

impl Hooks for Background {
    fn takes_ticks(&self) -> bool {
        self.loaded.table().hooks.has(Phase::OnTick)
    }

    fn takes_events(&self) -> bool {
        self.loaded.table().hooks.has(Phase::OnOpDone)
    }

    fn count_pending(&self, more: i64) {
        let operations = &self.account.background().usage().operations;
        if more < 0 {
            operations.lower(more.unsigned_abs());
        } else {
            operations.raise(more.unsigned_abs());
        }
    }

    fn call(&self, told: Told, ended: Arc<AtomicBool>) -> Pin<Box<dyn Future<Output = Called>>> {
        let phase = match told {
            Told::Tick => Phase::OnTick,
            Told::Done(..) | Told::Wake => Phase::OnOpDone,
        };
        let (slot, foreign) = (Arc::clone(&self.slot), self.foreign.clone());
        let (loaded, instance) = (Arc::clone(&self.loaded), self.instance);
        let (deadline, account) = (self.deadline, self.account.clone());
        let (others, label) = (foreign.clone(), slot.label());
        let work = move || {
            // Asked here and not before: it may have ended, or another call got stuck, while this one waited for its turn.
            if ended.load(Ordering::Acquire) {
                return Err(Box::new(Called::Never));
            }
            // Only as long as that one runs: what was late once must not end the background of all for good.
            if others.stuck().iter().any(|late| late.plugin == label) {
                return Err(Box::new(Called::Late(told)));
            }
            let table = loaded.table();
            Ok(match told {
                Told::Tick => table.on_tick(instance),
                Told::Done(token, done) => table.on_op_done(instance, &Happened::Done(token, done)),
                Told::Wake => table.on_op_done(instance, &Happened::Wake),
            })
        };
        Box::pin(async move {
            match slot.call(&foreign, phase.name(), deadline, work).await {
                Ok(Ok(code)) => {
                    if let Some(code) = code {
                        count(&slot, &account, phase, code);
                    }
                    Called::Returned
                }
                Ok(Err(not)) => *not,
                Err(reason) => {
                    tracing::error!(plugin = slot.label(), hook = phase.name(), %reason, "the background of an instance stands still");
                    Called::Never
                }
            }
        })
    }
}

fn count(slot: &Slot, account: &InstanceAccount, phase: Phase, code: i32) {
    let stats = account.background().phase(phase);
    stats.count_call();
    if code == abi::SG_OK {
        return;
    }
    stats.count_error();
    let label = label::of(&slot.shown().fit.identity());
    let fault = match code {
        abi::SG_E_PANIC => Fault::Panic,
        _ => Fault::Error,
    };
    tell::turned(label, label.health.fault(fault));
    if code == abi::SG_E_PANIC {
        stats.count_panic();
    }
    tracing::warn!(
        plugin = slot.label(),
        hook = phase.name(),
        code,
        "a hook of the background failed"
    );
}
