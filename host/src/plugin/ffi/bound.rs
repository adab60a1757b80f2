//! The hooks of a plugin together with the instance they belong to.

use std::ffi::c_void;

use swapgate_abi as abi;
use swapgate_abi::{BodyFn, EventFn, PhaseFn, RequestEndFn, TrailersFn};

use super::control::{Bodies, Hooks, RawInstance};
use crate::context::{Lane, Phase};
use crate::stream::Need;

/// Hooks and instance in one piece, so that no hook is ever called with another plugin's instance.
///
/// Made only by this room, out of a table that was checked and of what `configure` yielded. Whoever owns it keeps the
/// image mapped for as long as it lives.
#[derive(Debug)]
pub struct Bound {
    pub(super) instance: *mut c_void,
    pub(super) hooks: Hooks,
    bodies: Bodies,
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
        (hooks, bodies): (Hooks, Bodies),
        instance: RawInstance,
        request_headers_early: bool,
    ) -> Self {
        Self {
            instance: instance.pointer(),
            hooks,
            bodies,
            request_headers_early,
        }
    }

    /// Whether the plugin has this hook.
    #[must_use]
    pub fn has(&self, phase: Phase) -> bool {
        self.hooks.has(phase)
    }

    /// Whether the plugin has this hook and, if it is one for bodies, wants to see them.
    #[must_use]
    pub fn takes_part(&self, phase: Phase) -> bool {
        let wanted = match phase {
            Phase::RequestBody => self.bodies.request != abi::SG_BODY_NONE,
            Phase::BodyFilter => self.bodies.response != abi::SG_BODY_NONE,
            Phase::Trailers => {
                [self.bodies.request, self.bodies.response] != [abi::SG_BODY_NONE; 2]
            }
            _ => true,
        };
        wanted && self.has(phase)
    }

    /// What it needs of the body of a lane. What nobody knows is refused when the table is read.
    #[must_use]
    pub fn body_need(&self, lane: Lane) -> Need {
        let number = match lane {
            Lane::Request => self.bodies.request,
            Lane::Response => self.bodies.response,
        };
        Need::from_number(number).unwrap_or_default()
    }

    /// How much of a body it keeps at most; 0: as much as the route admits.
    #[must_use]
    pub fn buffer_bytes(&self) -> u64 {
        self.bodies.buffer_bytes
    }

    /// Whether the hook of this phase may keep what it has and ask for more.
    #[must_use]
    pub fn may_buffer(&self, phase: Phase) -> bool {
        match phase {
            Phase::RequestBody => self.bodies.request == abi::SG_BODY_BUFFER,
            Phase::BodyFilter => self.bodies.response == abi::SG_BODY_BUFFER,
            _ => false,
        }
    }

    /// The hook of a phase.
    pub(super) fn hook(&self, phase: Phase) -> Option<Hook> {
        match phase {
            Phase::Rewrite => self.hooks.rewrite.map(Hook::Plain),
            Phase::Access => self.hooks.access.map(Hook::Plain),
            Phase::RequestBody => self.hooks.request_body.map(Hook::Body),
            Phase::HeaderFilter => self.hooks.header_filter.map(Hook::Plain),
            Phase::BodyFilter => self.hooks.body_filter.map(Hook::Body),
            Phase::Trailers => self.hooks.trailers.map(Hook::Trailers),
            Phase::Log => self.hooks.log.map(Hook::Plain),
            // None has the form of a phase's hook.
            Phase::RequestEnd | Phase::OnEvent | Phase::OnTick | Phase::OnOpDone => None,
        }
    }

    /// The hook that is told what happened.
    pub(super) fn on_event(&self) -> Option<EventFn> {
        self.hooks.on_event
    }

    /// The last call for an exchange.
    pub(super) fn request_end(&self) -> Option<RequestEndFn> {
        self.hooks.request_end
    }

    /// Whether some hook may read the request's headers after they were forwarded.
    #[must_use]
    pub fn reads_request_later(&self) -> bool {
        let later = [
            Phase::RequestBody,
            Phase::HeaderFilter,
            Phase::BodyFilter,
            Phase::Trailers,
            Phase::Log,
            Phase::RequestEnd,
        ];
        !self.request_headers_early && later.into_iter().any(|phase| self.takes_part(phase))
    }
}

/// A hook that has a phase, by its form.
pub(super) enum Hook {
    Plain(PhaseFn),
    Body(BodyFn),
    Trailers(TrailersFn),
}
