//! The functions of the gateway about waiting: operations, wake tokens, ticks, and the choice of the upstream.

use swapgate_abi::{InstanceTok, OpTok, ScopeTok, SgStr, WakeTok};

use super::{Gateway, Raw};
use crate::status::HostError;

impl Gateway {
    pub(crate) fn sleep(self, scope: ScopeTok, nanoseconds: u64) -> Result<OpTok, HostError> {
        let mut op = 0;
        let sleep = self.table().sleep;
        // SAFETY: the table is complete (new()), and `op` is a local of the right type.
        HostError::check(unsafe { sleep(self.host(), scope, nanoseconds, &raw mut op) })?;
        Ok(op)
    }

    pub(crate) fn op_cancel(self, scope: ScopeTok, op: OpTok) -> Result<(), HostError> {
        // SAFETY: the table is complete (new()); tokens are checked by the gateway.
        HostError::check(unsafe { (self.table().op_cancel)(self.host(), scope, op) })
    }

    pub(crate) fn waker(self, scope: ScopeTok) -> Result<WakeTok, HostError> {
        let mut token = 0;
        let waker = self.table().waker;
        // SAFETY: the table is complete (new()), and `token` is a local of the right type.
        HostError::check(unsafe { waker(self.host(), scope, &raw mut token) })?;
        Ok(token)
    }

    pub(crate) fn wake(self, token: WakeTok) -> Result<(), HostError> {
        // SAFETY: the table is complete (new()); any thread may wake, and a stale token is answered.
        HostError::check(unsafe { (self.table().wake)(self.host(), token) })
    }

    pub(crate) fn tick_every(self, instance: InstanceTok, ms: u64) -> Result<(), HostError> {
        // SAFETY: the table is complete (new()); any thread may ask for ticks, and a stale token is answered.
        HostError::check(unsafe { (self.table().tick_every)(self.host(), instance, ms) })
    }
}

impl Raw<'_> {
    /// Starts an operation that ends after so many nanoseconds. The SDK looks for it in vain when its event comes;
    /// [`ops::sleep`](crate::ops::sleep) is what waits.
    ///
    /// # Errors
    ///
    /// As `sleep` in the header.
    pub fn sleep(&mut self, nanoseconds: u64) -> Result<OpTok, HostError> {
        self.gateway().sleep(self.token(), nanoseconds)
    }

    /// Ends an operation without an event.
    ///
    /// # Errors
    ///
    /// As `op_cancel` in the header.
    pub fn op_cancel(&mut self, op: OpTok) -> Result<(), HostError> {
        self.gateway().op_cancel(self.token(), op)
    }

    /// The token that wakes this instance in the running lane.
    ///
    /// # Errors
    ///
    /// As `waker` in the header.
    pub fn waker(&mut self) -> Result<WakeTok, HostError> {
        self.gateway().waker(self.token())
    }

    /// Has a WAKE event handed over, to whomever the token belongs to.
    ///
    /// # Errors
    ///
    /// As `wake` in the header.
    pub fn wake(&self, token: WakeTok) -> Result<(), HostError> {
        self.gateway().wake(token)
    }

    /// Chooses where the request goes.
    ///
    /// # Errors
    ///
    /// As `upstream_set` in the header.
    pub fn upstream_set(&mut self, kind: u32, value: &str) -> Result<(), HostError> {
        let value = SgStr::new(value.as_bytes());
        let set = self.table().upstream_set;
        // SAFETY: the table is complete (new()); `value` is read during the call only.
        HostError::check(unsafe { set(self.host, self.token, kind, value) })
    }
}
