//! The gateway's calls into the plugin, from entry to unload.

use std::ffi::c_void;
use std::fmt;
use std::ptr;

use swapgate_abi::{
    EntryFn, ExchangeTok, InstanceTok, PhaseFn, SgEntryArgs, SgEntryOut, SgEvent, SgHost, SgMemory,
    SgPlugin, SgStateOut, SgStr,
};

use super::area;
use super::course::Call;
use super::exchange::Phase;
use super::metrics::Series;
use super::room::Room;
use super::shared::{Shared, Told};
use super::table;
use super::{Host, LogLine};
use crate::guest::call::Running;
use crate::guest::export::{self, Definition, Exported};
use crate::status::HostError;
use crate::version::Range;
use crate::view;

/// The longest state.
const MOST_STATE: usize = 16 * 1024 * 1024;

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
pub(super) struct Made(pub(super) *mut c_void);

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
        shared.lock().told = Told {
            on_event: plugin.on_event.is_some(),
            on_op_done: plugin.on_op_done.is_some(),
            on_tick: plugin.on_tick.is_some(),
        };
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

    /// Starts an instance; the token is its name from then on.
    pub(super) fn start(&self, made: &Made) -> Result<InstanceTok, String> {
        let token = self.shared.lock().world.add_instance(made.0);
        let Some(start) = self.plugin.start else {
            return Ok(token);
        };
        let mut room = Room::new();
        let mut error = room.buffer();
        // SAFETY: the instance is one of this image and not destroyed; `error` has the room it says.
        let code = unsafe { start(made.0, token, &raw mut error) };
        room.check(code, &error)?;
        Ok(token)
    }

    /// Ends the background of an instance, and the instance.
    pub(super) fn destroy(&self, made: &Made, token: Option<InstanceTok>) {
        if let Some(token) = token {
            let mut state = self.shared.lock();
            state.world.instances.remove(&token);
            let jobs = state.world.end(token);
            drop(state);
            jobs.into_iter().for_each(area::release);
        }
        if let Some(destroy) = self.plugin.destroy {
            // SAFETY: the one owner of the instance calls this in its drop, and nothing runs any more.
            unsafe { destroy(made.0) };
        }
    }

    pub(super) fn export_state(&self, made: &Made) -> Result<(u32, Vec<u8>), HostError> {
        let export = self.plugin.export_state.ok_or(HostError::NotFound)?;
        let mut bytes: Vec<u8> = Vec::new();
        let mut out = SgStateOut {
            struct_size: export::size_of_u32::<SgStateOut>(),
            version: 0,
            private_: (&raw mut bytes).cast(),
            write,
        };
        // SAFETY: the instance is one of this image and not destroyed; `out` is a local, and so is what it writes to.
        HostError::check(unsafe { export(made.0, &raw mut out) })?;
        Ok((out.version, bytes))
    }

    pub(super) fn import_state(
        &self,
        made: &Made,
        version: u32,
        state: &[u8],
    ) -> Result<(), String> {
        let Some(import) = self.plugin.import_state else {
            return Err("the plugin has no import_state".to_owned());
        };
        let mut room = Room::new();
        let mut error = room.buffer();
        let state = SgStr::new(state);
        // SAFETY: as configure(); `state` is readable during the call.
        let code = unsafe { import(made.0, version, state, &raw mut error) };
        room.check(code, &error)
    }

    /// How much memory the plugin says it uses, if it says so.
    pub(super) fn memory(&self) -> Option<SgMemory> {
        let memory = self.plugin.memory?;
        let mut out = SgMemory {
            struct_size: export::size_of_u32::<SgMemory>(),
            reserved: 0,
            bytes: 0,
            peak_bytes: 0,
            allocations: 0,
        };
        // SAFETY: `out` is a local of the right type.
        let code = unsafe { memory(&raw mut out) };
        HostError::check(code).ok().map(|()| out)
    }

    /// The hooks, for who drives.
    pub(super) fn plugin(&self) -> &SgPlugin {
        &self.plugin
    }

    pub(super) fn shared(&self) -> &'static Shared {
        self.shared
    }

    /// Notes that this thread works for this gateway.
    pub(super) fn enter_thread(&self) -> Running {
        // SAFETY: the table is never freed.
        unsafe { Running::enter(ptr::from_ref(self.host), 0) }
    }

    /// Calls a hook of an exchange.
    pub(super) fn hook(&self, made: *mut c_void, token: ExchangeTok, call: Call) -> i32 {
        let plugin = &self.plugin;
        let phase = |hook: Option<PhaseFn>| {
            // SAFETY: the instance is one of this image and not destroyed; the exchange is running.
            hook.map_or(0, |hook| unsafe { hook(made, token) })
        };
        match call.phase {
            Phase::Rewrite => phase(plugin.rewrite),
            Phase::Access => phase(plugin.access),
            Phase::HeaderFilter => phase(plugin.header_filter),
            Phase::Log => phase(plugin.log),
            Phase::RequestBody | Phase::BodyFilter | Phase::Trailers => {
                let hook = match call.phase {
                    Phase::RequestBody => plugin.request_body,
                    Phase::BodyFilter => plugin.body_filter,
                    _ => plugin.trailers,
                };
                // SAFETY: as above.
                hook.map_or(0, |hook| unsafe { hook(made, token, call.flags) })
            }
            Phase::RequestEnd => {
                if let Some(hook) = plugin.request_end {
                    // SAFETY: as above.
                    unsafe { hook(made, token) };
                }
                0
            }
        }
    }

    /// Hands an event of an exchange to the plugin.
    pub(super) fn on_event(&self, made: *mut c_void, token: ExchangeTok, event: &SgEvent) -> i32 {
        let hook = self.plugin.on_event;
        // SAFETY: the instance is one of this image and not destroyed; the event lives until the call returns.
        hook.map_or(0, |hook| unsafe { hook(made, token, ptr::from_ref(event)) })
    }

    /// Hands an event of the background to the plugin.
    pub(super) fn on_op_done(&self, made: *mut c_void, event: &SgEvent) -> i32 {
        let hook = self.plugin.on_op_done;
        // SAFETY: as on_event().
        hook.map_or(0, |hook| unsafe { hook(made, ptr::from_ref(event)) })
    }

    pub(super) fn on_tick(&self, made: *mut c_void) -> i32 {
        // SAFETY: the instance is one of this image and not destroyed.
        self.plugin.on_tick.map_or(0, |hook| unsafe { hook(made) })
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
            (plugin.request_body.is_some(), Phase::RequestBody),
            (plugin.header_filter.is_some(), Phase::HeaderFilter),
            (plugin.body_filter.is_some(), Phase::BodyFilter),
            (plugin.trailers.is_some(), Phase::Trailers),
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
        Ok(Self::new(image))
    }
}

/// Appends to the bytes behind `private_`.
unsafe extern "C" fn write(out: *mut SgStateOut, more: SgStr) -> i32 {
    // SAFETY: plugins pass the structure they were given, which is there until export_state() returns.
    let bytes = unsafe { (*out).private_ }.cast::<Vec<u8>>();
    // SAFETY: as above; nobody else uses them meanwhile.
    let bytes = unsafe { &mut *bytes };
    // SAFETY: what goes in is readable during the call.
    let more = unsafe { view::bytes(more) };
    if bytes.len() + more.len() > MOST_STATE {
        return HostError::TooLarge.code();
    }
    bytes.extend_from_slice(more);
    0
}
