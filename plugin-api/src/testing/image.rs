//! The gateway's calls into the plugin, from entry to unload.

use std::ffi::c_void;
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use swapgate_abi::{
    EntryFn, ExchangeTok, PhaseFn, SgEntryArgs, SgEntryOut, SgErrorBuf, SgHost, SgPlugin,
    SgStateOut, SgStr,
};

use super::exchange::{Exchange, Failure, Outcome, Phase};
use super::live::HeaderList;
use super::metrics::Series;
use super::table::{self, Left, Shared, Slot};
use super::{Host, LogLine};
use crate::guest::call::Running;
use crate::guest::export::{self, Definition, Exported};
use crate::guest::response::Response;
use crate::status::{HookResult, HostError};
use crate::version::Range;
use crate::view;

/// Room for an error text.
const ERROR_ROOM: usize = 4096;

/// An entered plugin.
pub(super) struct Image {
    plugin: SgPlugin,
    /// Never freed, and neither is what stands beside it: a handle on a metric is copied freely and may outlive its host.
    host: &'static SgHost,
    shared: &'static Shared,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").finish_non_exhaustive()
    }
}

/// An instance pointer; made by the image it is used with, destroyed once.
#[derive(Debug)]
pub(super) struct Made(*mut c_void);

impl Image {
    pub(super) fn enter<P: Exported>(definition: &'static Definition<P>) -> Result<Self, String> {
        // SAFETY: enter_by() passes whole structures and a table that lives as long as the image.
        Self::enter_by(|args, out| unsafe { export::entry(definition, args, out) })
    }

    /// Enters a plugin by the function it exports.
    ///
    /// # Safety
    ///
    /// `entry` keeps the contract, and its library stays loaded.
    pub(super) unsafe fn enter_foreign(entry: EntryFn) -> Result<Self, String> {
        // SAFETY: enter_by() passes whole structures and a table that lives as long as the image; the caller vouches for
        // the function.
        Self::enter_by(|args, out| unsafe { entry(args, out) })
    }

    fn enter_by(
        entry: impl FnOnce(*const SgEntryArgs, *mut SgEntryOut) -> i32,
    ) -> Result<Self, String> {
        let shared: &'static Shared = Box::leak(Box::default());
        let host: &'static SgHost = Box::leak(Box::new(table::table(ptr::from_ref(shared).cast())));
        let args = SgEntryArgs {
            struct_size: export::size_of_u32::<SgEntryArgs>(),
            abi_major: Range::CURRENT.major,
            abi_min_minor: Range::CURRENT.min_minor,
            abi_max_minor: Range::CURRENT.max_minor,
            flags: 0,
            reserved: 0,
            features: 0,
            host: ptr::from_ref(host),
        };
        let mut room = Room::new();
        let mut out = SgEntryOut {
            struct_size: export::size_of_u32::<SgEntryOut>(),
            abi_minor: 0,
            plugin: ptr::null(),
            error: room.buffer(),
        };
        let code = entry(&raw const args, &raw mut out);
        let error = out.error;
        room.check(code, &error)?;
        // SAFETY: entry answered SG_OK, so the table is there until unload.
        let plugin = unsafe { *out.plugin };
        Ok(Self {
            plugin,
            host,
            shared,
        })
    }

    pub(super) fn load(&self) -> Result<(), String> {
        let Some(load) = self.plugin.load else {
            return Ok(());
        };
        let mut room = Room::new();
        let mut error = room.buffer();
        // SAFETY: the table lives as long as the image; `error` has the room it says.
        let code = unsafe { load(ptr::from_ref(self.host), &raw mut error) };
        room.check(code, &error)
    }

    pub(super) fn configure(&self, config: &str) -> Result<Made, String> {
        let Some(configure) = self.plugin.configure else {
            return Err("the plugin has no configure".to_owned());
        };
        let mut room = Room::new();
        let mut error = room.buffer();
        let mut instance = ptr::null_mut();
        let (host, config) = (ptr::from_ref(self.host), SgStr::new(config.as_bytes()));
        // SAFETY: as load(); `config` is readable and `instance` writable during the call.
        let code = unsafe { configure(host, config, &raw mut instance, &raw mut error) };
        room.check(code, &error)?;
        Ok(Made(instance))
    }

    pub(super) fn start(&self, made: &Made) -> Result<(), String> {
        let Some(start) = self.plugin.start else {
            return Ok(());
        };
        let mut room = Room::new();
        let mut error = room.buffer();
        // SAFETY: the instance is one of this image and not destroyed; `error` has the room it says.
        let code = unsafe { start(made.0, 1, &raw mut error) };
        room.check(code, &error)
    }

    pub(super) fn export_state(&self, made: &Made) -> Result<Option<(u32, Vec<u8>)>, String> {
        let Some(export_state) = self.plugin.export_state else {
            return Ok(None);
        };
        let mut state: Vec<u8> = Vec::new();
        let mut out = SgStateOut {
            struct_size: export::size_of_u32::<SgStateOut>(),
            version: 0,
            private_: ptr::from_mut(&mut state).cast(),
            write: write_state,
        };
        // SAFETY: the instance is one of this image and not destroyed; `out` and what it writes to outlive the call.
        let code = unsafe { export_state(made.0, &raw mut out) };
        match HostError::check(code) {
            Ok(()) => Ok(Some((out.version, state))),
            Err(HostError::NotFound) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) fn import_state(
        &self,
        made: &Made,
        version: u32,
        state: &[u8],
    ) -> Result<(), String> {
        let Some(import_state) = self.plugin.import_state else {
            return Err("the plugin has no import_state".to_owned());
        };
        let mut room = Room::new();
        let mut error = room.buffer();
        // SAFETY: the instance is one of this image and borrowed by nobody else; `state` is readable during the call and
        // `error` has the room it says.
        let code = unsafe { import_state(made.0, version, SgStr::new(state), &raw mut error) };
        room.check(code, &error)
    }

    pub(super) fn destroy(&self, made: &Made) {
        if let Some(destroy) = self.plugin.destroy {
            // SAFETY: the one owner of the instance calls this in its drop, and nothing runs any more.
            unsafe { destroy(made.0) };
        }
    }

    pub(super) fn schema(&self) -> &str {
        // SAFETY: the schema belongs to the plugin's table and stays until unload.
        let bytes = unsafe { view::bytes(self.plugin.config_schema) };
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    pub(super) fn phases(&self) -> Vec<Phase> {
        let plugin = &self.plugin;
        [
            (plugin.rewrite.is_some(), Phase::Rewrite),
            (plugin.access.is_some(), Phase::Access),
            (plugin.header_filter.is_some(), Phase::HeaderFilter),
            (plugin.log.is_some(), Phase::Log),
            (plugin.request_end.is_some(), Phase::RequestEnd),
        ]
        .into_iter()
        .filter_map(|(present, phase)| present.then_some(phase))
        .collect()
    }

    pub(super) fn metrics(&self) -> Vec<Series> {
        self.shared.metrics.all()
    }

    pub(super) fn logs(&self) -> Vec<LogLine> {
        self.shared.lock().logs.clone()
    }

    /// One exchange, from the first hook to the release of its state.
    pub(super) fn run(&self, made: &Made, exchange: Exchange) -> Outcome {
        static TOKENS: AtomicU64 = AtomicU64::new(1);
        // SAFETY: the table lives as long as the image.
        let _running = unsafe { Running::enter(ptr::from_ref(self.host), 0) };
        let token = TOKENS.fetch_add(1, Ordering::Relaxed);
        let (upstream, global) = (exchange.upstream.clone(), exchange.global);
        let routed = exchange.route.is_some();
        self.shared.lock().running = Some(Slot::new(token, exchange));
        let mut walk = Walk {
            image: self,
            made,
            token,
            failures: Vec::new(),
            panicked: false,
        };
        let mut answer = None;
        if global {
            answer = walk.request_hook(Phase::Rewrite, self.plugin.rewrite);
        }
        if answer.is_none() && routed {
            answer = walk.request_hook(Phase::Access, self.plugin.access);
        }
        let reached_upstream = answer.is_none() && routed;
        let answer = answer.unwrap_or_else(|| if routed { upstream } else { gateway(404) });
        walk.response_hooks(&answer, reached_upstream);
        let failures = walk.failures;
        self.outcome(answer, failures)
    }

    /// Takes the exchange down and says what became of it.
    fn outcome(&self, answer: Response, failures: Vec<Failure>) -> Outcome {
        let running = self.shared.lock().running.take();
        let Some(slot) = running else {
            unreachable!("run() put the exchange there");
        };
        let Slot {
            live,
            state,
            replaced,
            ..
        } = slot;
        replaced.into_iter().for_each(Left::release);
        state.release();
        let (status, response) = live
            .response
            .unwrap_or_else(|| (answer.status, HeaderList::default()));
        Outcome {
            method: live.request.method,
            path: live.request.path,
            query: live.request.query,
            request: live.request.headers,
            status,
            response,
            body: answer.body,
            reached_upstream: live.reached_upstream,
            consumer: live.request.consumer,
            vars: live.vars.into_iter().collect(),
            failures,
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: the table lives until the end of this function.
        let _running = unsafe { Running::enter(ptr::from_ref(self.host), 0) };
        if let Some(unload) = self.plugin.unload {
            // SAFETY: every instance borrows the host, so all are destroyed.
            unsafe { unload(1000) };
        }
    }
}

impl Host {
    /// Loads a plugin by the entry function it exports, whatever language it is written in.
    ///
    /// # Errors
    ///
    /// Why the plugin refuses.
    ///
    /// # Safety
    ///
    /// `entry` keeps the contract of `swapgate.h`, its library stays loaded for as long as the host lives, and no other
    /// host has entered it meanwhile.
    pub unsafe fn from_entry(entry: EntryFn) -> Result<Self, String> {
        // SAFETY: the caller vouches for it.
        let image = unsafe { Image::enter_foreign(entry) }?;
        image.load()?;
        Ok(Self { image })
    }
}

/// An answer the gateway makes.
fn gateway(status: u16) -> Response {
    Response::problem(status, "made by the gateway", "")
}

/// The hooks of one exchange.
struct Walk<'w> {
    image: &'w Image,
    made: &'w Made,
    token: ExchangeTok,
    failures: Vec<Failure>,
    panicked: bool,
}

impl Walk<'_> {
    /// Runs a hook that may answer.
    fn request_hook(&mut self, phase: Phase, hook: Option<PhaseFn>) -> Option<Response> {
        match self.call(phase, hook) {
            HookResult::Continue => None,
            HookResult::Respond => {
                let mut state = self.image.shared.lock();
                let slot = state.running.as_mut();
                slot.and_then(|slot| slot.live.answer.take())
                    .or_else(|| Some(gateway(500)))
            }
            _ => Some(gateway(500)),
        }
    }

    fn response_hooks(&mut self, answer: &Response, reached_upstream: bool) {
        if let Some(slot) = self.image.shared.lock().running.as_mut() {
            slot.live.reached_upstream = reached_upstream;
            slot.live.response = Some((answer.status, HeaderList::from(answer)));
        }
        let plugin = &self.image.plugin;
        if self.call(Phase::HeaderFilter, plugin.header_filter) != HookResult::Continue
            && let Some(slot) = self.image.shared.lock().running.as_mut()
        {
            slot.live.response = Some((500, HeaderList::default()));
        }
        self.call(Phase::Log, plugin.log);
        if let Some(request_end) = plugin.request_end {
            self.enter(Phase::RequestEnd);
            // SAFETY: the instance is one of this image and not destroyed.
            unsafe { request_end(self.made.0, self.token) };
        }
    }

    fn enter(&self, phase: Phase) {
        if let Some(slot) = self.image.shared.lock().running.as_mut() {
            slot.live.phase = phase;
            slot.live.error = None;
        }
    }

    fn call(&mut self, phase: Phase, hook: Option<PhaseFn>) -> HookResult {
        self.enter(phase);
        let Some(hook) = hook.filter(|_| !self.panicked) else {
            return HookResult::Continue;
        };
        // SAFETY: the instance is one of this image and not destroyed; the exchange is running.
        let result = HookResult::from_code(unsafe { hook(self.made.0, self.token) });
        let text = {
            let mut state = self.image.shared.lock();
            let slot = state.running.as_mut();
            slot.and_then(|slot| slot.live.error.take())
        };
        let error = match result {
            HookResult::Continue | HookResult::Respond => return result,
            HookResult::Failed(error) => error,
            HookResult::Unknown(code) => HostError::Unknown(code),
            HookResult::Pending | HookResult::Buffer => HostError::Unavailable,
        };
        self.panicked |= error == HostError::Panic;
        let text = text.unwrap_or_default();
        self.failures.push(Failure { phase, error, text });
        result
    }
}

/// Appends to the vector behind `private_`.
unsafe extern "C" fn write_state(out: *mut SgStateOut, bytes: SgStr) -> i32 {
    // SAFETY: the plugin hands back what export_state() gave it.
    let state = unsafe { (*out).private_ }.cast::<Vec<u8>>();
    // SAFETY: export_state() put a vector there, which nobody else touches during the call.
    let state = unsafe { &mut *state };
    // SAFETY: the plugin's bytes are readable during the call.
    state.extend_from_slice(unsafe { view::bytes(bytes) });
    swapgate_abi::code::SG_OK
}

/// Memory for an error text.
struct Room(Vec<u8>);

impl Room {
    fn new() -> Self {
        Self(vec![0; ERROR_ROOM])
    }

    fn buffer(&mut self) -> SgErrorBuf {
        SgErrorBuf {
            ptr: self.0.as_mut_ptr(),
            cap: self.0.len(),
            len: 0,
        }
    }

    fn check(&self, code: i32, error: &SgErrorBuf) -> Result<(), String> {
        HostError::check(code).map_err(|status| {
            let text = self.0.get(..error.len).unwrap_or_default();
            if text.is_empty() {
                status.to_string()
            } else {
                String::from_utf8_lossy(text).into_owned()
            }
        })
    }
}
