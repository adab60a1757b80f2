//! The hooks of an instance outside of exchanges. Called on the thread for foreign calls.

use swapgate_abi::SgEvent;

use super::control::{RawInstance, Table};
use super::event::{Happened, Place};

impl Table {
    /// Tells an instance that a period is over; none if it has no hook for that.
    #[must_use]
    pub fn on_tick(&self, instance: RawInstance) -> Option<i32> {
        let on_tick = self.hooks.on_tick?;
        // SAFETY: the library is mapped, for whoever calls holds this table; the instance came from `configure` of it and
        // is not destroyed, for its background ends before that.
        Some(unsafe { on_tick(instance.pointer()) })
    }

    /// Tells an instance what happened; none if it has no hook for that.
    #[must_use]
    pub fn on_op_done(&self, instance: RawInstance, happened: &Happened) -> Option<i32> {
        let on_op_done = self.hooks.on_op_done?;
        let tell = |event: &SgEvent| {
            // SAFETY: as above; the event and what it points to live until `tell` returns.
            unsafe { on_op_done(instance.pointer(), &raw const *event) }
        };
        Some(happened.tell(Place::default(), tell))
    }
}
