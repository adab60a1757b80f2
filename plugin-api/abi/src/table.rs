//! Structures that cross the line, field by field as in `swapgate.h`, where each is documented.
#![allow(missing_docs)] // each field is documented in the header, which is the reference

use core::ffi::{c_char, c_void};

use crate::event::{SgEvent, SgMemory, SgStateOut};

/// Names one running exchange.
pub type ExchangeTok = u64;

/// Names one series of a metric.
pub type MetricTok = u64;

/// Names one instance.
pub type InstanceTok = u64;

/// An [`ExchangeTok`] or an [`InstanceTok`].
pub type ScopeTok = u64;

/// Names one operation of one scope.
pub type OpTok = u64;

/// Wakes one instance in one lane of one exchange, or in the background.
pub type WakeTok = u64;

/// Borrowed bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgStr {
    pub ptr: *const u8,
    pub len: usize,
}

impl SgStr {
    /// No bytes.
    pub const EMPTY: Self = Self {
        ptr: core::ptr::null(),
        len: 0,
    };

    /// A view of `bytes`; the caller keeps them alive for as long as the view is read. Of no bytes it is null: Rust's own
    /// pointer to nothing is a small number, and Go's runtime ends the process when it finds one on a stack.
    #[must_use]
    pub const fn new(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::EMPTY;
        }
        Self {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }
}

/// Where an array begins, for whoever reads it behind the line; null if it is empty, as for [`SgStr::new`].
#[must_use]
pub const fn first<T>(array: &[T]) -> *const T {
    if array.is_empty() {
        core::ptr::null()
    } else {
        array.as_ptr()
    }
}

/// One header.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgHeader {
    pub name: SgStr,
    pub value: SgStr,
}

/// One label of a metric.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgLabel {
    pub name: SgStr,
    pub value: SgStr,
}

/// Room for an error text, given by the gateway.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgErrorBuf {
    pub ptr: *mut u8,
    pub cap: usize,
    pub len: usize,
}

/// A state destructor.
pub type ReleaseFn = unsafe extern "C" fn(state: *mut c_void);

/// What the gateway offers.
#[repr(C)]
pub struct SgHost {
    pub struct_size: u32,
    pub abi_minor: u32,
    pub private_: *const c_void,
    pub log: unsafe extern "C" fn(host: *const SgHost, level: u32, text: SgStr) -> i32,
    pub attr_text: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        attr: u32,
        out: *mut SgStr,
    ) -> i32,
    pub attr_number: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        attr: u32,
        out: *mut u64,
    ) -> i32,
    pub attr_set: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        attr: u32,
        value: SgStr,
    ) -> i32,
    pub param_get: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        name: SgStr,
        out: *mut SgStr,
    ) -> i32,
    pub param_nth: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        index: usize,
        name: *mut SgStr,
        value: *mut SgStr,
    ) -> i32,
    pub header_get: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        map: u32,
        name: SgStr,
        out: *mut SgStr,
    ) -> i32,
    pub header_nth: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        map: u32,
        name: SgStr,
        index: usize,
        out: *mut SgStr,
    ) -> i32,
    pub headers_list: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        map: u32,
        out: *mut SgHeader,
        cap: usize,
        count: *mut usize,
    ) -> i32,
    pub header_set: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        map: u32,
        name: SgStr,
        value: SgStr,
    ) -> i32,
    pub header_append: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        map: u32,
        name: SgStr,
        value: SgStr,
    ) -> i32,
    pub header_remove: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        map: u32,
        name: SgStr,
    ) -> i32,
    pub respond: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        status: u32,
        headers: *const SgHeader,
        header_count: usize,
        body: SgStr,
    ) -> i32,
    pub var_get: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        name: SgStr,
        out: *mut SgStr,
    ) -> i32,
    pub var_set: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        name: SgStr,
        value: SgStr,
    ) -> i32,
    pub state_get: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        out: *mut *mut c_void,
    ) -> i32,
    pub state_set: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        state: *mut c_void,
        release: Option<ReleaseFn>,
    ) -> i32,
    pub consumer_get:
        unsafe extern "C" fn(host: *const SgHost, exchange: ExchangeTok, out: *mut SgStr) -> i32,
    pub consumer_set:
        unsafe extern "C" fn(host: *const SgHost, exchange: ExchangeTok, consumer: SgStr) -> i32,
    pub set_error:
        unsafe extern "C" fn(host: *const SgHost, exchange: ExchangeTok, text: SgStr) -> i32,
    pub metric_declare: unsafe extern "C" fn(
        host: *const SgHost,
        kind: u32,
        name: SgStr,
        help: SgStr,
        labels: *const SgLabel,
        label_count: usize,
        bounds: *const f64,
        bound_count: usize,
        out: *mut MetricTok,
    ) -> i32,
    pub metric_add: unsafe extern "C" fn(host: *const SgHost, metric: MetricTok, value: f64) -> i32,
    pub metric_set: unsafe extern "C" fn(host: *const SgHost, metric: MetricTok, value: f64) -> i32,
    pub metric_observe:
        unsafe extern "C" fn(host: *const SgHost, metric: MetricTok, value: f64) -> i32,
    pub extension: unsafe extern "C" fn(host: *const SgHost, id: SgStr) -> *const c_void,
    pub sleep: unsafe extern "C" fn(
        host: *const SgHost,
        scope: ScopeTok,
        nanoseconds: u64,
        out: *mut OpTok,
    ) -> i32,
    pub op_cancel: unsafe extern "C" fn(host: *const SgHost, scope: ScopeTok, op: OpTok) -> i32,
    pub waker: unsafe extern "C" fn(host: *const SgHost, scope: ScopeTok, out: *mut WakeTok) -> i32,
    pub wake: unsafe extern "C" fn(host: *const SgHost, token: WakeTok) -> i32,
    pub tick_every:
        unsafe extern "C" fn(host: *const SgHost, instance: InstanceTok, milliseconds: u64) -> i32,
    pub upstream_set: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        kind: u32,
        value: SgStr,
    ) -> i32,
    pub body_len:
        unsafe extern "C" fn(host: *const SgHost, exchange: ExchangeTok, out: *mut u64) -> i32,
    pub body_pieces: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        out: *mut SgStr,
        cap: usize,
        count: *mut usize,
    ) -> i32,
    pub body_drain:
        unsafe extern "C" fn(host: *const SgHost, exchange: ExchangeTok, bytes: u64) -> i32,
    pub body_replace:
        unsafe extern "C" fn(host: *const SgHost, exchange: ExchangeTok, bytes: SgStr) -> i32,
    pub body_append:
        unsafe extern "C" fn(host: *const SgHost, exchange: ExchangeTok, bytes: SgStr) -> i32,
    pub body_append_own: unsafe extern "C" fn(
        host: *const SgHost,
        exchange: ExchangeTok,
        bytes: SgStr,
        release: Option<ReleaseFn>,
        context: *mut c_void,
    ) -> i32,
    pub body_hold:
        unsafe extern "C" fn(host: *const SgHost, exchange: ExchangeTok, bytes: u64) -> i32,
    pub body_ignore:
        unsafe extern "C" fn(host: *const SgHost, exchange: ExchangeTok, lane: u32) -> i32,
}

/// A hook that takes part in an exchange.
pub type PhaseFn = unsafe extern "C" fn(instance: *mut c_void, exchange: ExchangeTok) -> i32;
/// The last hook of an exchange.
pub type RequestEndFn = unsafe extern "C" fn(instance: *mut c_void, exchange: ExchangeTok);
/// A hook that sees a body.
pub type BodyFn =
    unsafe extern "C" fn(instance: *mut c_void, exchange: ExchangeTok, flags: u32) -> i32;
/// A hook that sees trailers.
pub type TrailersFn =
    unsafe extern "C" fn(instance: *mut c_void, exchange: ExchangeTok, lane: u32) -> i32;
/// A hook that is told what happened.
pub type EventFn = unsafe extern "C" fn(
    instance: *mut c_void,
    exchange: ExchangeTok,
    event: *const SgEvent,
) -> i32;
/// A hook that is called again and again.
pub type TickFn = unsafe extern "C" fn(instance: *mut c_void) -> i32;
/// A hook that is told what happened in the background.
pub type OpDoneFn = unsafe extern "C" fn(instance: *mut c_void, event: *const SgEvent) -> i32;
/// Writes a state for another instance.
pub type ExportStateFn = unsafe extern "C" fn(instance: *mut c_void, out: *mut SgStateOut) -> i32;
/// Takes over the state of another instance.
pub type ImportStateFn = unsafe extern "C" fn(
    instance: *mut c_void,
    version: u32,
    state: SgStr,
    error: *mut SgErrorBuf,
) -> i32;
/// Says how much memory an image uses.
pub type MemoryFn = unsafe extern "C" fn(out: *mut SgMemory) -> i32;
/// Prepares an image.
pub type LoadFn = unsafe extern "C" fn(host: *const SgHost, error: *mut SgErrorBuf) -> i32;
/// Undoes [`LoadFn`].
pub type UnloadFn = unsafe extern "C" fn(deadline_ms: u64) -> i32;
/// Makes an instance.
pub type ConfigureFn = unsafe extern "C" fn(
    host: *const SgHost,
    config: SgStr,
    instance: *mut *mut c_void,
    error: *mut SgErrorBuf,
) -> i32;
/// Tells an instance that it is about to serve.
pub type StartFn =
    unsafe extern "C" fn(instance: *mut c_void, token: InstanceTok, error: *mut SgErrorBuf) -> i32;
/// Ends an instance.
pub type DestroyFn = unsafe extern "C" fn(instance: *mut c_void);

/// What the plugin offers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SgPlugin {
    pub struct_size: u32,
    pub flags: u32,
    pub id: SgStr,
    pub version: SgStr,
    pub features_required: u64,
    pub features_optional: u64,
    pub priority: i32,
    pub request_body_need: u32,
    pub response_body_need: u32,
    pub reserved: u32,
    pub config_schema: SgStr,
    pub buffer_bytes: u64,
    pub load: Option<LoadFn>,
    pub unload: Option<UnloadFn>,
    pub configure: Option<ConfigureFn>,
    pub start: Option<StartFn>,
    pub destroy: Option<DestroyFn>,
    pub rewrite: Option<PhaseFn>,
    pub access: Option<PhaseFn>,
    pub header_filter: Option<PhaseFn>,
    pub log: Option<PhaseFn>,
    pub request_end: Option<RequestEndFn>,
    pub request_body: Option<BodyFn>,
    pub body_filter: Option<BodyFn>,
    pub trailers: Option<TrailersFn>,
    pub on_event: Option<EventFn>,
    pub on_tick: Option<TickFn>,
    pub on_op_done: Option<OpDoneFn>,
    pub export_state: Option<ExportStateFn>,
    pub import_state: Option<ImportStateFn>,
    pub memory: Option<MemoryFn>,
}

/// What can be read from the file before any code of the plugin runs.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SgDescriptor {
    pub magic: [u8; 8],
    pub struct_size: u32,
    pub abi_major: u32,
    pub abi_min_minor: u32,
    pub abi_max_minor: u32,
    pub flags: u32,
    pub reserved: u32,
    pub sdk: [c_char; 32],
    pub toolchain: [c_char; 64],
    pub id: [c_char; 64],
    pub version: [c_char; 64],
}

/// What the gateway says at the door.
#[repr(C)]
pub struct SgEntryArgs {
    pub struct_size: u32,
    pub abi_major: u32,
    pub abi_min_minor: u32,
    pub abi_max_minor: u32,
    pub flags: u32,
    pub reserved: u32,
    pub features: u64,
    pub host: *const SgHost,
}

/// What the plugin answers at the door.
#[repr(C)]
pub struct SgEntryOut {
    pub struct_size: u32,
    pub abi_minor: u32,
    pub plugin: *const SgPlugin,
    pub error: SgErrorBuf,
}

/// The door itself.
pub type EntryFn = unsafe extern "C" fn(args: *const SgEntryArgs, out: *mut SgEntryOut) -> i32;

const _: () = assert!(size_of::<SgDescriptor>() == 256);
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<SgStr>() == 16);
    assert!(size_of::<SgLabel>() == 32);
    assert!(size_of::<SgHost>() == 328);
    assert!(size_of::<SgPlugin>() == 248);
    assert!(size_of::<SgEntryArgs>() == 40);
    assert!(size_of::<SgEntryOut>() == 40);
};
