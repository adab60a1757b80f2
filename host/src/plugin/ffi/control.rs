//! Calls on the control side: entry, load, configure, start, destroy, unload. Unsafe: every function here crosses into
//! foreign code. All of them run on the thread for foreign calls, or in the preflight child.

use std::ffi::c_void;
use std::fmt;

use swapgate_abi::{
    ABI_MAJOR, ABI_MINOR, ConfigureFn, DestroyFn, EntryFn, LoadFn, PhaseFn, RequestEndFn,
    SG_E_PANIC, SG_E_VERSION, SG_ENTRY_PREFLIGHT, SG_OK, SG_PLUGIN_ONE_IMAGE_ONLY,
    SG_PLUGIN_OWNS_THREADS, SG_PLUGIN_RESIDENT, SgEntryArgs, SgEntryOut, SgErrorBuf, SgHost,
    SgPlugin, SgStr, StartFn, UnloadFn,
};

use super::bound::Bound;
use super::host::ImageIdentity;
use crate::context::{PHASES, Phase};
use crate::plugin::refusal::Reason;

/// Room for an error text of a plugin.
const ERROR_ROOM: usize = 4096;
/// Longest text (id, version, schema) that is read out of a plugin's table.
const TEXT_LIMIT: usize = 1 << 20;
const KNOWN_FLAGS: u32 = SG_PLUGIN_OWNS_THREADS | SG_PLUGIN_RESIDENT | SG_PLUGIN_ONE_IMAGE_ONLY;

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
    pub(super) header_filter: Option<PhaseFn>,
    pub(super) log: Option<PhaseFn>,
    pub(super) request_end: Option<RequestEndFn>,
}

impl Hooks {
    /// The phases in which the plugin has a hook.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        let has = |phase: &Phase| match phase {
            Phase::Rewrite => self.rewrite.is_some(),
            Phase::Access => self.access.is_some(),
            Phase::HeaderFilter => self.header_filter.is_some(),
            Phase::Log => self.log.is_some(),
            Phase::RequestEnd => self.request_end.is_some(),
        };
        PHASES.into_iter().filter(has).collect()
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
    load: Option<LoadFn>,
    unload: Option<UnloadFn>,
    configure: Option<ConfigureFn>,
    start: Option<StartFn>,
    destroy: Option<DestroyFn>,
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
    /// Goes through the door: negotiates, then checks and copies the table.
    ///
    /// # Errors
    /// The plugin refuses, or its table is wrong.
    pub fn enter(
        entry: EntryFn,
        host: &SgHost,
        identity: &ImageIdentity,
        preflight: bool,
    ) -> Result<Self, Reason> {
        let args = SgEntryArgs {
            struct_size: size_u32::<SgEntryArgs>(),
            abi_major: ABI_MAJOR,
            abi_min_minor: ABI_MINOR,
            abi_max_minor: ABI_MINOR,
            flags: if preflight { SG_ENTRY_PREFLIGHT } else { 0 },
            reserved: 0,
            features: 0,
            host: &raw const *host,
        };
        let mut room = ErrorRoom::new();
        let mut out = SgEntryOut {
            struct_size: size_u32::<SgEntryOut>(),
            abi_minor: 0,
            plugin: std::ptr::null(),
            error: room.buf(),
        };
        // SAFETY: the library is mapped and `args`, `out` and the error room live across the call; the caller made all
        // three, and the host table behind `args.host` lives until `unload` returned.
        let code = unsafe { entry(&raw const args, &raw mut out) };
        room.take(out.error);
        entered(code, &room, identity)?;
        if out.abi_minor != ABI_MINOR {
            return Err(wrong(&format!(
                "it negotiated minor {} instead of {ABI_MINOR}",
                out.abi_minor
            )));
        }
        let plugin = copy_table(out.plugin)?;
        Self::check(&plugin, identity)
    }

    fn check(plugin: &SgPlugin, identity: &ImageIdentity) -> Result<Self, Reason> {
        equal("id", plugin.id, &identity.id)?;
        equal("version", plugin.version, &identity.version)?;
        if plugin.features_required != 0 {
            return Err(wrong(&format!(
                "it requires features {:#x}, of which this gateway has none",
                plugin.features_required
            )));
        }
        if plugin.flags & !KNOWN_FLAGS != 0 {
            return Err(wrong(&format!("its flags {:#x} are unknown", plugin.flags)));
        }
        if plugin.request_body != 0 || plugin.response_body != 0 {
            return Err(wrong(
                "it asks for bodies, which contract 0.1 does not have",
            ));
        }
        let hooks = Hooks {
            rewrite: plugin.rewrite,
            access: plugin.access,
            header_filter: plugin.header_filter,
            log: plugin.log,
            request_end: plugin.request_end,
        };
        let has_more = plugin.start.is_some() || plugin.destroy.is_some();
        if plugin.configure.is_none() && (has_more || !hooks.phases().is_empty()) {
            return Err(wrong("it has hooks of an instance but no configure"));
        }
        let schema = text("config_schema", plugin.config_schema)?;
        Ok(Self {
            flags: Flags {
                owns_threads: plugin.flags & SG_PLUGIN_OWNS_THREADS != 0,
                resident: plugin.flags & SG_PLUGIN_RESIDENT != 0,
                one_image_only: plugin.flags & SG_PLUGIN_ONE_IMAGE_ONLY != 0,
            },
            priority: plugin.priority,
            schema: Some(schema).filter(|schema| !schema.trim().is_empty()),
            hooks,
            load: plugin.load,
            unload: plugin.unload,
            configure: plugin.configure,
            start: plugin.start,
            destroy: plugin.destroy,
        })
    }

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
    pub fn start(&self, instance: RawInstance) -> Result<(), CallError> {
        let Some(start) = self.start else {
            return Ok(());
        };
        let mut room = ErrorRoom::new();
        let mut buf = room.buf();
        // SAFETY: the library is mapped; the instance came from `configure` of this table and was not destroyed, since
        // whoever starts it holds it.
        let code = unsafe { start(instance.0, &raw mut buf) };
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
        unsafe { Bound::new(self.hooks, instance) }
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

fn entered(code: i32, room: &ErrorRoom, identity: &ImageIdentity) -> Result<(), Reason> {
    match code {
        SG_OK => Ok(()),
        // The descriptor agreed and the code does not: the plugin contradicts itself, its own words are all there is.
        SG_E_VERSION => Err(Reason::EntryFailed {
            text: format!("versions do not fit: {}", room.text_or("no reason given")),
        }),
        SG_E_PANIC => Err(Reason::Panicked {
            hook: "sg_plugin_entry".to_owned(),
            text: room.text_or("no text"),
        }),
        code => Err(Reason::EntryFailed {
            text: format!(
                "{}, code {code}, in {}@{}",
                room.text_or("no reason given"),
                identity.id,
                identity.version
            ),
        }),
    }
}

/// Copies what the plugin's table has; what an older, shorter one lacks is absent.
fn copy_table(theirs: *const SgPlugin) -> Result<SgPlugin, Reason> {
    if theirs.is_null() {
        return Err(wrong("there is none: out.plugin is null"));
    }
    if !theirs.is_aligned() {
        return Err(wrong("its address is not aligned"));
    }
    // SAFETY: the pointer must lead to at least four readable bytes. It is not null and aligned, and the contract says
    // that the table begins with its size and is kept until `unload` returned.
    let size = unsafe { theirs.cast::<u32>().read() };
    // Until 1.0 minors are equal, so a shorter table is a mistake and not an older plugin.
    if (size as usize) < size_of::<SgPlugin>() {
        return Err(wrong(&format!(
            "its struct_size is {size}, below {}",
            size_of::<SgPlugin>()
        )));
    }
    // SAFETY: the pointer must lead to a whole table. It says itself that it is large enough, and is kept as above.
    Ok(unsafe { theirs.read() })
}

fn equal(what: &str, theirs: SgStr, descriptor: &str) -> Result<(), Reason> {
    let found = text(what, theirs)?;
    if found == descriptor {
        return Ok(());
    }
    Err(wrong(&format!(
        "its {what} is {found:?}, but the descriptor says {descriptor:?}"
    )))
}

fn text(what: &str, theirs: SgStr) -> Result<String, Reason> {
    if theirs.len == 0 {
        return Ok(String::new());
    }
    if theirs.ptr.is_null() || theirs.len > TEXT_LIMIT {
        return Err(wrong(&format!(
            "its {what} is null or longer than {TEXT_LIMIT} bytes"
        )));
    }
    // SAFETY: the pointer must lead to `len` readable bytes. It is not null, the length is sane, and the contract says
    // that the table and what it points to are kept until `unload` returned; they are copied at once.
    let bytes = unsafe { std::slice::from_raw_parts(theirs.ptr, theirs.len) };
    String::from_utf8(bytes.to_vec()).map_err(|_| wrong(&format!("its {what} is not UTF-8")))
}

fn wrong(what: &str) -> Reason {
    Reason::BadTable {
        what: what.to_owned(),
    }
}

fn size_u32<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

/// Memory of ours that a plugin writes an error text to.
struct ErrorRoom {
    bytes: Box<[u8; ERROR_ROOM]>,
    len: usize,
}

impl ErrorRoom {
    fn new() -> Self {
        Self {
            bytes: Box::new([0; ERROR_ROOM]),
            len: 0,
        }
    }

    fn buf(&mut self) -> SgErrorBuf {
        SgErrorBuf {
            ptr: self.bytes.as_mut_ptr(),
            cap: ERROR_ROOM,
            len: 0,
        }
    }

    /// Reads back how much was written; a plugin that claims more than there is gets what there is.
    fn take(&mut self, buf: SgErrorBuf) {
        self.len = buf.len.min(ERROR_ROOM);
    }

    fn text_or(&self, otherwise: &str) -> String {
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

    fn judge(&self, code: i32) -> Result<(), CallError> {
        match code {
            SG_OK => Ok(()),
            SG_E_PANIC => Err(CallError::Panicked(self.text_or("no text"))),
            -11..=-1 => Err(CallError::Failed(self.text_or(&format!("code {code}")))),
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
