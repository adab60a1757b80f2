//! The functions of the gateway about what hooks of one exchange share: variables, states, the consumer, why one fails.

use std::ffi::c_void;
use std::ptr;

use swapgate_abi::{ReleaseFn, SgStr};

use super::Raw;
use crate::status::HostError;
use crate::view::Value;

impl Raw<'_> {
    /// A variable of this exchange.
    ///
    /// # Errors
    ///
    /// As `var_get` in the header.
    pub fn var_get(&self, name: &str) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        let name = SgStr::new(name.as_bytes());
        // SAFETY: the table is complete (new()); `name` is read during the call, `out` is a local.
        let code = unsafe { (self.table().var_get)(self.host, self.token, name, &raw mut out) };
        self.view(code, out)
    }

    /// Sets a variable of this exchange.
    ///
    /// # Errors
    ///
    /// As `var_set` in the header.
    pub fn var_set(&mut self, name: &str, value: &[u8]) -> Result<(), HostError> {
        let (name, value) = (SgStr::new(name.as_bytes()), SgStr::new(value));
        // SAFETY: the table is complete (new()); both texts are read during the call only.
        HostError::check(unsafe { (self.table().var_set)(self.host, self.token, name, value) })
    }

    /// The state this instance left in this exchange.
    pub(crate) fn state_get(&self) -> Result<*mut c_void, HostError> {
        let mut out = ptr::null_mut();
        // SAFETY: the table is complete (new()), and `out` is a local of the right type.
        let code = unsafe { (self.table().state_get)(self.host, self.token, &raw mut out) };
        HostError::check(code).map(|()| out)
    }

    /// Leaves a state. On success the gateway owns it until it calls `release`.
    ///
    /// # Safety
    ///
    /// `release` may be called once with `state`, later and on this thread or another.
    pub(crate) unsafe fn state_set(
        &mut self,
        state: *mut c_void,
        release: ReleaseFn,
    ) -> Result<(), HostError> {
        let set = self.table().state_set;
        // SAFETY: the table is complete (new()); the caller vouches for `state` and `release`.
        HostError::check(unsafe { set(self.host, self.token, state, Some(release)) })
    }

    /// The authenticated consumer.
    ///
    /// # Errors
    ///
    /// As `consumer_get` in the header.
    pub fn consumer_get(&self) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        // SAFETY: the table is complete (new()), and `out` is a local of the right type.
        let code = unsafe { (self.table().consumer_get)(self.host, self.token, &raw mut out) };
        self.view(code, out)
    }

    /// Names the consumer.
    ///
    /// # Errors
    ///
    /// As `consumer_set` in the header.
    pub fn consumer_set(&mut self, consumer: &[u8]) -> Result<(), HostError> {
        let consumer = SgStr::new(consumer);
        // SAFETY: the table is complete (new()); `consumer` is read during the call only.
        HostError::check(unsafe { (self.table().consumer_set)(self.host, self.token, consumer) })
    }

    /// Says why this hook is about to fail.
    ///
    /// # Errors
    ///
    /// As `set_error` in the header.
    pub fn set_error(&mut self, text: &str) -> Result<(), HostError> {
        let text = SgStr::new(text.as_bytes());
        // SAFETY: the table is complete (new()); `text` is read during the call only.
        HostError::check(unsafe { (self.table().set_error)(self.host, self.token, text) })
    }
}
