//! Calls on the control side: load, configure, start, destroy, unload. Unsafe: every function here crosses into
//! foreign code. All of them run on the thread for foreign calls, or in the preflight child.

use std::ffi::c_void;
use std::fmt;

use swapgate_abi::{
    BodyFn, ConfigureFn, DestroyFn, EventFn, ExportStateFn, ImportStateFn, InstanceTok, LoadFn,
    MemoryFn, OpDoneFn, PhaseFn, RequestEndFn, SG_E_CONFLICT, SG_E_FAILED, SG_E_PANIC, SG_OK,
    SgErrorBuf, SgHost, SgStr, StartFn, TickFn, TrailersFn, UnloadFn,
};

use super::bound::Bound;
use crate::context::{PHASES, Phase};
use crate::plugin::refusal::Reason;

/// Room for an error text of a plugin.
const ERROR_ROOM: usize = 4096;

/// What a plugin calls its instance: a pointer only the plugin looks behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawInstance(*mut c_void);

// SAFETY: the pointer must be usable from another thread than the one that made it. The contract says that the hooks of
// an instance run on all workers and that the plugin guards its own state; the gateway itself never reads behind it.
// That holds until `destroy`.
unsafe impl Send for RawInstance {}
// SAFETY: as above; several threads hand the same pointer back to the plugin at once, which the contract allows.
unsafe impl Sync for RawInstance {}

impl RawInstance {
    /// The pointer itself, as every hook wants it.
    #[must_use]
    pub fn pointer(self) -> *mut c_void {
        self.0
    }
}

/// The request hooks of a plugin; an absent one costs nothing.
#[derive(Debug, Clone, Copy)]
pub struct Hooks {
    pub(super) rewrite: Option<PhaseFn>,
    pub(super) access: Option<PhaseFn>,
    pub(super) request_body: Option<BodyFn>,
    pub(super) header_filter: Option<PhaseFn>,
    pub(super) body_filter: Option<BodyFn>,
    pub(super) trailers: Option<TrailersFn>,
    pub(super) log: Option<PhaseFn>,
    pub(super) request_end: Option<RequestEndFn>,
    pub(super) on_event: Option<EventFn>,
    pub(super) on_tick: Option<TickFn>,
    pub(super) on_op_done: Option<OpDoneFn>,
}

/// What a plugin needs of bodies.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bodies {
    /// Of the request's: `SG_BODY_*`.
    pub request: u32,
    /// Of the answer's: `SG_BODY_*`.
    pub response: u32,
    /// How much it keeps at most; 0: as much as the route admits.
    pub buffer_bytes: u64,
}

impl Hooks {
    /// The phases in which the plugin has a hook.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        PHASES
            .into_iter()
            .filter(|phase| self.has(*phase))
            .collect()
    }

    /// Whether the plugin has this hook.
    #[must_use]
    pub fn has(&self, phase: Phase) -> bool {
        match phase {
            Phase::Rewrite => self.rewrite.is_some(),
            Phase::Access => self.access.is_some(),
            Phase::RequestBody => self.request_body.is_some(),
            Phase::HeaderFilter => self.header_filter.is_some(),
            Phase::BodyFilter => self.body_filter.is_some(),
            Phase::Trailers => self.trailers.is_some(),
            Phase::Log => self.log.is_some(),
            Phase::RequestEnd => self.request_end.is_some(),
            Phase::OnEvent => self.on_event.is_some(),
            Phase::OnTick => self.on_tick.is_some(),
            Phase::OnOpDone => self.on_op_done.is_some(),
        }
    }
}

/// A plugin's table of functions, checked once and copied.
#[derive(Clone)]
pub struct Table {
    /// What it asks of the loader.
    pub flags: Flags,
    /// Its place in every phase.
    pub priority: i32,
    /// JSON Schema of its configuration.
    pub schema: Option<String>,
    /// The request hooks.
    pub hooks: Hooks,
    /// What it needs of bodies.
    pub bodies: Bodies,
    pub(super) load: Option<LoadFn>,
    pub(super) unload: Option<UnloadFn>,
    pub(super) configure: Option<ConfigureFn>,
    pub(super) start: Option<StartFn>,
    pub(super) destroy: Option<DestroyFn>,
    pub(super) export_state: Option<ExportStateFn>,
    pub(super) import_state: Option<ImportStateFn>,
    pub(super) memory: Option<MemoryFn>,
}

/// What a plugin asks of the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// It has threads of its own.
    pub owns_threads: bool,
    /// It asks never to be unmapped.
    pub resident: bool,
    /// At most one image with this flag per process.
    pub one_image_only: bool,
    /// It reads the request's headers before they are forwarded, and never after that.
    pub request_headers_early: bool,
}

/// Why a call did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// It answered an error; with its text.
    Failed(String),
    /// A panic was caught at the border; with its text.
    Panicked(String),
    /// It answered a code nobody knows.
    Unknown(i32),
}

impl Table {
    /// Calls `load`, if there is one.
    ///
    /// # Errors
    /// What the plugin answered.
    pub fn load(&self, host: &SgHost) -> Result<(), CallError> {
        let Some(load) = self.load else {
            return Ok(());
        };
        let mut room = ErrorRoom::new();
        let mut buf = room.buf();
        // SAFETY: the library is mapped, which whoever holds this table sees to; the host table lives until `unload`
        // returned, and the error room across the call.
        let code = unsafe { load(&raw const *host, &raw mut buf) };
        room.take(buf);
        room.judge(code)
    }

    /// Calls `unload`, if there is one.
    ///
    /// # Errors
    /// What the plugin answered.
    pub fn unload(&self, deadline_ms: u64) -> Result<(), CallError> {
        let Some(unload) = self.unload else {
            return Ok(());
        };
        // SAFETY: the library is mapped, and every instance was destroyed before: the catalog calls this only when the
        // last one has gone.
        let code = unsafe { unload(deadline_ms) };
        ErrorRoom::new().judge(code)
    }

    /// Makes an instance out of `config`.
    ///
    /// # Errors
    /// What the plugin answered.
    pub fn configure(&self, host: &SgHost, config: &str) -> Result<RawInstance, CallError> {
        let mut instance = std::ptr::null_mut();
        let Some(configure) = self.configure else {
            return Ok(RawInstance(instance));
        };
        let mut room = ErrorRoom::new();
        let mut buf = room.buf();
        let config = SgStr::new(config.as_bytes());
        let host = &raw const *host;
        // SAFETY: the library is mapped and `load` succeeded; the configuration, the place for the instance and the
        // error room live across the call, the host table until `unload` returned.
        let code = unsafe { configure(host, config, &raw mut instance, &raw mut buf) };
        room.take(buf);
        room.judge(code).map(|()| RawInstance(instance))
    }

    /// Tells an instance that it is about to serve.
    ///
    /// # Errors
    /// What the plugin answered.
    pub fn start(&self, instance: RawInstance, token: InstanceTok) -> Result<(), CallError> {
        let Some(start) = self.start else {
            return Ok(());
        };
        let mut room = ErrorRoom::new();
        let mut buf = room.buf();
        // SAFETY: the library is mapped; the instance came from `configure` of this table and was not destroyed, since
        // whoever starts it holds it.
        let code = unsafe { start(instance.0, token, &raw mut buf) };
        room.take(buf);
        room.judge(code)
    }

    /// The hooks of an instance, for the request path.
    ///
    /// # Safety
    /// `instance` must come from `configure` of this table, and the image must stay mapped for as long as the result
    /// lives.
    #[must_use]
    pub unsafe fn bind(&self, instance: RawInstance) -> Bound {
        // SAFETY: the hooks are this table's, and the rest is what the caller promises.
        unsafe {
            Bound::new(
                (self.hooks, self.bodies),
                instance,
                self.flags.request_headers_early,
            )
        }
    }

    /// Ends an instance. The caller gives up every copy of it.
    pub fn destroy(&self, instance: RawInstance) {
        let Some(destroy) = self.destroy else {
            return;
        };
        // SAFETY: the library is mapped; the instance came from `configure` of this table, nobody uses it any more and
        // this is the only call of `destroy` for it: the message that brought it here is made by the last drop.
        unsafe { destroy(instance.0) };
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({:?})", self.hooks.phases())
    }
}

/// Memory of ours that a plugin writes an error text to.
pub(super) struct ErrorRoom {
    bytes: Box<[u8; ERROR_ROOM]>,
    len: usize,
}

impl ErrorRoom {
    pub(super) fn new() -> Self {
        Self {
            bytes: Box::new([0; ERROR_ROOM]),
            len: 0,
        }
    }

    pub(super) fn buf(&mut self) -> SgErrorBuf {
        SgErrorBuf {
            ptr: self.bytes.as_mut_ptr(),
            cap: ERROR_ROOM,
            len: 0,
        }
    }

    /// Reads back how much was written; a plugin that claims more than there is gets what there is.
    pub(super) fn take(&mut self, buf: SgErrorBuf) {
        self.len = buf.len.min(ERROR_ROOM);
    }

    pub(super) fn text_or(&self, otherwise: &str) -> String {
        let bytes = self.bytes.get(..self.len).unwrap_or(&[]);
        let text = String::from_utf8_lossy(bytes);
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        match text.trim() {
            "" => otherwise.to_owned(),
            text => text.to_owned(),
        }
    }

    pub(super) fn judge(&self, code: i32) -> Result<(), CallError> {
        match code {
            SG_OK => Ok(()),
            SG_E_PANIC => Err(CallError::Panicked(self.text_or("no text"))),
            SG_E_CONFLICT..=SG_E_FAILED => {
                Err(CallError::Failed(self.text_or(&format!("code {code}"))))
            }
            code => Err(CallError::Unknown(code)),
        }
    }
}

impl CallError {
    /// The reason for a refusal; `failed` makes it out of a plain failure.
    #[must_use]
    pub fn reason(self, hook: &str, failed: impl FnOnce(String) -> Reason) -> Reason {
        match self {
            Self::Failed(text) => failed(text),
            Self::Panicked(text) => Reason::Panicked {
                hook: hook.to_owned(),
                text,
            },
            Self::Unknown(code) => Reason::UnknownResult {
                hook: hook.to_owned(),
                code,
            },
        }
    }
}
