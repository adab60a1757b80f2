//! What happens when time passes: sleeps end, callouts are too late, instances tick.

use std::ffi::c_void;
use std::time::Duration;

use swapgate_abi::InstanceTok;

use super::{Background, Data, Doing, World};
use crate::status::HostError;

impl World {
    /// When the next thing happens by itself.
    pub(in crate::testing) fn next_time(&self) -> Option<Duration> {
        let ops = self.ops.values().filter_map(|op| match &op.doing {
            Doing::Sleep { until } | Doing::Http { until, .. } => Some(*until),
            _ => None,
        });
        ops.min()
    }

    fn next_tick(&self) -> Option<Duration> {
        let ticking = self.instances.values().filter(|it| !it.period.is_zero());
        ticking.map(|it| it.next_tick).min()
    }

    /// Goes on to the next thing that happens until then; true if there is one.
    pub(in crate::testing) fn go_on(&mut self, until: Duration) -> bool {
        let next = self.next_time().into_iter().chain(self.next_tick()).min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.clock = self.clock.max(until);
            return false;
        };
        self.clock = self.clock.max(next);
        let now = self.clock;
        let due = self
            .ops
            .iter()
            .filter_map(|(op, found)| match &found.doing {
                Doing::Sleep { until } if *until <= now => Some((*op, 0)),
                Doing::Http { until, .. } if *until <= now => {
                    Some((*op, HostError::Timeout.code()))
                }
                _ => None,
            });
        for (op, result) in due.collect::<Vec<_>>() {
            self.done(op, result, Data::Nothing);
        }
        true
    }

    /// The instances whose tick is due, which it is no more then.
    pub(in crate::testing) fn due_ticks(&mut self) -> Vec<*mut c_void> {
        let now = self.clock;
        let due = self
            .instances
            .values_mut()
            .filter(|it| !it.period.is_zero() && it.next_tick <= now);
        due.map(|it| {
            it.next_tick = now + it.period;
            it.made
        })
        .collect()
    }

    pub(in crate::testing) fn add_instance(&mut self, made: *mut c_void) -> InstanceTok {
        let token = self.number();
        let background = Background {
            made,
            period: Duration::ZERO,
            next_tick: Duration::ZERO,
        };
        self.instances.insert(token, background);
        token
    }

    pub(in crate::testing) fn tick_every(
        &mut self,
        token: InstanceTok,
        ms: u64,
    ) -> Result<(), HostError> {
        let now = self.clock;
        let found = self.instances.get_mut(&token).ok_or(HostError::Stale)?;
        if (1..10).contains(&ms) {
            return Err(HostError::Invalid);
        }
        found.period = Duration::from_millis(ms);
        found.next_tick = now + found.period;
        Ok(())
    }
}
