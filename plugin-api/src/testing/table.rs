//! The table the plugin calls, and what its functions work on.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::ptr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use log::Level;
use swapgate_abi::{
    ExchangeTok, MetricTok, ReleaseFn, ScopeTok, SgHeader, SgHost, SgLabel, SgStr, code,
};

use super::LogLine;
use super::area::Areas;
use super::body::{
    body_append, body_append_own, body_drain, body_hold, body_ignore, body_len, body_pieces,
    body_replace,
};
use super::course::{Call, Course};
use super::exchange::{Exchange, Phase};
use super::live::Live;
use super::metrics::Metrics;
use super::waiting::{extension, op_cancel, sleep, tick_every, upstream_set, wake, waker};
use super::world::{Scope, World};
use crate::guest::export;
use crate::guest::response::Response;
use crate::metric::{Declared, Kind};
use crate::status::HostError;
use crate::version::Range;
use crate::view;

/// How long a thread of the plugin may take to wake what waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the table's functions work on.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Rung when a wake token was used.
    pub(super) rung: Condvar,
    /// The larger areas, made when the table is.
    pub(super) areas: Areas,
    /// Apart from the rest: any thread may count, and what an exchange holds belongs to one.
    pub(super) metrics: Metrics,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) logs: Vec<LogLine>,
    /// The exchange whose hook is running, and on which thread.
    running: Option<(ExchangeTok, ThreadId)>,
    pub(super) slots: BTreeMap<ExchangeTok, Slot>,
    /// Exchanges for which something happened, so that they may be able to go on.
    pub(super) moved: BTreeSet<ExchangeTok>,
    pub(super) world: World,
    /// Which of the hooks there are that are told of operations: of exchanges, of the background, of time.
    pub(super) told: Told,
}

/// Which hooks there are that can be told of something.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) on_event: bool,
    pub(super) on_op_done: bool,
    pub(super) on_tick: bool,
}

/// An exchange, and the state the plugin left in it.
pub(super) struct Slot {
    /// The instance it runs through.
    pub(super) made: *mut c_void,
    pub(super) live: Live,
    pub(super) course: Course,
    /// The hook that is running or was the last one to.
    pub(super) call: Option<Call>,
    pub(super) state: Left,
    /// States that were replaced; released with the last one.
    pub(super) replaced: Vec<Left>,
}

/// A state and its release function.
pub(super) struct Left {
    state: *mut c_void,
    release: Option<ReleaseFn>,
}

impl State {
    /// The exchange with that token, if it is the running one.
    fn exchange(&mut self, token: ExchangeTok) -> Result<&mut Slot, HostError> {
        match self.running {
            Some((_, thread)) if thread != thread::current().id() => Err(HostError::WrongThread),
            Some((running, _)) if running == token => {
                self.slots.get_mut(&token).ok_or(HostError::Stale)
            }
            Some(_) | None => Err(HostError::Stale),
        }
    }

    /// Whose operation something would be that is begun now.
    pub(super) fn scope(&mut self, token: ScopeTok) -> Result<Scope, HostError> {
        let told = self.told;
        if self.world.instances.contains_key(&token) {
            let scope = Scope::Instance(token);
            return told
                .on_op_done
                .then_some(scope)
                .ok_or(HostError::WrongPhase);
        }
        let call = self.exchange(token)?.call.ok_or(HostError::Stale)?;
        if call.phase >= Phase::Log || !told.on_event {
            return Err(HostError::WrongPhase);
        }
        Ok(Scope::Exchange(token, call.lane))
    }

    /// Whether somebody may speak of this scope here.
    pub(super) fn check_scope(&mut self, token: ScopeTok) -> Result<(), HostError> {
        if self.world.instances.contains_key(&token) {
            return Ok(());
        }
        self.exchange(token).map(drop)
    }
}

impl Slot {
    pub(super) fn new(made: *mut c_void, exchange: Exchange, needs: [u32; 2]) -> Self {
        Self {
            made,
            course: Course::new(&exchange, needs),
            live: Live::new(exchange),
            call: None,
            state: Left::NOTHING,
            replaced: Vec::new(),
        }
    }
}

impl Left {
    const NOTHING: Self = Self {
        state: ptr::null_mut(),
        release: None,
    };

    /// Takes what is to be released, leaving nothing.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::NOTHING)
    }

    pub(super) fn release(self) {
        if let Some(release) = self.release {
            // SAFETY: the plugin left the two together; self is used up, so this happens once.
            unsafe { release(self.state) };
        }
    }
}

impl Shared {
    /// Whether a hook of an exchange is running on this thread.
    fn in_hook(&self) -> bool {
        let running = self.lock().running;
        running.is_some_and(|(_, thread)| thread == thread::current().id())
    }

    /// A hook of this exchange begins on this thread, or the last one ends.
    pub(super) fn run(&self, exchange: Option<ExchangeTok>) {
        let here = thread::current().id();
        self.lock().running = exchange.map(|exchange| (exchange, here));
    }

    /// Waits until a token is used, from whatever thread. False: it takes too long.
    pub(super) fn wait_for_wake(&self) -> bool {
        let state = self.lock();
        let idle = |state: &mut State| !state.world.has_happened();
        let waited = self.rung.wait_timeout_while(state, PATIENCE, idle);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        !waited.timed_out()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn table(private_: *const c_void) -> SgHost {
    SgHost {
        struct_size: export::size_of_u32::<SgHost>(),
        abi_minor: Range::CURRENT.max_minor,
        private_,
        log,
        attr_text,
        attr_number,
        attr_set,
        param_get,
        param_nth,
        header_get,
        header_nth,
        headers_list,
        header_set,
        header_append,
        header_remove,
        respond,
        var_get,
        var_set,
        state_get,
        state_set,
        consumer_get,
        consumer_set,
        set_error,
        metric_declare,
        metric_add,
        metric_set,
        metric_observe,
        extension,
        sleep,
        op_cancel,
        waker,
        wake,
        tick_every,
        upstream_set,
        body_len,
        body_pieces,
        body_drain,
        body_replace,
        body_append,
        body_append_own,
        body_hold,
        body_ignore,
    }
}

/// Finds the exchange a function is about and turns what it answers into a code.
///
/// # Safety
///
/// `host` is a table of an [`Image`] that still lives.
pub(super) unsafe fn with(
    host: *const SgHost,
    token: ExchangeTok,
    run: impl FnOnce(&mut Slot) -> Result<(), HostError>,
) -> i32 {
    // SAFETY: the caller vouches for the table.
    let shared = unsafe { shared_of(host) };
    let mut state = shared.lock();
    let answer = state.exchange(token).and_then(run);
    answer.map_or_else(HostError::code, |()| code::SG_OK)
}

/// What stands beside a table.
///
/// # Safety
///
/// `host` is a table of an [`Image`] that lives for `'a`.
pub(super) unsafe fn shared_of<'a>(host: *const SgHost) -> &'a Shared {
    // SAFETY: the caller vouches for the table.
    let private_ = unsafe { (*host).private_ };
    // SAFETY: enter() put the address of the Shared there, and the image keeps both.
    unsafe { &*private_.cast::<Shared>() }
}

/// The text a plugin passed.
///
/// # Safety
///
/// As [`view::bytes`], for the time of the call.
pub(super) unsafe fn text<'a>(view: SgStr) -> Result<&'a str, HostError> {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { bytes(view) }?;
    std::str::from_utf8(bytes).map_err(|_| HostError::Invalid)
}

/// The bytes a plugin passed.
///
/// # Safety
///
/// As [`view::bytes`], for the time of the call.
pub(super) unsafe fn bytes<'a>(view: SgStr) -> Result<&'a [u8], HostError> {
    if view.ptr.is_null() && view.len > 0 {
        return Err(HostError::Invalid);
    }
    // SAFETY: the caller vouches for it.
    Ok(unsafe { view::bytes(view) })
}

/// Gives a value to the plugin.
///
/// # Safety
///
/// `out` is null or writable.
pub(super) unsafe fn give<T>(out: *mut T, value: T) -> Result<(), HostError> {
    if out.is_null() {
        return Err(HostError::Invalid);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    unsafe { out.write(value) };
    Ok(())
}

/// Writes a function of the table: arguments in, `Result<(), HostError>` out. The body runs with the running exchange.
macro_rules! functions {
    ($(fn $name:ident($slot:ident $(, $arg:ident: $ty:ty)*) $body:block)*) => {$(
        unsafe extern "C" fn $name(
            host: *const SgHost,
            exchange: ExchangeTok
            $(, $arg: $ty)*
        ) -> i32 {
            let run = |$slot: &mut Slot| $body;
            // SAFETY: plugins pass the table they were given, which outlives them.
            unsafe { with(host, exchange, run) }
        }
    )*};
}

functions! {
    fn attr_text(slot, attr: u32, out: *mut SgStr) {
        let text = slot.live.attr_text(attr)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(text.as_bytes())) }
    }

    fn attr_number(slot, attr: u32, out: *mut u64) {
        let number = slot.live.attr_number(attr)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, number) }
    }

    fn attr_set(slot, attr: u32, value: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let value = unsafe { bytes(value) }?.to_vec();
        slot.live.attr_set(attr, &value)
    }

    fn param_get(slot, name: SgStr, out: *mut SgStr) {
        // SAFETY: what goes in is readable during the call.
        let name = unsafe { text(name) }?;
        let value = slot.live.param(name)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(value.as_bytes())) }
    }

    fn param_nth(slot, index: usize, name: *mut SgStr, value: *mut SgStr) {
        let (found, is) = slot.live.param_nth(index)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(name, SgStr::new(found.as_bytes())) }?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(value, SgStr::new(is.as_bytes())) }
    }

    fn header_get(slot, map: u32, name: SgStr, out: *mut SgStr) {
        // SAFETY: what goes in is readable during the call.
        let name = unsafe { text(name) }?;
        let value = slot.live.header(map, name, 0)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(value)) }
    }

    fn header_nth(slot, map: u32, name: SgStr, index: usize, out: *mut SgStr) {
        // SAFETY: what goes in is readable during the call.
        let name = unsafe { text(name) }?;
        let value = slot.live.header(map, name, index)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(value)) }
    }

    fn headers_list(slot, map: u32, out: *mut SgHeader, cap: usize, count: *mut usize) {
        let headers = slot.live.headers(map)?;
        if out.is_null() && cap > 0 {
            return Err(HostError::Invalid);
        }
        for (index, (name, value)) in headers.iter().take(cap).enumerate() {
            let (name, value) = (SgStr::new(name.as_bytes()), SgStr::new(value));
            // SAFETY: plugins pass room for `cap` entries, and `index` is below that.
            let entry = unsafe { out.add(index) };
            // SAFETY: as above.
            unsafe { give(entry, SgHeader { name, value }) }?;
        }
        // SAFETY: plugins pass room for the answer.
        unsafe { give(count, headers.iter().len()) }
    }

    fn header_set(slot, map: u32, name: SgStr, value: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let name = unsafe { text(name) }?.to_owned();
        // SAFETY: as above.
        let value = unsafe { bytes(value) }?.to_vec();
        slot.live.header_add(map, &name, &value, true)
    }

    fn header_append(slot, map: u32, name: SgStr, value: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let name = unsafe { text(name) }?.to_owned();
        // SAFETY: as above.
        let value = unsafe { bytes(value) }?.to_vec();
        slot.live.header_add(map, &name, &value, false)
    }

    fn header_remove(slot, map: u32, name: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let name = unsafe { text(name) }?.to_owned();
        slot.live.header_remove(map, &name)
    }

    fn respond(slot, status: u32, headers: *const SgHeader, count: usize, body: SgStr) {
        if headers.is_null() && count > 0 {
            return Err(HostError::Invalid);
        }
        let status = u16::try_from(status).map_err(|_| HostError::Invalid)?;
        let mut answer = Response::new(status);
        for index in 0..count {
            // SAFETY: plugins pass `count` entries, readable during the call.
            let entry = unsafe { headers.add(index) };
            // SAFETY: as above.
            let SgHeader { name, value } = unsafe { entry.read() };
            // SAFETY: what goes in is readable during the call.
            let name = unsafe { text(name) }?;
            // SAFETY: as above.
            answer = answer.header(name, unsafe { bytes(value) }?);
        }
        // SAFETY: what goes in is readable during the call.
        slot.live.respond(answer.body(unsafe { bytes(body) }?))
    }

    fn var_get(slot, name: SgStr, out: *mut SgStr) {
        // SAFETY: what goes in is readable during the call.
        let name = unsafe { text(name) }?;
        let value = slot.live.var(name)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(value)) }
    }

    fn var_set(slot, name: SgStr, value: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let name = unsafe { text(name) }?.to_owned();
        // SAFETY: as above.
        let value = unsafe { bytes(value) }?.to_vec();
        slot.live.var_set(&name, &value)
    }

    fn state_get(slot, out: *mut *mut c_void) {
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, slot.state.state) }
    }

    fn state_set(slot, state: *mut c_void, release: Option<ReleaseFn>) {
        let left = Left { state, release };
        slot.replaced.push(std::mem::replace(&mut slot.state, left));
        Ok(())
    }

    fn consumer_get(slot, out: *mut SgStr) {
        let consumer = slot.live.consumer()?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(consumer.as_bytes())) }
    }

    fn consumer_set(slot, consumer: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let consumer = unsafe { bytes(consumer) }?.to_vec();
        slot.live.consumer_set(&consumer)
    }

    fn set_error(slot, why: SgStr) {
        // SAFETY: what goes in is readable during the call.
        let why = unsafe { text(why) }?;
        slot.live.error = Some(why.to_owned());
        Ok(())
    }
}

unsafe extern "C" fn log(host: *const SgHost, level: u32, line: SgStr) -> i32 {
    let level = match level {
        code::SG_LOG_ERROR => Level::Error,
        code::SG_LOG_WARN => Level::Warn,
        code::SG_LOG_INFO => Level::Info,
        code::SG_LOG_DEBUG => Level::Debug,
        code::SG_LOG_TRACE => Level::Trace,
        _ => return code::SG_E_INVALID,
    };
    // SAFETY: what goes in is readable during the call.
    let Ok(line) = (unsafe { bytes(line) }) else {
        return code::SG_E_INVALID;
    };
    let text = String::from_utf8_lossy(line).into_owned();
    // SAFETY: plugins pass the table they were given, which outlives them.
    let shared = unsafe { shared_of(host) };
    shared.lock().logs.push(LogLine { level, text });
    code::SG_OK
}

/// Reads an array that goes in.
///
/// # Safety
///
/// `first` is null or points to `count` entries that stay as they are during the call.
unsafe fn entries<'a, T>(first: *const T, count: usize) -> Result<&'a [T], HostError> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() || count > MOST_ENTRIES {
        return Err(HostError::Invalid);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// More than any array of a declaration may have.
const MOST_ENTRIES: usize = 1024;

#[allow(
    clippy::too_many_arguments,
    reason = "the contract gives them one by one"
)]
unsafe extern "C" fn metric_declare(
    host: *const SgHost,
    kind: u32,
    name: SgStr,
    help: SgStr,
    labels: *const SgLabel,
    label_count: usize,
    bounds: *const f64,
    bound_count: usize,
    out: *mut MetricTok,
) -> i32 {
    // SAFETY: plugins pass the table they were given, which is never freed.
    let shared = unsafe { shared_of(host) };
    let declare = || {
        if shared.in_hook() {
            return Err(HostError::WrongPhase);
        }
        // SAFETY: what goes in is readable during the call.
        let lines = unsafe { entries(labels, label_count) }?;
        let mut labels = Vec::new();
        for SgLabel { name, value } in lines {
            // SAFETY: what goes in is readable during the call.
            let name = unsafe { bytes(*name) }?;
            // SAFETY: as above.
            labels.push((name, unsafe { bytes(*value) }?));
        }
        let declared = Declared {
            kind: Kind::from_number(kind).ok_or(HostError::Invalid)?,
            // SAFETY: what goes in is readable during the call.
            name: unsafe { bytes(name) }?,
            // SAFETY: as above.
            help: unsafe { bytes(help) }?,
            labels: &labels,
            // SAFETY: as above.
            bounds: unsafe { entries(bounds, bound_count) }?,
        };
        let token = shared.metrics.declare(declared.check()?)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, token) }
    };
    declare().map_or_else(HostError::code, |()| code::SG_OK)
}

unsafe extern "C" fn metric_add(host: *const SgHost, metric: MetricTok, value: f64) -> i32 {
    // SAFETY: plugins pass the table they were given, which is never freed.
    let added = unsafe { shared_of(host) }.metrics.add(metric, value);
    added.map_or_else(HostError::code, |()| code::SG_OK)
}

unsafe extern "C" fn metric_set(host: *const SgHost, metric: MetricTok, value: f64) -> i32 {
    // SAFETY: plugins pass the table they were given, which is never freed.
    let set = unsafe { shared_of(host) }.metrics.set(metric, value);
    set.map_or_else(HostError::code, |()| code::SG_OK)
}

unsafe extern "C" fn metric_observe(host: *const SgHost, metric: MetricTok, value: f64) -> i32 {
    // SAFETY: plugins pass the table they were given, which is never freed.
    let observed = unsafe { shared_of(host) }.metrics.observe(metric, value);
    observed.map_or_else(HostError::code, |()| code::SG_OK)
}
