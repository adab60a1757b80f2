//! The hooks of a plugin together with the instance they belong to.

use std::ffi::c_void;

use swapgate_abi::{PhaseFn, RequestEndFn};

use super::control::{Hooks, RawInstance};
use crate::context::Phase;

/// Hooks and instance in one piece, so that no hook is ever called with another plugin's instance.
///
/// Made only by this room, out of a table that was checked and of what `configure` yielded. Whoever owns it keeps the
/// image mapped for as long as it lives.
#[derive(Debug)]
pub struct Bound {
    pub(super) instance: *mut c_void,
    pub(super) rewrite: Option<PhaseFn>,
    pub(super) access: Option<PhaseFn>,
    pub(super) header_filter: Option<PhaseFn>,
    pub(super) log: Option<PhaseFn>,
    pub(super) request_end: Option<RequestEndFn>,
    request_headers_early: bool,
}

// SAFETY: the contract demands that hooks of one instance may run concurrently on several threads and that `destroy`
// may run on another one; the plugin guards what the pointer leads to. For as long as the instance lives.
unsafe impl Send for Bound {}
// SAFETY: as above.
unsafe impl Sync for Bound {}

impl Bound {
    /// Binds the hooks of a checked table to an instance.
    ///
    /// # Safety
    /// `hooks` must be those of the image whose `configure` yielded `instance`, and the image must stay
    /// mapped for as long as the result lives.
    pub(super) unsafe fn new(
        hooks: Hooks,
        instance: RawInstance,
        request_headers_early: bool,
    ) -> Self {
        Self {
            instance: instance.pointer(),
            rewrite: hooks.rewrite,
            access: hooks.access,
            header_filter: hooks.header_filter,
            log: hooks.log,
            request_end: hooks.request_end,
            request_headers_early,
        }
    }

    /// Whether the plugin has this hook.
    #[must_use]
    pub fn has(&self, phase: Phase) -> bool {
        phase == Phase::RequestEnd && self.request_end.is_some() || self.hook(phase).is_some()
    }

    /// The hook of a phase that has a result.
    pub(super) fn hook(&self, phase: Phase) -> Option<PhaseFn> {
        match phase {
            Phase::Rewrite => self.rewrite,
            Phase::Access => self.access,
            Phase::HeaderFilter => self.header_filter,
            Phase::Log => self.log,
            Phase::RequestEnd => None,
        }
    }

    /// Whether some hook may read the request's headers after they were forwarded.
    #[must_use]
    pub fn reads_request_later(&self) -> bool {
        let later =
            self.header_filter.is_some() || self.log.is_some() || self.request_end.is_some();
        later && !self.request_headers_early
    }
}
