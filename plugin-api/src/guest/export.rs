//! Both doors, the table of hooks and the panic barrier.
//!
//! Everything public here is for [`export!`](crate::export) and changes as that macro does.

use std::any::Any;
use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

pub use abi_stable::library::{
    __call_root_module_loader as load_root, CheckTypeLayout, LibHeader, RootModuleResult,
};
use abi_stable::prefix_type::PrefixTypeTrait;
use log::LevelFilter;
use swapgate_abi::{
    DOOR_REV, EntryFn, ExchangeTok, MAGIC, PhaseFn, PluginRoot, RequestEndFn, SgErrorBuf, SgHost,
    SgPlugin, SgStr, code,
};
pub use swapgate_abi::{PluginRootRef, SgDescriptor, SgEntryArgs, SgEntryOut};

use super::call::{self, Raw, Running};
use super::error::{ConfigError, Error};
use super::forward;
use super::handle::{AccessCall, EndCall, HeaderFilterCall, LogCall, RewriteCall};
use super::hooks::{Access, HeaderFilter, Log, Plugin, RequestEnd, Rewrite};
use super::response::Flow;
use crate::status::HostError;
use crate::version::{self, Range};
use crate::view;

/// Exports a type that implements [`Plugin`] as a Swapgate plugin, through both doors.
///
/// ```text
/// swapgate_plugin::export!(KeyAuth, id = "key-auth");
/// ```
///
/// The id is a constant of `[a-z0-9-]`, at most 63 bytes. The version is the one in `Cargo.toml` unless `version = ".."`
/// says otherwise. Which of the hooks the type implements is found out here; there is no list to forget one in. Once per
/// library, and the crate needs `crate-type = ["cdylib"]`.
#[macro_export]
macro_rules! export {
    ($plugin:ty, id = $id:expr $(,)?) => {
        $crate::export!(
            $plugin,
            id = $id,
            version = ::core::env!("CARGO_PKG_VERSION")
        );
    };
    ($plugin:ty, id = $id:expr, version = $version:expr $(,)?) => {
        const _: () = {
            use $crate::guest::export as sdk;

            #[unsafe(no_mangle)]
            static sg_plugin_abi: sdk::SgDescriptor =
                sdk::descriptor($id, $version, ::core::cfg!(panic = "abort"));

            static DEFINITION: sdk::Definition = {
                use sdk::Absent as _;
                sdk::Definition::new::<$plugin>(
                    &sg_plugin_abi,
                    sdk::Phases {
                        rewrite: sdk::Probe::<$plugin>::REWRITE,
                        access: sdk::Probe::<$plugin>::ACCESS,
                        header_filter: sdk::Probe::<$plugin>::HEADER_FILTER,
                        log: sdk::Probe::<$plugin>::LOG,
                        request_end: sdk::Probe::<$plugin>::REQUEST_END,
                    },
                )
            };

            impl sdk::Exported for $plugin {
                fn definition() -> &'static sdk::Definition {
                    &DEFINITION
                }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn sg_plugin_entry(
                args: *const sdk::SgEntryArgs,
                out: *mut sdk::SgEntryOut,
            ) -> i32 {
                // SAFETY: this is the entry function of the contract, and its caller keeps that contract.
                unsafe { sdk::entry(&DEFINITION, args, out) }
            }

            fn root() -> $crate::guest::export::PluginRootRef {
                sdk::root(sg_plugin_entry)
            }

            extern "C" fn load_root() -> sdk::RootModuleResult {
                sdk::load_root(root)
            }

            // The name abi_stable looks for; the SDK has a test that it is this one.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static ROOT_HEADER: sdk::LibHeader = {
                // SAFETY: load_root() returns what was a PluginRootRef.
                unsafe {
                    sdk::LibHeader::from_constructor::<sdk::PluginRootRef>(
                        load_root,
                        sdk::CheckTypeLayout::Yes,
                    )
                }
            };
        };
    };
}

/// What [`export!`](crate::export) implements, so that [`testing`](crate::testing) finds the same table.
pub trait Exported: Plugin {
    /// The definition behind the doors.
    fn definition() -> &'static Definition;
}

/// Finds out at compile time which hooks `T` implements: an inherent constant whose bound holds wins over the constant
/// of [`Absent`], which every probe has.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

/// No hook, for every phase.
pub trait Absent {
    /// Absent.
    const REWRITE: Option<PhaseFn> = None;
    /// Absent.
    const ACCESS: Option<PhaseFn> = None;
    /// Absent.
    const HEADER_FILTER: Option<PhaseFn> = None;
    /// Absent.
    const LOG: Option<PhaseFn> = None;
    /// Absent.
    const REQUEST_END: Option<RequestEndFn> = None;
}

impl<T> Absent for Probe<T> {}

impl<T: Rewrite> Probe<T> {
    /// Present.
    pub const REWRITE: Option<PhaseFn> = Some(rewrite::<T>);
}

impl<T: Access> Probe<T> {
    /// Present.
    pub const ACCESS: Option<PhaseFn> = Some(access::<T>);
}

impl<T: HeaderFilter> Probe<T> {
    /// Present.
    pub const HEADER_FILTER: Option<PhaseFn> = Some(header_filter::<T>);
}

impl<T: Log> Probe<T> {
    /// Present.
    pub const LOG: Option<PhaseFn> = Some(log_hook::<T>);
}

impl<T: RequestEnd> Probe<T> {
    /// Present.
    pub const REQUEST_END: Option<RequestEndFn> = Some(request_end::<T>);
}

/// The hooks that exist.
#[derive(Debug, Clone, Copy)]
pub struct Phases {
    /// Before routing.
    pub rewrite: Option<PhaseFn>,
    /// After routing.
    pub access: Option<PhaseFn>,
    /// The head of the answer.
    pub header_filter: Option<PhaseFn>,
    /// The end.
    pub log: Option<PhaseFn>,
    /// The very end.
    pub request_end: Option<RequestEndFn>,
}

/// Everything [`entry`] needs to know about a plugin.
pub struct Definition {
    descriptor: &'static SgDescriptor,
    phases: Phases,
    make: fn(&SgDescriptor, Phases, &'static str) -> SgPlugin,
    schema: fn() -> String,
    table: OnceLock<Table>,
}

/// The table and the schema it points to.
struct Table {
    plugin: SgPlugin,
}

// SAFETY: the pointers in the table lead to statics and leaked text that nobody changes.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Definition {
    /// The definition of `T`.
    #[must_use]
    pub const fn new<T: Plugin>(descriptor: &'static SgDescriptor, phases: Phases) -> Self {
        Self {
            descriptor,
            phases,
            make: table_of::<T>,
            schema: schema_of::<T>,
            table: OnceLock::new(),
        }
    }

    fn table(&self) -> &SgPlugin {
        let table = self.table.get_or_init(|| {
            // Once per image, and the gateway may read it until the image is gone.
            let schema: &'static str = String::leak((self.schema)());
            Table {
                plugin: (self.make)(self.descriptor, self.phases, schema),
            }
        });
        &table.plugin
    }
}

fn schema_of<T: Plugin>() -> String {
    schemars::schema_for!(T::Config).as_value().to_string()
}

fn table_of<T: Plugin>(
    descriptor: &SgDescriptor,
    phases: Phases,
    schema: &'static str,
) -> SgPlugin {
    SgPlugin {
        struct_size: size_of_u32::<SgPlugin>(),
        flags: T::FLAGS,
        id: text_in(&descriptor.id),
        version: text_in(&descriptor.version),
        features_required: 0,
        features_optional: 0,
        priority: T::PRIORITY,
        request_body: 0,
        response_body: 0,
        reserved: 0,
        config_schema: SgStr::new(schema.as_bytes()),
        load: Some(load::<T>),
        unload: Some(unload::<T>),
        configure: Some(configure::<T>),
        start: Some(start::<T>),
        destroy: Some(destroy::<T>),
        rewrite: phases.rewrite,
        access: phases.access,
        header_filter: phases.header_filter,
        log: phases.log,
        request_end: phases.request_end,
    }
}

/// The text in a padded field. Read at run time, through a fence for the optimiser, so that the table always says what
/// the descriptor in the file says.
fn text_in(field: &[c_char]) -> SgStr {
    let field = std::hint::black_box(field);
    let len = field.iter().position(|c| *c == 0).unwrap_or(field.len());
    SgStr {
        ptr: field.as_ptr().cast(),
        len,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the structures of the contract are small"
)]
pub(crate) const fn size_of_u32<T>() -> u32 {
    size_of::<T>() as u32
}

/// Builds the descriptor at compile time; a bad id or version does not compile.
///
/// # Panics
///
/// At compile time: the id is not 1 to 63 bytes of `[a-z0-9-]`, or the version is not 1 to 63 bytes.
#[must_use]
pub const fn descriptor(id: &str, version: &str, panic_abort: bool) -> SgDescriptor {
    assert!(
        is_id(id.as_bytes()),
        "a plugin id is 1 to 63 bytes of [a-z0-9-]"
    );
    assert!(
        !version.is_empty() && version.len() < 64,
        "a plugin version is 1 to 63 bytes"
    );
    SgDescriptor {
        magic: MAGIC,
        struct_size: size_of_u32::<SgDescriptor>(),
        abi_major: Range::CURRENT.major,
        abi_min_minor: Range::CURRENT.min_minor,
        abi_max_minor: Range::CURRENT.max_minor,
        flags: if panic_abort {
            code::SG_DESC_PANIC_ABORT
        } else {
            0
        },
        reserved: 0,
        sdk: padded(concat!("rust ", env!("CARGO_PKG_VERSION"))),
        toolchain: padded(env!("SWAPGATE_TOOLCHAIN")),
        id: padded(id),
        version: padded(version),
    }
}

const fn is_id(id: &[u8]) -> bool {
    let mut index = 0;
    while index < id.len() {
        if !matches!(id[index], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        index += 1;
    }
    index > 0 && index < 64
}

const fn padded<const N: usize>(text: &str) -> [c_char; N] {
    let bytes = text.as_bytes();
    let mut field = [0; N];
    let mut index = 0;
    while index < bytes.len() && index + 1 < N {
        field[index] = bytes[index].cast_signed() as c_char;
        index += 1;
    }
    field
}

/// The root module of the second door.
#[must_use]
pub fn root(entry: EntryFn) -> PluginRootRef {
    // SAFETY: a function pointer may become one of another type; whoever calls it turns it back (swapgate-abi, root).
    let entry = unsafe { std::mem::transmute::<EntryFn, extern "C" fn()>(entry) };
    let door_rev = DOOR_REV;
    PluginRoot { door_rev, entry }.leak_into_prefix()
}

/// Set by [`testing`](crate::testing): the plugin is linked in, and several hosts live in one process, so none of them is
/// published for threads without a running hook.
static LINKED_IN: AtomicBool = AtomicBool::new(false);

pub(crate) fn linked_in() {
    LINKED_IN.store(true, Ordering::Relaxed);
}

/// `sg_plugin_entry`.
///
/// # Safety
///
/// `args` and `out` as the contract says: readable for their `struct_size`, the table in `args` complete and valid until
/// `unload` returns.
pub unsafe fn entry(
    definition: &'static Definition,
    args: *const SgEntryArgs,
    out: *mut SgEntryOut,
) -> i32 {
    // SAFETY: by the contract `args` is null or begins with its size.
    let args = unsafe { sized(args, |args| args.struct_size) };
    // SAFETY: likewise `out`.
    let fits = unsafe { sized(out.cast_const(), |out| out.struct_size) }.is_some();
    let (Some(args), true) = (args, fits) else {
        return code::SG_E_INVALID;
    };
    // SAFETY: just checked to be there and whole; the gateway lets us write to it during this call.
    let out = unsafe { &mut *out };
    match negotiate(args) {
        Ok(minor) => out.abi_minor = minor,
        Err((code, text)) => {
            write_error(Some(&mut out.error), &text);
            return code;
        }
    }
    // SAFETY: negotiate() checked that the table is complete, and it outlives this call.
    let _running = unsafe { Running::enter(args.host, 0) };
    let linked_in = LINKED_IN.load(Ordering::Relaxed);
    if !linked_in {
        call::publish(args.host);
    }
    let level = if linked_in {
        LevelFilter::Trace
    } else {
        LevelFilter::Info
    };
    let table = forward::barrier(|| {
        forward::install(level);
        std::ptr::from_ref(definition.table())
    });
    match table {
        Ok(table) => {
            out.plugin = table;
            code::SG_OK
        }
        Err(text) => {
            write_error(Some(&mut out.error), &text);
            code::SG_E_PANIC
        }
    }
}

/// A structure that begins with its size, if it is there and as long as ours.
///
/// # Safety
///
/// `pointer` is null or points to at least the size, and to as much as that size says, for `'a`.
unsafe fn sized<'a, T>(pointer: *const T, size: fn(&T) -> u32) -> Option<&'a T> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not null, so by the contract of this function at least the size is readable.
    let found = unsafe { pointer.cast::<u32>().read() };
    if found < size_of_u32::<T>() {
        return None;
    }
    // SAFETY: as many bytes as the size says are readable, and that is at least a whole T.
    let whole = unsafe { &*pointer };
    debug_assert_eq!(size(whole), found, "the size stands first");
    Some(whole)
}

fn negotiate(args: &SgEntryArgs) -> Result<u32, (i32, String)> {
    let gateway = Range {
        major: args.abi_major,
        min_minor: args.abi_min_minor,
        max_minor: args.abi_max_minor,
    };
    let minor = version::negotiate(Range::CURRENT, gateway)
        .map_err(|mismatch| (code::SG_E_VERSION, mismatch.to_string()))?;
    // SAFETY: by the contract the table is null or begins with its size.
    let host = unsafe { sized(args.host, |host| host.struct_size) };
    if host.is_none() {
        let text = "the gateway's table is shorter than its version says: report this to the gateway's authors";
        return Err((code::SG_E_INVALID, text.to_owned()));
    }
    Ok(minor)
}

/// An instance and the table it talks to.
struct Instance<T> {
    plugin: T,
    host: *const SgHost,
}

fn write_error(error: Option<&mut SgErrorBuf>, text: &str) {
    let Some(error) = error else { return };
    let mut len = text.len().min(error.cap);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    if error.ptr.is_null() {
        len = 0;
    }
    // SAFETY: the gateway gives room for `cap` bytes, and `len` is no more than that, or 0.
    unsafe { std::ptr::copy(text.as_ptr(), error.ptr, len) };
    error.len = len;
}

/// Runs a call outside of exchanges and writes down why it failed.
///
/// # Safety
///
/// `host` is null or a complete table for the time of the call; `error` is null or writable.
unsafe fn control(
    host: *const SgHost,
    error: *mut SgErrorBuf,
    run: impl FnOnce() -> Result<(), (i32, String)>,
) -> i32 {
    // SAFETY: the caller vouches for `host`.
    let _running = unsafe { Running::enter(host, 0) };
    let outcome = forward::barrier(run).unwrap_or_else(|text| Err((code::SG_E_PANIC, text)));
    match outcome {
        Ok(()) => code::SG_OK,
        Err((code, text)) => {
            // SAFETY: the caller vouches for `error`.
            write_error(unsafe { error.as_mut() }, &text);
            code
        }
    }
}

fn failed(error: &Error) -> (i32, String) {
    (error.code(), error.to_string())
}

unsafe extern "C" fn load<T: Plugin>(host: *const SgHost, error: *mut SgErrorBuf) -> i32 {
    // SAFETY: the gateway passes its table and room for an error, both for this call.
    unsafe { control(host, error, || T::load().map_err(|error| failed(&error))) }
}

unsafe extern "C" fn unload<T: Plugin>(_deadline_ms: u64) -> i32 {
    let host = call::here();
    let run = || {
        T::unload().map_err(|error| {
            log::error!("unload failed: {error}");
            failed(&error)
        })
    };
    // SAFETY: the table given at entry is valid until this call returns; there is no room for an error.
    let code = unsafe { control(host, std::ptr::null_mut(), run) };
    call::publish(std::ptr::null());
    code
}

unsafe extern "C" fn configure<T: Plugin>(
    host: *const SgHost,
    config: SgStr,
    instance: *mut *mut c_void,
    error: *mut SgErrorBuf,
) -> i32 {
    let run = || {
        // SAFETY: `config` is readable during this call, and nothing of it is kept.
        let json = unsafe { view::bytes(config) };
        let refused = |error: ConfigError| (code::SG_E_INVALID, error.to_string());
        let config = ConfigError::parse::<T::Config>(json).map_err(refused)?;
        let plugin = T::configure(config).map_err(refused)?;
        let made = Box::into_raw(Box::new(Instance { plugin, host }));
        // SAFETY: the gateway gives room for one pointer.
        unsafe { instance.write(made.cast()) };
        Ok(())
    };
    // SAFETY: the gateway passes its table and room for an error, both for this call.
    unsafe { control(host, error, run) }
}

/// The instance behind the pointer that [`configure`] handed out.
///
/// # Safety
///
/// `instance` comes from [`configure`] of the same `T` and was not destroyed for `'a`.
unsafe fn instance_of<'a, T>(instance: *mut c_void) -> &'a Instance<T> {
    // SAFETY: the caller vouches for it; nobody ever borrows an instance mutably before destroy.
    unsafe { &*instance.cast::<Instance<T>>() }
}

unsafe extern "C" fn start<T: Plugin>(instance: *mut c_void, error: *mut SgErrorBuf) -> i32 {
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    let instance = unsafe { instance_of::<T>(instance) };
    let run = || instance.plugin.start().map_err(|error| failed(&error));
    // SAFETY: the table of the instance is valid until unload; `error` is the gateway's for this call.
    unsafe { control(instance.host, error, run) }
}

unsafe extern "C" fn destroy<T: Plugin>(instance: *mut c_void) {
    // SAFETY: the gateway passes an instance that configure() made, exactly once and after its last use.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance<T>>()) };
    let host = instance.host;
    let run = || {
        drop(instance);
        Ok(())
    };
    // SAFETY: the table of the instance is valid until unload; there is no room for an error.
    unsafe { control(host, std::ptr::null_mut(), run) };
}

/// Runs a hook behind the barrier and says why it failed.
///
/// # Safety
///
/// As [`instance_of`], for the time of the call.
unsafe fn hook<T: Plugin>(
    instance: *mut c_void,
    token: ExchangeTok,
    run: impl FnOnce(&T, Raw<'_>) -> Result<i32, Error>,
) -> i32 {
    // SAFETY: the caller vouches for it.
    let instance = unsafe { instance_of::<T>(instance) };
    // SAFETY: the table of an instance is complete (entry) and valid until unload.
    let _running = unsafe { Running::enter(instance.host, token) };
    // SAFETY: as above.
    let raw = unsafe { Raw::new(instance.host, token) };
    match forward::barrier(|| run(&instance.plugin, raw)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            // SAFETY: as above. A gateway that does not take the text has said so to itself.
            let mut raw = unsafe { Raw::new(instance.host, token) };
            let _ = raw.set_error(&error.to_string());
            error.code()
        }
        // The panic hook has told the gateway already, with the place.
        Err(_) => code::SG_E_PANIC,
    }
}

fn action(flow: &Flow) -> i32 {
    match flow {
        Flow::Continue => code::SG_CONTINUE,
        Flow::Respond(_) => code::SG_RESPOND,
    }
}

unsafe extern "C" fn rewrite<T: Rewrite>(instance: *mut c_void, exchange: ExchangeTok) -> i32 {
    let run = |plugin: &T, raw: Raw<'_>| {
        let flow = plugin.rewrite(&mut RewriteCall::new(raw))?;
        Ok(action(&flow))
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) }
}

unsafe extern "C" fn access<T: Access>(instance: *mut c_void, exchange: ExchangeTok) -> i32 {
    let run = |plugin: &T, raw: Raw<'_>| {
        let flow = plugin.access(&mut AccessCall::new(raw))?;
        Ok(action(&flow))
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) }
}

unsafe extern "C" fn header_filter<T: HeaderFilter>(
    instance: *mut c_void,
    exchange: ExchangeTok,
) -> i32 {
    let run = |plugin: &T, raw: Raw<'_>| {
        plugin.header_filter(&mut HeaderFilterCall::new(raw))?;
        Ok(code::SG_CONTINUE)
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) }
}

unsafe extern "C" fn log_hook<T: Log>(instance: *mut c_void, exchange: ExchangeTok) -> i32 {
    let run = |plugin: &T, raw: Raw<'_>| {
        plugin.log(&mut LogCall::new(raw))?;
        Ok(code::SG_CONTINUE)
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) }
}

unsafe extern "C" fn request_end<T: RequestEnd>(instance: *mut c_void, exchange: ExchangeTok) {
    let run = |plugin: &T, raw: Raw<'_>| {
        plugin.request_end(&mut EndCall::new(raw));
        Ok(code::SG_CONTINUE)
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) };
}

/// What lies behind a state pointer. One more box, because a trait object is two pointers wide.
type State = Box<dyn Any + Send>;

pub(super) fn state_ref<'r>(raw: &'r Raw<'_>) -> Option<&'r (dyn Any + Send)> {
    let state = raw.state_get().ok()?.cast::<State>();
    // SAFETY: the slot belongs to this instance, so what lies there was left by set_state(); it is released at the
    // earliest when it is replaced, which takes `&mut`.
    unsafe { state.as_ref() }.map(|state| &**state)
}

pub(super) fn state_mut<'r>(raw: &'r mut Raw<'_>) -> Option<&'r mut (dyn Any + Send)> {
    let state = raw.state_get().ok()?.cast::<State>();
    // SAFETY: as in state_ref(); `&mut` of the one handle there is in this exchange makes it the only borrow.
    unsafe { state.as_mut() }.map(|state| &mut **state)
}

pub(super) fn set_state(raw: &mut Raw<'_>, state: State) -> Result<(), HostError> {
    let state = Box::into_raw(Box::new(state));
    // SAFETY: release() is made for such a pointer, and the value is Send.
    let left = unsafe { raw.state_set(state.cast(), release) };
    if left.is_err() {
        // SAFETY: the gateway did not take it, so it is still ours and nobody else's.
        unsafe { release(state.cast()) };
    }
    left
}

unsafe extern "C" fn release(state: *mut c_void) {
    // SAFETY: the gateway calls this once for a pointer that set_state() left.
    let state = unsafe { Box::from_raw(state.cast::<State>()) };
    if let Err(text) = forward::barrier(|| drop(state)) {
        log::error!("the state of an exchange could not be dropped cleanly: {text}");
    }
}

#[cfg(test)]
mod tests {
    use super::{descriptor, is_id};

    #[test]
    fn the_macro_uses_the_name_that_abi_stable_looks_for() {
        assert_eq!(
            abi_stable::library::ROOT_MODULE_LOADER_NAME,
            "_1as_0lib_1header_0root_bmodule_bloader"
        );
    }

    #[test]
    fn ids_are_short_and_plain() {
        assert!(is_id(b"key-auth"));
        for bad in ["", "Key", "a_b", "ä", &"x".repeat(64)] {
            assert!(!is_id(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn texts_of_the_descriptor_are_padded_with_zeros() {
        let descriptor = descriptor("x", "1.2.3", true);
        assert_eq!(descriptor.flags, 1);
        assert_eq!(descriptor.id[..2], [120, 0]);
        assert_eq!(descriptor.version[4..7], [51, 0, 0]);
    }
}
